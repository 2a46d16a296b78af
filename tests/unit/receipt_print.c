/* Receipts as the module makes them, for a check by somebody else's SHA-256: one JSON object a line. */
#include "worker/receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_one(const struct pw_receipt *re, struct pw_buf *scratch)
{
    unsigned char hash[PW_RECEIPT_HASH], seal[PW_RECEIPT_HASH];
    char          hex[2 * PW_RECEIPT_HASH + 1];

    printf("{\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%d,\"n\":%" PRId64 ",\"kind\":\"%s\",\"stands_for\":%" PRId64
           ",\"lo\":%" PRId64 ",\"hi\":%" PRId64 ",\"epoch\":%" PRId64 ",\"counts\":[",
           re->group, re->topic, re->partition, re->n, pw_receipt_kind_name(re->kind), re->stands_for, re->lo, re->hi,
           re->epoch);
    for (int i = 0; i < PW_FATE_N; i++)
        printf("%s%" PRId64, i ? "," : "", re->count[i]);
    pw_receipt_hex(re->prev_hash, hex);
    printf("],\"fates\":\"%s\",\"resolved\":\"%s\",\"outbox_from\":%" PRId64 ",\"outbox_to\":%" PRId64 ",\"decision\":%" PRId64
           ",\"at_us\":%" PRId64 ",\"prev_hash\":\"%s\"",
           re->fates, re->resolved, re->outbox_from, re->outbox_to, re->decision, re->at_us, hex);
    pw_receipt_hash(re, scratch, hash);
    pw_receipt_hex(hash, hex);
    printf(",\"hash\":\"%s\"", hex);
    pw_receipt_seal(re, scratch, seal);
    pw_receipt_hex(seal, hex);
    printf(",\"seal\":\"%s\",", hex);
    pw_receipt_hex(re->hash, hex);
    printf("\"kept_hash\":\"%s\"}\n", hex);
}

int main(void)
{
    struct pw_buf     scratch = { 0 };
    struct pw_arena  *ar      = pw_arena_new(1 << 16);
    struct pw_receipt re      = { .group = "g", .topic = "t.in", .stands_for = 1, .n = 1, .fates = "", .resolved = "" };
    uint64_t          seed    = 42;

    print_one(&re, &scratch); /* all zero */
    for (int i = 0; i < 200; i++) {
        struct pw_item  items[64] = { 0 };
        struct pw_item *list[64];
        int64_t         at;
        struct pw_buf   text = { 0 };

        re.lo = at = re.hi;
        for (size_t k = 0; k < 64; k++) {
            seed                = seed * 6364136223846793005u + 1442695040888963407u;
            list[k]             = &items[k];
            items[k].msg.offset = at = at + (int64_t)((seed >> 60) == 0 ? seed >> 58 & 3 : 0);
            items[k].verdict         = (seed >> 40 & 7) == 0 ? PAWL_REJECT : (seed >> 40 & 7) == 1 ? PAWL_SKIP : PAWL_OK;
            items[k].duplicate       = (seed >> 43 & 15) == 0;
            items[k].parked          = (seed >> 47 & 15) == 0;
            at++;
        }
        if (i % 3 == 0) { /* the last two come from the park */
            for (int k = 62; k < 64; k++) {
                items[k].unparked   = true;
                items[k].parked     = k == 62;
                items[k].msg.offset = k;
            }
            at = items[61].msg.offset + 1;
        }
        memset(re.count, 0, sizeof(re.count));
        re.hi          = at + (i % 5 == 0 ? 3 : 0);
        re.n           = i + 2;
        re.partition   = i % 7;
        re.epoch       = i / 10;
        re.kind        = (enum pw_receipt_kind)(i % PW_RECEIPT_KINDS);
        re.stands_for  = i % 11 == 0 ? 5 : 1;
        re.outbox_from = re.outbox_to;
        re.outbox_to += i % 4;
        re.decision = i % 13;
        re.at_us    = INT64_C(1769800000000000) + i;
        pw_receipt_fill(&re, list, 64, ar, &text);
        pw_buf_done(&text);
        memcpy(re.prev_hash, re.hash, PW_RECEIPT_HASH);
        print_one(&re, &scratch);
        pw_receipt_hash(&re, &scratch, re.hash);
    }
    pw_buf_done(&scratch);
    pw_arena_free(ar);
    return 0;
}
