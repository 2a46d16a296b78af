#include "observe/partitions.h"

#include <stdlib.h>
#include <string.h>

int64_t pw_partition_lag(const struct pw_bb_partition_view *v)
{
    int64_t lag;

    if (v->end_offset < 0 || v->next_offset < 0 || __builtin_sub_overflow(v->end_offset, v->next_offset, &lag))
        return -1;
    return lag < 0 ? 0 : lag;
}

const char *pw_partition_state_name(enum pw_bb_pstate state)
{
    switch (state) {
    case PW_BB_P_NONE: break;
    case PW_BB_P_CLAIMING: return "claiming";
    case PW_BB_P_RUNNING: return "running";
    case PW_BB_P_RETRYING: return "retrying";
    case PW_BB_P_HALTED: return "halted";
    }
    return "none";
}

static bool reads_topic(const struct pw_page *pg, const char *topic)
{
    for (size_t i = 0; i < pg->topics_n; i++)
        if (strcmp(pg->topics[i], topic) == 0)
            return true;
    return false;
}

static int by_partition(const struct pw_partition_row *a, const struct pw_partition_row *b)
{
    int rc = strcmp(a->page->pipeline, b->page->pipeline);

    if (rc) /* in the order of the pages */
        return a->page < b->page ? -1 : 1;
    rc = strcmp(a->view.topic, b->view.topic);
    return rc ? rc : (a->view.partition > b->view.partition) - (a->view.partition < b->view.partition);
}

/* The better row of one partition first. */
static int compare(const void *pa, const void *pb)
{
    const struct pw_partition_row *a = pa, *b = pb;
    int                            rc = by_partition(a, b);

    if (rc)
        return rc;
    if (a->current != b->current)
        return a->current ? -1 : 1;
    if (a->view.next_offset != b->view.next_offset)
        return a->view.next_offset > b->view.next_offset ? -1 : 1;
    return (a->page > b->page) - (a->page < b->page);
}

static size_t read_page(const struct pw_page *pg, struct pw_partition_row *rows)
{
    bool   history = pg->settled;
    size_t n = 0, kept = 0;

    for (uint32_t i = 0; i < PW_BB_PARTITIONS; i++) {
        struct pw_partition_row *row = &rows[n];

        if (!pw_bb_partition_read(pg->bb, i, &row->view) || row->view.partition < 0 || !reads_topic(pg, row->view.topic))
            continue;
        row->page    = pg;
        row->current = pg->pid > 0 && row->view.writer == pg->pid;
        history      = history || row->current;
        n++;
    }
    for (size_t i = 0; i < n; i++)
        if (rows[i].current || !history)
            rows[kept++] = rows[i];
    return kept;
}

size_t pw_partitions_collect(const struct pw_page *pages, size_t n, struct pw_partition_row **ret_rows)
{
    struct pw_partition_row *rows = NULL;
    size_t                   have = 0, kept = 0;

    for (size_t i = 0; i < n; i++) {
        rows = realloc(rows, (have + PW_BB_PARTITIONS) * sizeof(*rows));
        PW_ASSERT(rows != NULL);
        have += read_page(&pages[i], rows + have);
    }
    if (have)
        qsort(rows, have, sizeof(*rows), compare);
    for (size_t i = 0; i < have; i++) /* the first of each partition stays */
        if (kept == 0 || by_partition(&rows[kept - 1], &rows[i]) != 0)
            rows[kept++] = rows[i];
    *ret_rows = rows;
    return kept;
}
