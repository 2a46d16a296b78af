/* explain_parts: what the files of `pawl explain` share. As in ops.h: a function that fails has printed why, and returns the exit code. */
#ifndef PW_CLI_EXPLAIN_PARTS_H
#define PW_CLI_EXPLAIN_PARTS_H

#include "cli/dlq.h"
#include "cli/explain.h"

struct pw_explain {
    struct pw_dlq             dl;
    rd_kafka_t               *reader; /* without a group */
    bool                      follow, payload;
    const struct pw_pipeline *only;      /* NULL: all */
    int64_t                   search_us; /* how long each search may take */
    size_t                    events;    /* explained so far */
};

/* ---- PostgreSQL (explain_read.c) ---- */

/* All that it knows, in one snapshot. */
int pw_explain_read(struct pw_explain *ex, const struct pw_pipeline *pl, const struct pw_life_event *ev, struct pw_life *ret);
/* The record that has that id for the pipeline; topic NULL: none. */
int pw_explain_find_id(struct pw_explain *ex, const struct pw_pipeline *pl, const void *id, size_t n,
                       struct pw_life_place *ret);

/* ---- Kafka (explain_kafka.c) ---- */

/* That it does not answer is no failure: the record says so. */
void pw_explain_record(struct pw_explain *ex, struct pw_life_event *ev);

/* Reads topics from a time on, up to where they end now. take: true if no more of this partition is wanted. *ret_why: what was not
 * looked at; NULL: all was. */
struct pw_explain_search {
    const char *const *topics;
    size_t             topics_n;
    int32_t            partition; /* -1: all */
    int64_t            from_ms;
    bool (*take)(void *arg, const rd_kafka_message_t *m);
    void *arg;
};
void pw_explain_search(struct pw_explain *ex, const struct pw_explain_search *se, const char **ret_why);
/* The last header of that name; false: there is none, or it is null. */
bool pw_explain_header(const rd_kafka_message_t *m, const char *name, const void **ret, size_t *ret_n);

/* ---- what it left in topics (explain_trace.c) ---- */

/* Where its outputs, its dead letters and what was sent again are. */
void pw_explain_trace(struct pw_explain *ex, const struct pw_pipeline *pl, const struct pw_life_event *ev, struct pw_life *li);
/* Where records with that event id are, from a time on. */
void pw_explain_scan_id(struct pw_explain *ex, const struct pw_pipeline *pl, const char *id, int64_t from_ms,
                        struct pw_life_place **ret, size_t *ret_n, const char **ret_why);

#endif
