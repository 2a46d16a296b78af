/* The topology loader on any bytes: it may refuse them, but then with a report, and never with a crash, a leak or what a
 * secret says. The corpus is in corpus/topology. */
#include "topology/topology.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pw_arena    *ar     = pw_arena_new(4096);
    struct pw_buf       report = { 0 };
    struct pw_topology *tp;
    struct pw_err       err;
    int                 rc = pw_topology_parse(ar, "fuzz.yaml", (const char *)data, n, &tp, &report, &err);

    PW_ASSERT((rc == 0) == (report.n == 0));
    PW_ASSERT((rc == 0) == (tp != NULL));
    if (rc < 0) {
        PW_ASSERT(strncmp(report.p, "fuzz.yaml:", 10) == 0 && report.p[report.n - 1] == '\n');
        PW_ASSERT(strncmp(err.text, "fuzz.yaml:", 10) == 0);
    } else {
        PW_ASSERT(tp->pipelines_n > 0 && tp->kafka_n > 0 && tp->postgres_dsn);
        for (size_t i = 0; i < tp->pipelines_n; i++)
            PW_ASSERT(tp->pipelines[i].topics_n > 0 && tp->pipelines[i].group && tp->pipelines[i].plugin_path);
    }
    pw_buf_done(&report);
    (void)pw_arena_free(ar);
    return 0;
}
