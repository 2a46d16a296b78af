#include "worker/position.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- the group offset's metadata ---- */

static bool parses_as(const char *text, int64_t *ret_seq, bool *ret_within)
{
    size_t n    = strlen(text);
    char  *copy = malloc(n ? n : 1); /* without a NUL: the broker's bytes have none, and a sanitizer sees a read beyond them */
    bool   ok;

    cr_assert_not_null(copy);
    memcpy(copy, text, n);
    ok = pw_position_parse(copy, n, ret_seq, ret_within);
    free(copy);
    return ok;
}

static bool parses(const char *text, int64_t *ret_seq)
{
    bool within;

    return parses_as(text, ret_seq, &within);
}

Test(position, metadata_comes_back_as_it_was_written)
{
    static const int64_t seqs[] = { 0, 1, 9, 10, 4711, INT32_MAX, INT64_MAX - 1, INT64_MAX };

    for (size_t i = 0; i < 2 * sizeof(seqs) / sizeof(seqs[0]); i++) {
        char    text[PW_POSITION_TEXT];
        int64_t seq    = -1;
        bool    within = i % 2 == 0;

        pw_position_format(text, seqs[i / 2], i % 2 != 0);
        cr_assert(parses_as(text, &seq, &within), "%s", text);
        cr_assert_eq(seq, seqs[i / 2], "%s", text);
        cr_assert_eq(within, i % 2 != 0, "%s", text);
    }
}

Test(position, metadata_names_its_format)
{
    char text[PW_POSITION_TEXT];

    pw_position_format(text, 17, false);
    cr_assert_str_eq(text, "pawl 1 17");
    pw_position_format(text, 17, true);
    cr_assert_str_eq(text, "pawl 1 17 +");
}

Test(position, metadata_of_others_is_no_position)
{
    static const char *const others[] = {
        "",
        " ",
        "17",
        "pawl",
        "pawl 1",
        "pawl 1 ",
        "pawl 2 17",
        "pawl 11 7",
        "Pawl 1 17",
        " pawl 1 17",
        "pawl 1 x",
        "pawl 1 17x",
        "pawl 1 17 ",
        "pawl 1 -1",
        "pawl 1 +1",
        "pawl 1 17+",
        "pawl 1 17 + ",
        "pawl 1  +",
        "pawl 1 +",
        "pawl 1  1",
        "pawl 1 \t1",
        "pawl 1 9223372036854775808", /* one above the highest */
        "pawl 1 99999999999999999999",
        "pawl 1 000000000000000000000000000000000000000017", /* longer than any that was written */
    };
    int64_t seq;
    bool    within;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_assert_not(parses(others[i], &seq), "'%s' was taken for a position", others[i]);
    cr_assert_not(pw_position_parse(NULL, 0, &seq, &within));
    cr_assert_not(pw_position_parse("pawl 1 1\0002", 10, &seq, &within), "a NUL hides the rest");
}

/* ---- what the group says, against PostgreSQL ---- */

struct group {
    int64_t     offset;
    const char *metadata;
};

static enum pw_position_verdict compare(struct group group, struct pw_position_at at, struct pw_position *ret)
{
    const rd_kafka_topic_partition_t tp = { .offset        = group.offset,
                                            .metadata      = (void *)(uintptr_t)group.metadata,
                                            .metadata_size = group.metadata ? strlen(group.metadata) : 0 };

    return pw_position_compare(&at, &tp, ret);
}

#define NONE ((struct group){ RD_KAFKA_OFFSET_INVALID, NULL })

Test(position, what_fits_goes_on_behind_the_last_row_published)
{
    struct pw_position po;

    cr_assert_eq(compare((struct group){ 90, "pawl 1 50" }, (struct pw_position_at){ 100, 60, 40, { 0 } }, &po),
                 PW_POSITION_FITS);
    cr_assert_eq(po.offset, 90);
    cr_assert_eq(po.seq, 50);
    cr_assert_eq(po.border, 0);
    cr_assert_eq(compare((struct group){ 100, "pawl 1 60" }, (struct pw_position_at){ 100, 60, 40, { 0 } }, &po),
                 PW_POSITION_FITS);
}

Test(position, a_group_that_is_one_row_ahead_halts)
{
    struct pw_position po;

    cr_assert_eq(compare((struct group){ 100, "pawl 1 61" }, (struct pw_position_at){ 90, 60, 60, { 0 } }, &po),
                 PW_POSITION_HALT);
    cr_assert(strstr(po.why, "published up to 61, but PostgreSQL has outbox rows up to 60 only"), "%s", po.why);
}

Test(position, no_position_is_made_where_all_is_published_and_halts_where_a_row_waits)
{
    static const struct group none[] = { { RD_KAFKA_OFFSET_INVALID, NULL }, { 70, "somebody" }, { 70, NULL } };
    struct pw_position        po;

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        cr_assert_eq(compare(none[i], (struct pw_position_at){ 90, 60, 60, { 0 } }, &po), PW_POSITION_WRITE);
        cr_assert_eq(po.offset, 90);
        cr_assert_eq(po.seq, 60);
        cr_assert_eq(compare(none[i], (struct pw_position_at){ 90, 61, 60, { 0 } }, &po), PW_POSITION_HALT);
    }
}

/* ---- decisions: restored at row 60, offset 90; published up to row 80, all below offset 110 ---- */

static const struct pw_decided republish = { true, 80, 60, 60, 90 }, skip = { true, 80, 60, 80, 110 };

Test(position, a_decision_to_publish_again_brings_the_group_in_line)
{
    struct pw_position po;

    cr_assert_eq(compare((struct group){ 110, "pawl 1 80" }, (struct pw_position_at){ 90, 60, 55, republish }, &po),
                 PW_POSITION_WRITE);
    cr_assert_eq(po.offset, 90);
    cr_assert_eq(po.seq, 60);
    cr_assert_eq(po.border, 0);
}

