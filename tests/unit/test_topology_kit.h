/* What the tests of the topology share: a smallest good file, and parsing of a changed one. */
#ifndef TEST_TOPOLOGY_KIT_H
#define TEST_TOPOLOGY_KIT_H

#include "topology/topology.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const good_lines[] = {
    "version: 1", "kafka: { bootstrap.servers: localhost:9092 }", "postgres: { dsn: dbname=pawl }", "pipelines:",
    "  uw:",      "    source: { topics: [in], group: g }",       "    plugin: { path: uw.so }",
};
#define GOOD_LINES 7

struct parsed {
    struct pw_arena    *ar;
    struct pw_topology *tp;
    struct pw_buf       report;
    struct pw_err       err;
    int                 rc;
};

static inline struct parsed parse_text(const char *text, size_t n)
{
    struct parsed pd = { .ar = pw_arena_new(4096) };

    pw_buf_puts(&pd.report, "");
    pd.rc = pw_topology_parse(pd.ar, "t.yaml", text, n, &pd.tp, &pd.report, &pd.err);
    cr_assert((pd.rc == 0) == (pd.report.n == 0), "%s", pd.report.p);
    cr_assert((pd.rc == 0) == (pd.tp != NULL));
    return pd;
}

/* The good file with one line replaced, or text added behind it (line GOOD_LINES + 1). */
static inline struct parsed parse_with(int line, const char *text)
{
    struct pw_buf b = { 0 };
    struct parsed pd;

    for (int i = 1; i <= GOOD_LINES + 1; i++)
        if (i == line || i <= GOOD_LINES)
            pw_buf_printf(&b, "%s\n", i == line ? text : good_lines[i - 1]);
    pd = parse_text(b.p, b.n);
    pw_buf_done(&b);
    return pd;
}

static inline void parsed_done(struct parsed *pd)
{
    pw_buf_done(&pd->report);
    pd->ar = pw_arena_free(pd->ar);
}

#define assert_good(pd) cr_assert_eq((pd).rc, 0, "%s", (pd).report.p)
#define assert_says(pd, what) \
    cr_assert((pd).rc < 0 && strstr((pd).report.p, (what)), "wanted: %s\ngot: %s", (what), (pd).report.p)

#endif
