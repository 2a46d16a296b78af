/* Any bytes as the description of a plugin by its child process: taken or refused, and inside them. */
#include "plugin/describe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct pw_arena      *ar   = pw_arena_new(0);
    struct pw_plugin_meta meta = { .abi_major = 1, .id = "org.example.a", .version = "1" };
    struct pw_plugin     *pl;
    uint32_t              calls;
    struct pw_err         err;

    if (pw_describe_take(ar, p, n, &meta, &pl, &calls, &err) == 0)
        for (uint32_t i = 0; i < pl->n_stmts; i++)
            if (pl->stmts[i].name.p && strlen(pl->stmts[i].name.p) > n) /* reads it to its end */
                abort();
    pw_arena_free(ar);
    return 0;
}