Test(position, a_decision_to_publish_again_counts_for_what_the_operator_saw_only)
{
    struct pw_position po;

    cr_assert_eq(compare((struct group){ 111, "pawl 1 81" }, (struct pw_position_at){ 90, 60, 60, republish }, &po),
                 PW_POSITION_HALT, "more was published");
    cr_assert_eq(compare((struct group){ 110, "pawl 1 80" }, (struct pw_position_at){ 91, 61, 60, republish }, &po),
                 PW_POSITION_HALT, "a row came, then the database was restored once more");
}

Test(position, a_decision_to_skip_holds_until_its_end_is_proved)
{
    struct pw_position po;

    for (int64_t rows = 60; rows <= 82; rows++) { /* also after restarts on the way */
        cr_assert_neq(
            compare((struct group){ 30 + rows, "pawl 1 80 +" }, (struct pw_position_at){ 30 + rows, rows, 60, skip }, &po),
            PW_POSITION_HALT);
        cr_assert_eq(po.seq, 80);
        cr_assert_eq(po.border, 80);
    }
    cr_assert_eq(compare((struct group){ 112, "pawl 1 82" }, (struct pw_position_at){ 112, 82, 80, skip }, &po),
                 PW_POSITION_FITS);
    cr_assert_eq(po.border, 0, "proved, and the row at the border deleted");
    cr_assert_eq(compare((struct group){ 112, "pawl 1 82" }, (struct pw_position_at){ 112, 82, 79, skip }, &po),
                 PW_POSITION_FITS);
    cr_assert_eq(po.border, 0, "more was published since: it was proved");
}

Test(position, while_rows_are_skipped_the_group_shows_how_far_messages_are_applied)
{
    struct pw_position po;

    cr_assert_eq(compare((struct group){ 110, "pawl 1 80" }, (struct pw_position_at){ 90, 60, 60, skip }, &po),
                 PW_POSITION_WRITE);
    cr_assert_eq(po.offset, 90);
    cr_assert_eq(po.seq, 80);
}

Test(position, a_lost_group_offset_forgets_no_skipping)
{
    struct pw_position po;

    cr_assert_eq(compare(NONE, (struct pw_position_at){ 100, 70, 70, skip }, &po), PW_POSITION_WRITE);
    cr_assert_eq(po.seq, 80);
    cr_assert_eq(po.border, 80);
    cr_assert_eq(compare(NONE, (struct pw_position_at){ 111, 81, 79, skip }, &po), PW_POSITION_HALT,
                 "row 81 may have been published");
}

Test(position, a_decision_to_skip_holds_for_no_later_restore)
{
    struct pw_position po;

    cr_assert_eq(compare((struct group){ 130, "pawl 1 95" }, (struct pw_position_at){ 100, 70, 70, skip }, &po),
                 PW_POSITION_HALT);
}

Test(position, a_lost_group_offset_is_decided_both_ways)
{
    static const struct pw_decided sent = { true, -1, 60, 60, 90 }, again = { true, -1, 60, 55, 84 };
    struct pw_position             po;

    cr_assert_eq(compare(NONE, (struct pw_position_at){ 90, 60, 55, sent }, &po), PW_POSITION_WRITE);
    cr_assert_eq(po.offset, 90);
    cr_assert_eq(po.seq, 60);
    cr_assert_eq(compare(NONE, (struct pw_position_at){ 90, 60, 55, again }, &po), PW_POSITION_WRITE);
    cr_assert_eq(po.offset, 84);
    cr_assert_eq(po.seq, 55);
    cr_assert_eq(po.border, 0);
    cr_assert_eq(compare(NONE, (struct pw_position_at){ 91, 61, 55, sent }, &po), PW_POSITION_HALT, "a row came since");
}

/* ---- the border ---- */

static bool ends_right(int64_t next_offset, int64_t outbox, int64_t last, int64_t next, const struct pw_decided *de)
{
    const struct pw_position_at at = { next_offset, outbox, 60, *de };
    char                        why[160];

    return pw_position_border(&at, last, next, why, sizeof(why));
}

Test(position, the_border_is_looked_at_when_the_messages_below_it_are_applied)
{
    cr_assert_not(pw_position_border_due(&(struct pw_position_at){ 109, 85, 60, skip }));
    cr_assert(pw_position_border_due(&(struct pw_position_at){ 110, 70, 60, skip }));
}

Test(position, rows_made_again_end_where_the_published_ones_did)
{
    cr_assert(ends_right(110, 80, 109, -1, &skip));
    cr_assert(ends_right(115, 85, 105, 110, &skip), "messages without rows around it");
    cr_assert(ends_right(115, 85, -1, -1, &skip), "rows that no message wrote in its turn say nothing");
}

Test(position, rows_made_again_that_end_elsewhere_halt)
{
    cr_assert_not(ends_right(110, 79, -1, -1, &skip), "one too few");
    cr_assert_not(ends_right(111, 80, 110, -1, &skip), "one too few: the next message's would be skipped");
    cr_assert_not(ends_right(110, 81, 108, 109, &skip), "one too many: it would be published twice");
}

Test(position, an_end_that_cannot_be_compared_is_taken_as_it_is)
{
    struct pw_decided blind = skip;

    blind.offset = -1;
    cr_assert_not(pw_position_border_due(&(struct pw_position_at){ 200, 79, 60, blind }));
    cr_assert(pw_position_border_due(&(struct pw_position_at){ 100, 80, 60, blind }));
    cr_assert(ends_right(100, 81, 99, 99, &blind));
}
