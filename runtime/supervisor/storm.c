#include "supervisor/storm.h"

#include "observe/text.h"

#include <string.h>

static bool is_over(const struct pw_storm *st, const struct pw_storm_seen *se, int64_t now_us, uint64_t done)
{
    return now_us - se->at_us > st->window_us && done != se->done;
}

static void forget_old(struct pw_storm *st, int64_t now_us, uint64_t done)
{
    size_t kept = 0;

    for (size_t i = 0; i < st->n; i++)
        if (!is_over(st, &st->seen[i], now_us, done))
            st->seen[kept++] = st->seen[i];
    st->n = kept;
}

static struct pw_storm_seen *find(struct pw_storm *st, const char *topic, int32_t partition, int64_t offset)
{
    for (size_t i = 0; i < st->n; i++)
        if (st->seen[i].offset == offset && st->seen[i].partition == partition && strcmp(st->seen[i].topic, topic) == 0)
            return &st->seen[i];
    return NULL;
}

bool pw_storm_add(struct pw_storm *st, const char *topic, int32_t partition, int64_t offset, int64_t now_us, uint64_t done)
{
    struct pw_storm_seen *se;

    if (!st->limit)
        return false;
    forget_old(st, now_us, done);
    se = find(st, topic, partition, offset);
    if (!se) {
        if (st->n == st->limit) /* it was one already, and goes on */
            return true;
        se = &st->seen[st->n++];
        pw_text_copy(se->topic, sizeof(se->topic), topic, strlen(topic));
        se->partition = partition;
        se->offset    = offset;
    }
    se->at_us = now_us;
    se->done  = done;
    return st->n == st->limit;
}

void pw_storm_clear(struct pw_storm *st)
{
    st->n = 0;
}

void pw_storm_limit(struct pw_storm *st, uint32_t messages, uint32_t window_ms)
{
    st->limit     = messages;
    st->window_us = (int64_t)window_ms * 1000;
    st->n         = 0;
}
