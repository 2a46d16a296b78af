#include "worker/ports.h"

#include <string.h>

static const char *topic_of(const struct pw_pipeline *pl, pawl_str port)
{
    for (size_t k = 0; k < pl->outputs_n; k++)
        if (strlen(pl->outputs[k].key) == port.n && memcmp(pl->outputs[k].key, port.p, port.n) == 0)
            return pl->outputs[k].value;
    return NULL;
}

static bool declares(const struct pw_plugin *plugin, const char *port)
{
    for (uint32_t i = 0; i < plugin->n_outputs; i++)
        if (strlen(port) == plugin->outputs[i].name.n && memcmp(port, plugin->outputs[i].name.p, strlen(port)) == 0)
            return true;
    return false;
}

int pw_ports_bind(struct pw_arena *ar, const struct pw_pipeline *pl, const struct pw_plugin *plugin,
                  const char *const **ret_topics, struct pw_err *err)
{
    const char **topics = pw_arena_array(ar, plugin->n_outputs, sizeof(*topics));

    for (uint32_t i = 0; i < plugin->n_outputs; i++) {
        pawl_str port = plugin->outputs[i].name;

        topics[i] = topic_of(pl, port);
        if (!topics[i])
            return pw_err_set(err, PW_D_FATAL, "plugin %s has an output '%.*s'; name its topic under outputs", plugin->name,
                              (int)port.n, port.p);
    }
    for (size_t k = 0; k < pl->outputs_n; k++)
        if (!declares(plugin, pl->outputs[k].key))
            return pw_err_set(err, PW_D_FATAL, "outputs names '%s', which is no output of plugin %s", pl->outputs[k].key,
                              plugin->name);
    *ret_topics = topics;
    return 0;
}
