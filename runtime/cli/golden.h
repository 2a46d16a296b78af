/* golden: cases of a plugin in a file: a message and the rows that it finds, and what the plugin then does. The format is described in
 * docs/plugins/testing.md. */
#ifndef PW_CLI_GOLDEN_H
#define PW_CLI_GOLDEN_H

#include "cli/golden_tree.h"
#include "plugin/desk.h"

struct pw_golden_file;

struct pw_golden_case {
    struct pw_golden_case *next;
    struct pw_golden_file *file;
    const char            *name;
    struct pw_golden_node *node, *expect; /* expect NULL: not written yet */
    pawl_msg               msg;
    int64_t                now_us;
    const char            *database; /* SQL that runs first with --database; NULL: the case has no part in that */
    struct pw_golden_node *recorded; /* reads and the hashes of their statements; NULL: somebody has written it */
};

struct pw_golden_file {
    struct pw_arena       *ar;
    const char            *path, *dir; /* dir: of the file, what its paths are relative to */
    char                  *text;
    struct pw_golden_node *root;
    const char            *plugin, *config; /* NULL: not said */
    const char            *proto_path;      /* NULL: none */
    struct pw_golden_node *proto_files;
    struct pw_golden_case *cases, **cases_tail;
};

/* golden_case.c. The file without its cases, then these, once the plugin is known. pw_golden_done frees the text. */
int  pw_golden_open(struct pw_arena *ar, const char *path, struct pw_golden_file *ret, struct pw_err *err) PW_MUST_CHECK;
int  pw_golden_cases(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err) PW_MUST_CHECK;
void pw_golden_done(struct pw_golden_file *gf);
/* The rows of the case, for the desk. */
int pw_golden_rows(const struct pw_golden_case *ca, struct pw_desk *dk, struct pw_err *err) PW_MUST_CHECK;

/* What a recorded case cannot tell: the read that the message in hand asked for, and that was not recorded; NULL: it can. */
struct pw_golden_node *pw_golden_unknown(const struct pw_golden_case *ca, const struct pw_desk *dk);
/* A statement of the plugin that rows were given for and no read found; NULL: there is none. */
const char *pw_golden_unread(const struct pw_golden_case *ca, const struct pw_desk *dk);

/* golden_payload.c. What a message's value or an output's is called in `formats`, as bytes and as text. */
int pw_golden_encode(struct pw_golden_file *gf, const struct pw_golden_node *no, const char *port, pawl_bytes *ret,
                     struct pw_err *err) PW_MUST_CHECK;
struct pw_golden_node *pw_golden_decode(struct pw_golden_file *gf, const char *port, pawl_bytes b,
                                        struct pw_err *err); /* NULL: err */
int pw_golden_check_formats(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err) PW_MUST_CHECK;

/* golden_outcome.c. What the message in hand made the plugin do; NULL: err. */
struct pw_golden_node *pw_golden_outcome(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err);
/* Of that, what versions are compared by: not how it came to it, nor the words of a detail. */
struct pw_golden_node *pw_golden_effects(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err);
/* A row of a statement as "name: { column: value }". */
struct pw_golden_node *pw_golden_call(struct pw_arena *ar, const pawl_stmt *st, const pawl_value *args);
/* Appends what differs; false if nothing does. in_database: compare what only a database can tell, too. */
bool pw_golden_differs(struct pw_arena *ar, struct pw_golden_node *expect, struct pw_golden_node *outcome, bool in_database,
                       struct pw_buf *out);

/* golden_update.c. Puts outcomes (by case, NULL: stays) into the file. */
int pw_golden_update(struct pw_golden_file *gf, struct pw_golden_node *const *outcomes, struct pw_err *err) PW_MUST_CHECK;

/* golden_db.c. The plugin's statements in a real database, whose schema has been migrated. */
struct pw_golden_db;
int pw_golden_db_open(struct pw_arena *ar, const char *dsn, struct pw_desk *dk, struct pw_golden_db **ret,
                      struct pw_err *err) PW_MUST_CHECK;
/* The case in a transaction that is rolled back. *ret: its outcome; with `sqlstate` if a statement failed, and with `tables` as the case
 * asks for them. */
int  pw_golden_db_run(struct pw_golden_db *db, const struct pw_golden_case *ca, struct pw_golden_node **ret,
                      struct pw_err *err) PW_MUST_CHECK;
void pw_golden_db_close(struct pw_golden_db *db);

/* The message with the rows that are there now, as dk->item says then: in a transaction that only reads. */
int pw_golden_db_look(struct pw_golden_db *db, const pawl_msg *msg, int64_t now_us, struct pw_err *err) PW_MUST_CHECK;

/* golden_record.c. The message in hand as a recorded case; NULL: err. expect NULL: what came of it. */
struct pw_golden_node *pw_golden_record(struct pw_golden_file *gf, const struct pw_desk *dk, int64_t now_us, const char *name,
                                        struct pw_golden_node *expect, struct pw_err *err);
/* A new file, which only its owner can read, with what `gf` says (plugin, config, formats, protobuf) and these cases. */
int pw_golden_save(const struct pw_golden_file *gf, const char *path, struct pw_golden_node *cases,
                   struct pw_err *err) PW_MUST_CHECK;

/* golden_run.c. */
struct pw_golden_counts {
    unsigned cases, failed, updated, in_database;
};
struct pw_golden_job {
    const char *path, *plugin, *config; /* plugin, config NULL: what the file says */
    const char *files;                  /* that the plugin may read when it is locked in; NULL: none */
    const char *dsn;                    /* NULL: no database */
    bool        update;
    bool        sandbox; /* apart: locked in as a worker is */
    char       *now;     /* shared memory of PW_GOLDEN_NOW bytes: the case in hand */
};
#define PW_GOLDEN_NOW 256
/* All cases of one file. What differs is appended to report. */
int pw_golden_run(const struct pw_golden_job *job, struct pw_buf *report, struct pw_golden_counts *ret,
                  struct pw_err *err) PW_MUST_CHECK;

/* golden_apart.c. The file, or the .yaml files of the folder by their names; they live in ar. */
int pw_golden_files(struct pw_arena *ar, const char *path, const char *const **ret, size_t *ret_n,
                    struct pw_err *err) PW_MUST_CHECK;
/* As pw_golden_run, in a process of its own: it may crash, exit or hang there (ended after `seconds`), and the error says in which case. */
int pw_golden_run_apart(struct pw_golden_job *job, unsigned seconds, struct pw_buf *report, struct pw_golden_counts *ret,
                        struct pw_err *err) PW_MUST_CHECK;

/* golden_probe.c. All cases of a file or a folder; path and now of the job are set here. -1: one failed, or could not be run; *why has the
 * first lines of what differs. Each file may take so many seconds. */
int pw_golden_probe(struct pw_arena *ar, const struct pw_golden_job *like, const char *path, unsigned seconds,
                    struct pw_buf *why) PW_MUST_CHECK;

#endif
