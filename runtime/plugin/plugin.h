/* plugin: a business plugin loaded into this process, checked from the ELF file to its configuration.
 * Only workers and short-lived commands (migrate, validate --plugins) load plugins, never the supervisor. */
#ifndef PW_PLUGIN_PLUGIN_H
#define PW_PLUGIN_PLUGIN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <pawl/middleware.h>
#include <pawl/plugin.h>
#include <stdbool.h>

/* ---- stage.c: a private copy named by content, since dlopen of a replaced path returns the old code and `cp` over a
 * mapped file kills the process ---- */

/* Copies `path` to dir/<stem>-<first 16 hex of sha256><ext>, mode 0500, written under a temporary name and renamed;
 * an existing copy with the right content is reused. max_bytes guards against a wrong path (0: 256 MiB). */
int pw_stage_file(const char *path, const char *dir, uint64_t max_bytes, char *ret_path, size_t ret_cap,
                  struct pw_err *err) PW_MUST_CHECK;
/* The same; sha256: 64 hexadecimal digits, the content that it must have; NULL: any. */
int pw_stage_pinned(const char *path, const char *sha256, const char *dir, uint64_t max_bytes, char *ret_path, size_t ret_cap,
                    struct pw_err *err) PW_MUST_CHECK;
/* Has the file that content? NULL: any will do. */
int pw_stage_check_pin(const char *path, const char *sha256, struct pw_err *err) PW_MUST_CHECK;

/* ---- elf.c: what the file says without running it ---- */
struct pw_plugin_meta {
    uint16_t abi_major, abi_minor;
    char     id[128], version[64];
    char     build_id[65]; /* hex, "" if none */
    bool     middleware;   /* it is no plugin, but stands around one */
};
/* Refuses: not ELF64 of this machine, no .pawl.meta, malformed meta, other ABI major, entry symbol missing from the
 * dynamic symbol table, NEEDED of libpq or librdkafka, text relocations. Every offset is checked against the file's size. */
int pw_plugin_meta(const char *path, struct pw_plugin_meta *ret, struct pw_err *err) PW_MUST_CHECK;

/* ---- load.c ---- */
struct pw_plugin {
    const pawl_plugin     *desc; /* our copy: full size of this host's pawl_plugin, the tail of an older one zero */
    struct pw_plugin_meta  meta;
    const pawl_stmt       *stmts; /* dense copies of the tables, with this host's element size */
    const pawl_option     *options;
    const pawl_port       *inputs, *outputs;
    const pawl_migration  *migrations;
    const pawl_metric     *metrics;
    uint32_t               n_stmts, n_options, n_inputs, n_outputs, n_migrations, n_metrics;
    const pawl_middleware *mw;   /* it is one, then desc has what both have; NULL: it is a plugin */
    const char            *name; /* "org.example.underwriting/1.0.0" */
    char                  *path;
};
/* dlopen(RTLD_NOW|RTLD_LOCAL) of a staged file, entry point, and every check of the descriptor: size, ABI, zero tail,
 * strides, counts (at most 256 of each), strings inside bounds and UTF-8, types, statement columns, entity, one plain
 * statement each (pw_sql_check), migrations ascending, meta equal to the descriptor. The library is never unloaded.
 * The error names the plugin, the table, the element and what to do. */
int pw_plugin_load(struct pw_arena *ar, const char *path, struct pw_plugin **ret_pl, struct pw_err *err) PW_MUST_CHECK;
/* The same for what stands around a plugin. */
int pw_middleware_load(struct pw_arena *ar, const char *path, struct pw_plugin **ret_pl, struct pw_err *err) PW_MUST_CHECK;

/* ---- sql.c: one plain SELECT, INSERT, UPDATE, DELETE or MERGE, by a lexer that knows quotes, dollar quotes, nested
 * comments and parentheses; refuses a second statement, WITH in front, COPY, parameters ($1), and INTO/locking forms
 * that turn a read into a write (SELECT INTO, FOR UPDATE) ---- */
int pw_sql_check(const char *sql, size_t n, uint32_t kind, struct pw_err *err) PW_MUST_CHECK;

/* ---- options.c: the plugin's libconfig file against its declared options ---- */
struct pw_options;
/* path NULL: no file; then every required option is an error. All errors are appended to *report as file:line: text,
 * with a suggestion for an unknown name and the option's doc for a missing one. @include is refused. */
int pw_options_load(struct pw_arena *ar, const struct pw_plugin *pl, const char *path, struct pw_options **ret,
                    struct pw_buf *report, struct pw_err *err) PW_MUST_CHECK;
/* As pawl_host.config and config_len say; values live in the arena. */
pawl_rc pw_options_get(const struct pw_options *op, const char *path, pawl_value *out);
int64_t pw_options_len(const struct pw_options *op, const char *path);

#endif
