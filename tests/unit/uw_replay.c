/* uw_replay COUNT SEED BAD DIR [DUPLICATES [book]]: what a faultless run over the generated events leaves behind, without Kafka and PostgreSQL:
 * DIR/events.tsv, premium.csv, policy.csv and dead.csv. The oracle's tests begin with these and then break them. */
#include "auto_row.h"
#include "uw_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *create(const char *dir, const char *name)
{
    char  path[4096];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

static int closed(FILE *f)
{
    return ferror(f) | fclose(f);
}

int main(int argc, char **argv)
{
    struct auto_mix_params params;
    struct auto_mix       *mix;
    struct auto_mix_event  ev;
    struct uw_book        *book;
    FILE                  *events, *premium, *policy, *dead;
    int64_t                offset = 0;

    if (argc < 5 || argc > 7) {
        (void)fprintf(stderr, "usage: uw_replay COUNT SEED BAD DIR [DUPLICATES [book]]\n");
        return 2;
    }
    params  = (struct auto_mix_params){ .count      = strtoull(argv[1], NULL, 10),
                                        .seed       = strtoull(argv[2], NULL, 10),
                                        .bad        = strtoull(argv[3], NULL, 10),
                                        .duplicates = argc >= 6 ? strtoull(argv[5], NULL, 10) : 0,
                                        .book       = argc == 7 };
    mix     = auto_mix_new(&params);
    book    = uw_book_new(UNDERWRITING_SO, UNDERWRITING_CFG);
    events  = create(argv[4], "events.tsv");
    premium = create(argv[4], "premium.csv");
    policy  = create(argv[4], "policy.csv");
    dead    = create(argv[4], "dead.csv");
    auto_row_header(events);
    uw_book_premium_header(premium);
    (void)fputs("topic,partition,source_offset,code\n", dead);
    for (; auto_mix_next(mix, &ev); offset++) {
        struct auto_row row = { 0,
                                offset,
                                ev.occurred_at_us / 1000,
                                { ev.key, strlen(ev.key) },
                                { ev.ce_id, strlen(ev.ce_id) },
                                { ev.ce_type, strlen(ev.ce_type) },
                                { ev.value, ev.value_n },
                                { NULL, 0 },
                                { NULL, 0 } };
        const char     *code;
        pawl_rc         rc;

        auto_row_print(events, &row);
        if (ev.copy) /* passed over */
            continue;
        rc = uw_book_apply(book, &ev, offset, &code);
        if (rc == PAWL_OK)
            uw_book_premium(book, premium);
        else
            (void)fprintf(dead, "auto.events,0,%lld,%s\n", (long long)offset, code);
    }
    uw_book_policies(book, policy);
    uw_book_free(book);
    auto_mix_free(mix);
    return closed(events) | closed(premium) | closed(policy) | closed(dead);
}
