#include "base/arena.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 16u

struct block {
    struct block *prev;
    size_t        cap;
    _Alignas(ALIGN) unsigned char data[];
};

struct cleanup {
    struct cleanup *prev;
    void (*fn)(void *);
    void *arg;
};

struct pw_arena {
    struct block   *top;
    size_t          used;  /* of top */
    size_t          bytes; /* of all blocks */
    size_t          total; /* allocated since the last reset: the size one block should have had */
    struct cleanup *cleanups;
};

static struct block *block_new(size_t cap)
{
    struct block *b = malloc(sizeof(*b) + cap);

    PW_ASSERT(b != NULL);
    b->prev = NULL;
    b->cap  = cap;
    return b;
}

struct pw_arena *pw_arena_new(size_t first_bytes)
{
    struct pw_arena *ar = calloc(1, sizeof(*ar));

    PW_ASSERT(ar != NULL);
    ar->top   = block_new(first_bytes < 256 ? 256 : first_bytes);
    ar->bytes = ar->top->cap;
    return ar;
}

static void run_cleanups(struct pw_arena *ar, const struct cleanup *until)
{
    while (ar->cleanups != until) {
        struct cleanup *c = ar->cleanups;

        ar->cleanups = c->prev; /* first, so that a cleanup never runs twice */
        c->fn(c->arg);
    }
}

static void pop_block(struct pw_arena *ar)
{
    struct block *b = ar->top;

    ar->top = b->prev;
    ar->bytes -= b->cap;
    free(b);
}

struct pw_arena *pw_arena_free(struct pw_arena *ar)
{
    if (!ar)
        return NULL;
    run_cleanups(ar, NULL);
    while (ar->top)
        pop_block(ar);
    free(ar);
    return NULL;
}

void pw_arena_reset(struct pw_arena *ar)
{
    size_t want = ar->total;

    run_cleanups(ar, NULL);
    if (ar->top->prev) { /* it did not fit into one block: next time it does */
        while (ar->top)
            pop_block(ar);
        ar->top   = block_new(want + want / 2);
        ar->bytes = ar->top->cap;
    }
    ar->used  = 0;
    ar->total = 0;
}

static size_t round_up(size_t n)
{
    PW_ASSERT(n <= SIZE_MAX - ALIGN);
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void *take(struct pw_arena *ar, size_t n)
{
    size_t need = round_up(n ? n : 1);
    void  *p;

    if (need > ar->top->cap - ar->used) {
        size_t        cap = ar->top->cap * 2 > need ? ar->top->cap * 2 : need;
        struct block *b   = block_new(cap);

        b->prev = ar->top;
        ar->top = b;
        ar->bytes += cap;
        ar->used = 0;
    }
    p = ar->top->data + ar->used;
    ar->used += need;
    ar->total += need;
    return p;
}

void *pw_arena_alloc(struct pw_arena *ar, size_t n)
{
    return memset(take(ar, n), 0, n);
}

void *pw_arena_array(struct pw_arena *ar, size_t n, size_t each)
{
    size_t bytes;

    PW_ASSERT(!__builtin_mul_overflow(n, each, &bytes));
    return pw_arena_alloc(ar, bytes);
}

void *pw_arena_copy(struct pw_arena *ar, const void *p, size_t n)
{
    void *to = take(ar, n);

    if (n)
        memcpy(to, p, n);
    return to;
}

char *pw_arena_strndup(struct pw_arena *ar, const char *s, size_t n)
{
    char *to = take(ar, n + 1);

    if (n)
        memcpy(to, s, n);
    to[n] = 0;
    return to;
}

char *pw_arena_strdup(struct pw_arena *ar, const char *s)
{
    return pw_arena_strndup(ar, s, strlen(s));
}

char *pw_arena_printf(struct pw_arena *ar, const char *fmt, ...)
{
    va_list ap;
    int     n;
    char   *to;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    PW_ASSERT(n >= 0);
    to = take(ar, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return to;
}

void pw_arena_cleanup(struct pw_arena *ar, void (*fn)(void *), void *arg)
{
    struct cleanup *c = pw_arena_alloc(ar, sizeof(*c));

    c->fn        = fn;
    c->arg       = arg;
    c->prev      = ar->cleanups;
    ar->cleanups = c;
}

struct pw_arena_mark pw_arena_mark(const struct pw_arena *ar)
{
    return (struct pw_arena_mark){ ar->top, ar->used, ar->cleanups };
}

void pw_arena_rewind(struct pw_arena *ar, struct pw_arena_mark mark)
{
    run_cleanups(ar, mark.cleanup);
    while (ar->top != mark.block)
        pop_block(ar);
    ar->used = mark.used;
}

size_t pw_arena_bytes(const struct pw_arena *ar)
{
    return ar->bytes;
}
