#include "worker/receipt.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[PW_RECEIPT_KINDS] = { "batch", "decision", "unrecorded", "break" };

const char *pw_receipt_kind_name(enum pw_receipt_kind kind)
{
    return kinds[kind];
}

enum pw_receipt_kind pw_receipt_kind_of(const char *name)
{
    unsigned k = 0;

    while (k < PW_RECEIPT_KINDS && strcmp(kinds[k], name) != 0)
        k++;
    return (enum pw_receipt_kind)k;
}

void pw_receipt_hex(const unsigned char hash[PW_RECEIPT_HASH], char ret[2 * PW_RECEIPT_HASH + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < PW_RECEIPT_HASH; i++) {
        ret[2 * i]     = digits[hash[i] >> 4];
        ret[2 * i + 1] = digits[hash[i] & 15];
    }
    ret[(size_t)2 * PW_RECEIPT_HASH] = 0;
}

/* One field a line. Names of groups and topics have no line breaks, so no two rows have one text. */
static void canonical(struct pw_buf *b, const char *what, const struct pw_receipt *re)
{
    const int64_t *c = re->count;
    char           prev[2 * PW_RECEIPT_HASH + 1];

    pw_receipt_hex(re->prev_hash, prev);
    pw_buf_printf(b, "%s\n%s\n%s\n%" PRId32 "\n%" PRId64 "\n%s\n%" PRId64 "\n", what, re->group, re->topic, re->partition,
                  re->n, kinds[re->kind], re->stands_for);
    pw_buf_printf(b, "%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n", re->lo, re->hi, re->epoch);
    pw_buf_printf(b, "%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n",
                  c[PW_FATE_APPLIED], c[PW_FATE_SKIPPED], c[PW_FATE_REJECTED], c[PW_FATE_DUPLICATE], c[PW_FATE_PARKED],
                  c[PW_FATE_HOLE], c[PW_FATE_PASSED] + c[PW_FATE_UNRECORDED]);
    pw_buf_puts(b, re->fates); /* as they are: they may be long */
    pw_buf_puts(b, "\n");
    pw_buf_puts(b, re->resolved);
    pw_buf_printf(b, "\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%s\n", re->outbox_from, re->outbox_to, re->decision,
                  re->at_us, prev);
}

static void digest(const struct pw_buf *b, unsigned char ret[PW_RECEIPT_HASH])
{
    unsigned n = 0;

    PW_ASSERT(EVP_Digest(b->p, b->n, ret, &n, EVP_sha256(), NULL) == 1 && n == PW_RECEIPT_HASH);
}

void pw_receipt_hash(const struct pw_receipt *re, struct pw_buf *scratch, unsigned char ret[PW_RECEIPT_HASH])
{
    pw_buf_reset(scratch);
    canonical(scratch, "pawl receipt 1", re);
    digest(scratch, ret);
}

void pw_receipt_seal(const struct pw_receipt *re, struct pw_buf *scratch, unsigned char ret[PW_RECEIPT_HASH])
{
    char hash[2 * PW_RECEIPT_HASH + 1];

    pw_receipt_hex(re->hash, hash);
    pw_buf_reset(scratch);
    canonical(scratch, "pawl fold 1", re);
    pw_buf_printf(scratch, "%s\n", hash);
    digest(scratch, ret);
}

/* ---- fates ---- */

static void put(struct pw_buf *out, int64_t n, enum pw_fate fate)
{
    pw_buf_printf(out, "%s%" PRId64 "%c", out->n ? " " : "", n, PW_FATE_LETTERS[fate]);
}

void pw_fates_add(struct pw_fates *fs, enum pw_fate fate, int64_t n)
{
    if (n <= 0)
        return;
    if (fs->fate != fate)
        pw_fates_end(fs);
    fs->fate = fate;
    fs->run += n;
}

void pw_fates_end(struct pw_fates *fs)
{
    if (fs->run > 0)
        put(fs->out, fs->run, fs->fate);
    fs->run = 0;
}

/* "NUMBERLETTER", and a blank if more follows. */
static bool next_pair(const char **at, int64_t *ret_n, enum pw_fate *ret_fate)
{
    const char *p      = *at, *letter;
    size_t      digits = strspn(p, "0123456789");

    if (!digits || digits > 19 || (p[0] == '0' && digits > 1) || !p[digits] || !(letter = strchr(PW_FATE_LETTERS, p[digits])))
        return false;
    errno  = 0;
    *ret_n = strtoll(p, NULL, 10);
    if (errno || (p[digits + 1] && (p[digits + 1] != ' ' || !p[digits + 2])))
        return false;
    *ret_fate = (enum pw_fate)(letter - PW_FATE_LETTERS);
    *at       = p + digits + 1 + (p[digits + 1] == ' ');
    return true;
}

