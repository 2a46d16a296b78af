/* arena: memory by lifetime. Process, generation and batch each own one; what hangs off it dies with it.
 * Allocation never returns NULL: out of memory is an abort, which a worker survives as a crash without effects.
 * One thread per arena. */
#ifndef PW_BASE_ARENA_H
#define PW_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct pw_arena;

struct pw_arena_mark {
    void  *block;
    size_t used;
    void  *cleanup;
};

/* first_bytes: size of the first block; it grows by doubling and keeps its largest block over a reset. */
struct pw_arena *pw_arena_new(size_t first_bytes);
/* Runs the cleanups in reverse and frees everything. NULL is a no-op. Returns NULL. */
struct pw_arena *pw_arena_free(struct pw_arena *ar);
/* Runs the cleanups and forgets all allocations; keeps the largest block. */
void pw_arena_reset(struct pw_arena *ar);

void *pw_arena_alloc(struct pw_arena *ar, size_t n);              /* 16-aligned, zeroed */
void *pw_arena_array(struct pw_arena *ar, size_t n, size_t each); /* overflow checked */
void *pw_arena_copy(struct pw_arena *ar, const void *p, size_t n);
char *pw_arena_strdup(struct pw_arena *ar, const char *s);
char *pw_arena_strndup(struct pw_arena *ar, const char *s, size_t n);
char *pw_arena_printf(struct pw_arena *ar, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* fn(arg) runs when the arena is reset, rewound past this point or freed; last added, first run. */
void pw_arena_cleanup(struct pw_arena *ar, void (*fn)(void *), void *arg);

struct pw_arena_mark pw_arena_mark(const struct pw_arena *ar);
/* Drops all that was allocated since the mark. */
void pw_arena_rewind(struct pw_arena *ar, struct pw_arena_mark mark);

size_t pw_arena_bytes(const struct pw_arena *ar); /* held from malloc */

#endif
