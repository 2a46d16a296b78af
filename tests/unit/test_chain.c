/* What stands around a plugin: who is asked when, what each sees, and whose word counts. */
#include "plugin/chain.h"

#include "small_plugin.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <stdio.h>
#include <string.h>

static struct pw_arena *ar;
static struct pw_calls  ca;
static struct pw_item  *it;
static struct pw_chain  chain;
static char             story[256]; /* who was called, in order */
static uint32_t         entered[16], entered_n;

struct actor {
    char        name;
    pawl_rc     rc;
    pawl_header add;
    bool        misuse;
    int64_t     saw_key, saw_value, took_us;
    uint32_t    flags, writes, emits;
    pawl_rc     verdict;
};

static void tell(const struct actor *a, char what)
{
    size_t n = strlen(story);

    (void)snprintf(story + n, sizeof(story) - n, "%c%c ", a->name, what);
}

static pawl_rc before(void *self, pawl_ctx *c, const pawl_msg *m)
{
    static const pawl_str code = PAWL_STR("test.no"), why = PAWL_STR("it was told to");
    struct actor         *a = self;

    tell(a, 'b');
    a->saw_key   = m->key.p ? (int64_t)m->key.n : -1;
    a->saw_value = m->value.p ? (int64_t)m->value.n : -1;
    if (a->misuse)
        return c->host->write(c, 0, NULL, 0);
    return a->rc == PAWL_OK ? PAWL_OK : c->host->fail(c, a->rc, code, why);
}

static void after(void *self, pawl_ctx *c, const pawl_msg *m, const pawl_outcome *oc, pawl_headers *add)
{
    struct actor *a = self;

    (void)m;
    (void)c;
    tell(a, 'a');
    a->writes  = oc->writes;
    a->emits   = oc->emits;
    add->items = a->add.name.p ? &a->add : NULL;
    add->n     = a->add.name.p || a->misuse;
}

static void done(void *self, const pawl_msg *m, const pawl_outcome *oc)
{
    struct actor *a = self;

    (void)m;
    tell(a, 'd');
    a->flags   = oc->flags;
    a->verdict = oc->verdict;
    a->took_us = oc->took_us;
}

static void enter(void *arg, uint32_t nth)
{
    (void)arg;
    entered[entered_n++ % 16] = nth;
}

static void add(struct actor *a, uint32_t flags)
{
    static pawl_middleware  mws[4];
    static struct pw_plugin pls[4];
    uint32_t                n    = chain.n;
    struct pw_inst         *inst = pw_arena_alloc(ar, sizeof(*inst));

    mws[n]     = (pawl_middleware){ .size = sizeof(mws[n]), .flags = flags, .before = before, .after = after, .done = done };
    pls[n]     = (struct pw_plugin){ .desc = small_inst(ar)->pl->desc, .mw = &mws[n], .name = "test" };
    *inst      = *small_inst(ar);
    inst->pl   = &pls[n];
    inst->self = a;
    pw_chain_add(&chain, &(struct pw_layer){ .name = a->name == 'o' ? "outer/1" : "inner/1", .inst = inst });
}

static pawl_rc handle_emits(pawl_ctx *c, const pawl_msg *m)
{
    pawl_header h[2] = { { PAWL_STR("seq"), { "7", 1 } }, { PAWL_STR("last"), { "plugin", 6 } } };
    pawl_out    out  = { .size = sizeof(out), .key = m->key, .value = { "v", 1 }, .headers = h, .n_headers = 2 };

    return pawl_emit(c, &out);
}

static struct actor outer, inner;

static void set_up(void)
{
    ar = pw_arena_new(4096);
    pw_calls_init(&ca, ar, small_inst(ar), 123456);
    it            = small_item(ar, "POL-1", 7);
    it->msg.value = pawl_cstr("body");
    outer         = (struct actor){ .name = 'o' };
    inner         = (struct actor){ .name = 'i' };
    chain         = (struct pw_chain){ .enter = enter };
    entered_n     = 0;
    story[0]      = 0;
    small_handle  = handle_emits;
}

static void tear_down(void)
{
    small_handle = NULL;
    ar           = pw_arena_free(ar);
}

TestSuite(chain, .init = set_up, .fini = tear_down);