bool pw_fates_next(const char **at, int64_t *ret_n, enum pw_fate *ret_fate)
{
    return next_pair(at, ret_n, ret_fate);
}

void pw_resolved_add(struct pw_buf *out, int64_t offset, enum pw_fate fate)
{
    put(out, offset, fate);
}

bool pw_resolved_next(const char **at, int64_t *ret_offset, enum pw_fate *ret_fate)
{
    return next_pair(at, ret_offset, ret_fate);
}

enum pw_fate pw_fate_of(const struct pw_item *it)
{
    if (it->parked)
        return PW_FATE_PARKED;
    if (it->duplicate)
        return PW_FATE_DUPLICATE;
    return it->verdict == PAWL_OK ? PW_FATE_APPLIED : it->verdict == PAWL_SKIP ? PW_FATE_SKIPPED : PW_FATE_REJECTED;
}

void pw_receipt_fill(struct pw_receipt *re, struct pw_item *const *items, size_t n, struct pw_arena *ar, struct pw_buf *b)
{
    struct pw_fates fs = { .out = b };
    int64_t         at = re->lo;

    pw_buf_reset(b);
    for (size_t i = 0; i < n; i++) {
        const struct pw_item *it   = items[i];
        enum pw_fate          fate = pw_fate_of(it);

        if (it->unparked) /* it had its place in the map before */
            continue;
        if (it->msg.offset > at) {
            re->count[PW_FATE_HOLE] += it->msg.offset - at;
            pw_fates_add(&fs, PW_FATE_HOLE, it->msg.offset - at);
        }
        re->count[fate]++;
        pw_fates_add(&fs, fate, 1);
        at = it->msg.offset + 1;
    }
    if (re->hi > at) {
        re->count[PW_FATE_HOLE] += re->hi - at;
        pw_fates_add(&fs, PW_FATE_HOLE, re->hi - at);
    }
    pw_fates_end(&fs);
    re->fates = pw_arena_strndup(ar, b->n ? b->p : "", b->n);
    pw_buf_reset(b);
    for (size_t i = 0; i < n; i++) {
        if (!items[i]->unparked || items[i]->parked) /* it goes on waiting */
            continue;
        re->count[pw_fate_of(items[i])]++;
        pw_resolved_add(b, items[i]->msg.offset, pw_fate_of(items[i]));
    }
    re->resolved = pw_arena_strndup(ar, b->n ? b->p : "", b->n);
}

/* ---- the chain ---- */

static bool broken(const struct pw_receipt_tip *tip, int64_t lo)
{
    return tip->n != tip->stored_n || (tip->unrecorded_from >= 0 ? tip->unrecorded_from != tip->hi : tip->hi != lo);
}

/* n of the next one, whatever it is. */
static int64_t next_n(const struct pw_receipt_tip *tip)
{
    return (tip->n > tip->stored_n ? tip->n : tip->stored_n) + 1;
}

int64_t pw_receipt_n(const struct pw_receipt_tip *tip, int64_t lo)
{
    return next_n(tip) + (broken(tip, lo) || tip->hi != lo);
}

bool pw_receipt_gap(const struct pw_receipt_tip *tip, int64_t lo, struct pw_arena *ar, struct pw_receipt *ret)
{
    bool bad = broken(tip, lo);

    if (!bad && tip->hi == lo)
        return false;
    *ret = (struct pw_receipt){ .kind       = bad ? PW_RECEIPT_BREAK : PW_RECEIPT_UNRECORDED,
                                .n          = next_n(tip),
                                .stands_for = 1,
                                .lo         = tip->hi,
                                .hi         = lo,
                                .fates      = "",
                                .resolved   = "" };
    if (lo > tip->hi) {
        ret->count[PW_FATE_UNRECORDED] = lo - tip->hi;
        ret->fates                     = pw_arena_printf(ar, "%" PRId64 "U", lo - tip->hi);
    }
    memcpy(ret->prev_hash, tip->hash, PW_RECEIPT_HASH);
    return true;
}

void pw_receipt_append(struct pw_receipt_tip *tip, const struct pw_receipt *re)
{
    tip->n = tip->stored_n = re->n;
    tip->hi                = re->hi;
    tip->outbox_to         = re->outbox_to;
    tip->unrecorded_from   = -1;
    memcpy(tip->hash, re->hash, PW_RECEIPT_HASH);
}
