#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static int cleaned[4], cleaned_n;

static void note(void *arg)
{
    cleaned[cleaned_n++] = *(int *)arg;
}

Test(arena, memory_is_zeroed_and_aligned)
{
    struct pw_arena *ar = pw_arena_new(64);

    for (size_t n = 0; n < 300; n++) {
        unsigned char *p = pw_arena_alloc(ar, n);

        cr_assert_eq((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(p[i], 0);
        memset(p, 0xff, n);
    }
    pw_arena_free(ar);
}

Test(arena, a_reset_keeps_one_block_that_holds_the_same_again)
{
    struct pw_arena *ar = pw_arena_new(256);
    size_t           held;

    for (int i = 0; i < 100; i++)
        pw_arena_alloc(ar, 1000);
    pw_arena_reset(ar);
    held = pw_arena_bytes(ar);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            pw_arena_alloc(ar, 1000);
        cr_assert_eq(pw_arena_bytes(ar), held, "a warm arena does not grow");
        pw_arena_reset(ar);
    }
    pw_arena_free(ar);
}

Test(arena, a_rewind_drops_what_came_later_and_nothing_else)
{
    struct pw_arena     *ar   = pw_arena_new(256);
    char                *kept = pw_arena_strdup(ar, "kept");
    struct pw_arena_mark mark = pw_arena_mark(ar);
    int                  one = 1, two = 2;

    pw_arena_cleanup(ar, note, &one);
    pw_arena_alloc(ar, 100000);
    pw_arena_cleanup(ar, note, &two);
    pw_arena_rewind(ar, mark);

    cr_assert_str_eq(kept, "kept");
    cr_assert_eq(cleaned_n, 2);
    cr_assert_eq(cleaned[0], 2, "last added, first run");
    cr_assert_eq(cleaned[1], 1);
    pw_arena_free(ar);
    cr_assert_eq(cleaned_n, 2, "a cleanup runs once");
}

Test(arena, printf_and_copies)
{
    struct pw_arena *ar = pw_arena_new(0);

    cr_assert_str_eq(pw_arena_printf(ar, "%s/%d", "auto.events", 3), "auto.events/3");
    cr_assert_str_eq(pw_arena_strndup(ar, "abcdef", 3), "abc");
    cr_assert_eq(memcmp(pw_arena_copy(ar, "a\0b", 3), "a\0b", 3), 0);
    pw_arena_free(ar);
}
