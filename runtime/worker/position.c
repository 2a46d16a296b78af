#include "worker/position.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA "pawl 1 "
#define WITHIN   " +"

void pw_position_format(char buf[PW_POSITION_TEXT], int64_t seq, bool within)
{
    (void)snprintf(buf, PW_POSITION_TEXT, METADATA "%lld%s", (long long)seq, within ? WITHIN : "");
}

bool pw_position_parse(const char *metadata, size_t n, int64_t *ret_seq, bool *ret_within)
{
    char   text[32];
    char  *end;
    size_t head = sizeof(METADATA) - 1, tail = sizeof(WITHIN) - 1;

    if (!metadata || n >= sizeof(text) || n <= head || memcmp(metadata, METADATA, head) != 0)
        return false;
    n -= head;
    memcpy(text, metadata + head, n);
    *ret_within = n > tail && memcmp(text + n - tail, WITHIN, tail) == 0;
    n -= *ret_within ? tail : 0;
    text[n]  = 0;
    errno    = 0;
    *ret_seq = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && end == text + n && errno == 0; /* no sign, no space, no NUL */
}

/* ---- decisions ---- */

/* Rows are made again that were published: those up to decided.seq are not sent, and this has not been proved right yet. */
static bool is_skipping(const struct pw_position_at *at)
{
    return at->decided.made && at->decided.said == at->decided.seq && at->decided.seq > at->published_seq;
}

/* The operator saw what we see: no row came since, and the group says the same. */
static bool is_decided(const struct pw_position_at *at, int64_t said)
{
    return at->decided.made && at->decided.said == said && at->decided.outbox == at->outbox_seq &&
           at->decided.seq <= at->outbox_seq;
}

static enum pw_position_verdict write_it(struct pw_position *ret, int64_t offset, int64_t seq, int64_t border)
{
    ret->offset = offset;
    ret->seq    = seq;
    ret->border = border;
    return PW_POSITION_WRITE;
}

/* The group has no position that means anything. If all is published none is needed, and it gets one before the partition starts,
 * so that a missing offset later always means that one was lost. */
static enum pw_position_verdict without_position(const struct pw_position_at *at, const rd_kafka_topic_partition_t *committed,
                                                 struct pw_position *ret)
{
    const struct pw_decided *de = &at->decided;

    if (is_skipping(at) && at->outbox_seq <= de->seq) /* nothing above can have been published meanwhile */
        return write_it(ret, at->next_offset, de->seq, de->seq);
    if (at->outbox_seq == at->published_seq)
        return write_it(ret, at->next_offset, at->outbox_seq, 0);
    if (is_decided(at, -1))
        return write_it(ret, de->offset, de->seq, 0);
    if (committed->offset < 0)
        (void)snprintf(ret->why, sizeof(ret->why),
                       "the group has no offset, and outbox rows %lld to %lld may or may not have been published",
                       (long long)at->published_seq + 1, (long long)at->outbox_seq);
    else
        (void)snprintf(ret->why, sizeof(ret->why),
                       "the group's offset %lld was not written by pawl, and outbox rows above %lld wait",
                       (long long)committed->offset, (long long)at->published_seq);
    return PW_POSITION_HALT;
}

enum pw_position_verdict pw_position_compare(const struct pw_position_at *at, const rd_kafka_topic_partition_t *committed,
                                             struct pw_position *ret)
{
    const struct pw_decided *de = &at->decided;
    int64_t                  seq;
    bool                     within;

    *ret = (struct pw_position){ .offset = committed->offset };
    if (committed->offset < 0 || !pw_position_parse(committed->metadata, committed->metadata_size, &seq, &within))
        return without_position(at, committed, ret);
    ret->seq = seq;
    if (is_skipping(at) && seq == de->seq) {
        ret->border = seq;
        /* the offset follows re-processing, so that the lag is true */
        return committed->offset > at->next_offset ? write_it(ret, at->next_offset, seq, seq) : PW_POSITION_FITS;
    }
    if (seq <= at->outbox_seq)
        return PW_POSITION_FITS;
    if (is_decided(at, seq))
        return write_it(ret, de->offset, de->seq, 0);
    (void)snprintf(ret->why, sizeof(ret->why),
                   "published up to %lld, but PostgreSQL has outbox rows up to %lld only: was it restored?", (long long)seq,
                   (long long)at->outbox_seq);
    return PW_POSITION_HALT;
}

/* ---- the border ---- */

bool pw_position_border_due(const struct pw_position_at *at)
{
    return at->decided.offset < 0 ? at->outbox_seq >= at->decided.seq : at->next_offset >= at->decided.offset;
}

bool pw_position_border(const struct pw_position_at *at, int64_t last, int64_t next, char *ret_why, size_t why_cap)
{
    const struct pw_decided *de = &at->decided;

    if (de->offset < 0)
        return true;
    if (at->outbox_seq >= de->seq && last < de->offset && (next < 0 || next >= de->offset))
        return true;
    (void)snprintf(ret_why, why_cap,
                   "made again, the messages below offset %lld end at another row than %lld, where the published ones ended",
                   (long long)de->offset, (long long)de->seq);
    return false;
}
