/* Any bytes as a plugin's file: the reader answers, and stays inside them. */
#include "plugin/elf.h"
#include "plugin/lint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Bytes that are refused have an error among their findings. */
static void lint(const uint8_t *p, size_t n)
{
    struct pw_plugin_meta meta;
    struct pw_err         err;
    struct pw_lint        li      = { .ar = pw_arena_new(0) };
    bool                  refused = pw_elf_meta(p, n, &meta, &err) < 0;

    pw_lint_elf(&li, p, n);
    if (refused && pw_lint_count(&li, PW_LINT_ERROR) == 0)
        abort();
    pw_arena_free(li.ar);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct pw_plugin_meta meta;
    struct pw_err         err;

    if (pw_elf_meta(p, n, &meta, &err) < 0) {
        if (!err.text[0] || err.disp != PW_D_FATAL)
            abort(); /* refused without a reason */
    } else if (meta.abi_major != PAWL_ABI_MAJOR || !strchr(meta.id, '.') || !meta.version[0]) {
        abort(); /* taken without an identity */
    }
    lint(p, n);
    return 0;
}
