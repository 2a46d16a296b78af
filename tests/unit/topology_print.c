/* Prints what the key table makes: schema, manual, or the bare list of its keys. docs/topology.md is
 *     topology_print manual > docs/topology.md */
#include "kafka/props.h"
#include "topology/keys.h"
#include "topology/topology.h"

#include <stdio.h>
#include <string.h>

static void print_keys(void)
{
    size_t                      n;
    const struct pw_key        *keys = pw_keys(&n);
    const struct pw_kafka_prop *props;

    for (size_t i = 0; i < n; i++)
        printf("%s\n", keys[i].path);
    props = pw_kafka_props(&n);
    for (size_t i = 0; i < n; i++)
        if (props[i].rule == PW_KAFKA_ALLOWED)
            printf("kafka:%s\n", props[i].name);
}

int main(int argc, char **argv)
{
    struct pw_buf out = { 0 };

    if (argc == 2 && strcmp(argv[1], "schema") == 0)
        pw_topology_schema(&out);
    else if (argc == 2 && strcmp(argv[1], "manual") == 0)
        pw_topology_manual(&out);
    else if (argc == 2 && strcmp(argv[1], "keys") == 0)
        print_keys();
    else
        return 2;
    if (out.n)
        (void)fwrite(out.p, 1, out.n, stdout);
    pw_buf_done(&out);
    return fflush(stdout) == 0 ? 0 : 1;
}