static const char *header(const char *name)
{
    static char text[64];
    int         found = 0;

    for (size_t i = 0; i < it->emits->out.n_headers; i++) {
        const pawl_header *h = &it->emits->out.headers[i];

        if (h->name.n == strlen(name) && memcmp(h->name.p, name, h->name.n) == 0) {
            (void)snprintf(text, sizeof(text), "%.*s", (int)h->value.n, (const char *)h->value.p);
            found++;
        }
    }
    return found == 1 ? text : found ? "(twice)" : "(none)";
}

Test(chain, the_first_is_the_outermost)
{
    add(&outer, 0);
    add(&inner, 0);
    cr_assert_eq(pw_chain_before(&chain, &ca, it), PAWL_OK);
    pw_call_handle(&ca, it);
    pw_chain_after(&chain, &ca, it);
    pw_chain_done(&chain, it);
    cr_assert_str_eq(story, "ob ib ia oa id od ");
    cr_assert_arr_eq(entered, ((uint32_t[]){ 1, 0, 2, 0, 2, 0, 1, 0, 2, 0, 1, 0 }), 12 * sizeof(uint32_t));
}

Test(chain, who_refuses_ends_it_and_is_named)
{
    outer.rc = PAWL_REJECT;
    add(&outer, 0);
    add(&inner, 0);
    cr_assert_eq(pw_chain_before(&chain, &ca, it), PAWL_REJECT);
    cr_assert_str_eq(story, "ob ");
    cr_assert_eq(it->verdict, PAWL_REJECT);
    cr_assert_str_eq(it->code, "test.no");
    cr_assert_str_eq(it->by, "outer/1");
    pw_chain_done(&chain, it);
    cr_assert_eq(inner.flags, PAWL_DONE_MW);
    cr_assert_eq(inner.verdict, PAWL_REJECT);
    pw_item_reset(it);
    cr_assert_null(it->by);
}

Test(chain, key_and_value_are_seen_by_who_asked_for_them)
{
    add(&outer, PAWL_MW_KEY);
    add(&inner, PAWL_MW_VALUE | PAWL_MW_TIMING);
    it->took_us = 42;
    cr_assert_eq(pw_chain_before(&chain, &ca, it), PAWL_OK);
    cr_assert(outer.saw_key == 5 && outer.saw_value == -1);
    cr_assert(inner.saw_key == -1 && inner.saw_value == 4);
    cr_assert(chain.timed);
    pw_chain_done(&chain, it);
    cr_assert(inner.took_us == 42 && outer.took_us == -1);
    cr_assert_eq(it->msg.key.n, 5, "the message is as it was");
}

Test(chain, headers_are_added_and_the_outermost_has_the_last_word)
{
    outer.add = (pawl_header){ PAWL_STR("last"), { "outer", 5 } };
    inner.add = (pawl_header){ PAWL_STR("last"), { "inner", 5 } };
    add(&outer, 0);
    add(&inner, 0);
    pw_call_handle(&ca, it);
    pw_chain_after(&chain, &ca, it);
    cr_assert_eq(inner.emits, 1);
    cr_assert_str_eq(header("last"), "outer");
    cr_assert_str_eq(header("seq"), "7", "what nobody touched stays");
    cr_assert_eq(it->emits->out.n_headers, 2);
    memset(&outer.add, 0, sizeof(outer.add));
    cr_assert_str_eq(header("last"), "outer", "they are copies");
}

Test(chain, a_function_that_belongs_to_plugins_is_misuse_of_the_one_who_called_it)
{
    inner.misuse = true;
    add(&outer, 0);
    add(&inner, 0);
    cr_assert_eq(pw_chain_before(&chain, &ca, it), PAWL_FATAL);
    cr_assert_str_eq(it->code, "plugin.misuse");
    cr_assert(strstr(it->detail, "write: called in before()"), "%s", it->detail);
    cr_assert_str_eq(it->by, "inner/1");
}

Test(chain, headers_at_null_are_misuse_and_drop_the_effects)
{
    inner.misuse = true;
    add(&inner, 0);
    pw_call_handle(&ca, it);
    cr_assert_eq(it->emits_n, 1);
    pw_chain_after(&chain, &ca, it);
    cr_assert_eq(it->verdict, PAWL_FATAL);
    cr_assert_eq(it->emits_n, 0);
    cr_assert_str_eq(it->by, "inner/1");
}
