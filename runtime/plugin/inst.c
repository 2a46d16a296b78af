/* One plugin, or one middleware, that is created. */
#include "plugin/call_parts.h"

#include <string.h>

static void number_entities(struct pw_arena *ar, struct pw_inst *inst)
{
    const struct pw_plugin *pl = inst->pl;
    bool                   *whole, *keyed;

    inst->entity       = pw_arena_array(ar, pl->n_stmts, sizeof(*inst->entity));
    inst->entity_mixed = pw_arena_array(ar, pl->n_stmts, sizeof(bool));
    whole              = pw_arena_array(ar, pl->n_stmts, sizeof(bool));
    keyed              = pw_arena_array(ar, pl->n_stmts, sizeof(bool));
    for (uint32_t i = 0; i < pl->n_stmts; i++) {
        pawl_str name = pl->stmts[i].entity;
        uint32_t j    = 0;

        while (j < i && (pl->stmts[j].entity.n != name.n || memcmp(pl->stmts[j].entity.p, name.p, name.n) != 0))
            j++;
        inst->entity[i] = j < i ? inst->entity[j] : inst->entities_n++;
        if (pl->stmts[i].kind == PAWL_STMT_WRITE)
            *(pl->stmts[i].entity_column < 0 ? &whole[inst->entity[i]] : &keyed[inst->entity[i]]) = true;
    }
    for (uint32_t e = 0; e < inst->entities_n; e++)
        inst->entity_mixed[e] = whole[e] && keyed[e];
}

int pw_inst_new(struct pw_arena *ar, const struct pw_plugin *pl, const struct pw_options *options,
                const struct pw_inst_hooks *hooks, struct pw_inst **ret_inst, struct pw_err *err)
{
    struct pw_inst *inst = pw_arena_alloc(ar, sizeof(*inst));
    pawl_rc         rc;

    inst->host      = pw_call_host_table;
    inst->host.impl = inst;
    inst->pl        = pl;
    inst->options   = options;
    if (hooks)
        inst->hooks = *hooks;
    number_entities(ar, inst);
    inst->creating = true;
    rc             = pl->desc->create(&inst->host, &inst->self);
    inst->creating = false;
    if (rc != PAWL_OK)
        return pw_err_set(err, PW_D_FATAL, "plugin %s: create() answered %d; its own log lines say why", pl->name, rc);
    *ret_inst = inst;
    return 0;
}

void pw_inst_destroy(struct pw_inst *inst)
{
    if (inst && inst->pl->desc->destroy)
        inst->pl->desc->destroy(inst->self);
}
