/* load: how a plugin's descriptor comes into the host. Private to the room and its tests. */
#ifndef PW_PLUGIN_LOAD_H
#define PW_PLUGIN_LOAD_H

#include "plugin/plugin.h"

#define PW_LOAD_ENTRY            "pawl_plugin_entry_v1"
#define PW_LOAD_MIDDLEWARE_ENTRY "pawl_middleware_entry_v1"

#define PW_TABLE_MAX     256u  /* elements of each table */
#define PW_COLUMNS_MAX   64u   /* of a statement */
#define PW_STRIDE_MAX    4096u /* bytes of one element: more is a mistake */
#define PW_DESC_MAX      65536u
#define PW_NAME_MAX      63u   /* names, as in PostgreSQL */
#define PW_TEXT_MAX      4096u /* docs and the like */
#define PW_SQL_MAX       (64u << 10)
#define PW_MIGRATION_MAX (1u << 20)

/* The sizes of ABI 1.0. They never change: what is smaller is not of ABI 1. */
#define PW_ABI10_PLUGIN     240u
#define PW_ABI10_PORT       56u
#define PW_ABI10_OPTION     88u
#define PW_ABI10_STMT       88u
#define PW_ABI10_COLUMN     24u
#define PW_ABI10_MIGRATION  56u
#define PW_ABI10_METRIC     56u
#define PW_ABI10_MIDDLEWARE 120u

/* Copies a struct of from_size into one of to_size: what an older one lacks becomes zero; smaller than `least` or with a
 * tail beyond to_size that is not zero is an error. */
int pw_load_copy_in(void *to, size_t to_size, const void *from, size_t from_size, size_t least,
                    struct pw_err *err) PW_MUST_CHECK;

/* All of pw_plugin_load behind dlopen: a descriptor in static storage of a loaded object against its metadata. */
int pw_load_descriptor(struct pw_arena *ar, const pawl_plugin *theirs, const struct pw_plugin_meta *meta,
                       struct pw_plugin **ret_pl, struct pw_err *err) PW_MUST_CHECK;

/* The tables of pl->desc, which are dense, as pl has them. */
void pw_load_tables(struct pw_plugin *pl);

/* check.c: what the dense copies say. */
int pw_check_plugin(struct pw_arena *ar, const struct pw_plugin *pl, struct pw_err *err) PW_MUST_CHECK;

#endif
