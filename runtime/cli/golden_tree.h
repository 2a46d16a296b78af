/* golden_tree: what a YAML file of cases says, and what a plugin did, as trees of one kind, so that the two can be compared and written
 * as text in one way. */
#ifndef PW_CLI_GOLDEN_TREE_H
#define PW_CLI_GOLDEN_TREE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define PW_GOLDEN_FILE_MAX  ((size_t)4 << 20)
#define PW_GOLDEN_DEPTH_MAX 32u

enum pw_golden_kind { PW_GOLDEN_SCALAR = 0, PW_GOLDEN_LIST, PW_GOLDEN_MAP };

struct pw_golden_node {
    enum pw_golden_kind    kind;
    bool                   null;   /* a scalar without a value */
    bool                   quoted; /* a scalar that is text, whatever it looks like */
    const char            *tag;    /* "!numeric"; NULL: none */
    const char            *text;   /* of a scalar, NUL-terminated; it may have n bytes with NUL in them */
    size_t                 n;
    const char            *key;  /* of a member of a map */
    struct pw_golden_node *next; /* member or element */
    struct pw_golden_node *first, **tail;
    int                    line, column;         /* of the value, from 1; 0: not from a file */
    int                    key_line, key_column; /* of its key */
};

/* The file as a tree; *ret_text (malloc'ed, to be freed) is its text. The error says file:line:column. */
int pw_golden_load(struct pw_arena *ar, const char *path, struct pw_golden_node **ret, char **ret_text,
                   struct pw_err *err) PW_MUST_CHECK;

struct pw_golden_node *pw_golden_list(struct pw_arena *ar);
struct pw_golden_node *pw_golden_map(struct pw_arena *ar);
struct pw_golden_node *pw_golden_null(struct pw_arena *ar);
struct pw_golden_node *pw_golden_text(struct pw_arena *ar, const char *p, size_t n);
struct pw_golden_node *pw_golden_printf(struct pw_arena *ar, const char *fmt, ...) PW_PRINTF(2, 3);
/* Bytes: text if they are plain text, else !hex; p NULL: null. */
struct pw_golden_node *pw_golden_bytes(struct pw_arena *ar, const void *p, size_t n);
/* Appends; key NULL for lists. Returns child. */
struct pw_golden_node *pw_golden_add(struct pw_golden_node *parent, const char *key, struct pw_golden_node *child);
struct pw_golden_node *pw_golden_get(const struct pw_golden_node *map, const char *key); /* NULL: not there, or no map */

/* Block style, each line indented by that many spaces and ended. Two trees that mean the same are the same text. */
void pw_golden_write(struct pw_buf *out, const struct pw_golden_node *node, unsigned indent);
/* Members of maps in `node` in the order that they have in `like`. */
void pw_golden_align(struct pw_golden_node *node, const struct pw_golden_node *like);
/* "- want\n+ got" and some lines around each difference. */
void pw_golden_diff(struct pw_buf *out, const char *want, const char *got);

/* Sets err to "file:line:column: text"; returns -1. */
int pw_golden_wrong(const char *file, const struct pw_golden_node *node, struct pw_err *err, const char *fmt, ...)
    PW_PRINTF(4, 5);

#endif
