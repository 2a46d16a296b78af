#include "uw_book.h"

#include "fake_host.h"

#include <assert.h>
#include <inttypes.h>
#include <pawl/sugar.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIND_POLICY, SAVE_POLICY, ADD_PREMIUM };

struct policy {
    char       id[65], status[16], bonus_malus[33], currency[4], facts[16384];
    int64_t    version, starts_on, ends_on, premium_minor;
    pawl_value cancelled_on;
};

struct uw_book {
    struct fake_host *fh;
    void             *policies; /* a tree by id */
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct policy *)a)->id, ((const struct policy *)b)->id);
}

struct uw_book *uw_book_new(const char *plugin_so, const char *cfg_file)
{
    struct uw_book *book = calloc(1, sizeof(*book));

    assert(book);
    book->fh = fake_host_new(fake_host_open(plugin_so), cfg_file);
    assert(book->fh);
    if (fake_host_create(book->fh) != PAWL_OK) {
        (void)fprintf(stderr, "uw_book: %s\n", fake_host_log(book->fh));
        abort();
    }
    return book;
}

void uw_book_free(struct uw_book *book)
{
    tdestroy(book->policies, free);
    fake_host_free(book->fh);
    free(book);
}

static void text_to(char *to, size_t cap, pawl_value v)
{
    assert(v.type == PAWL_V_TEXT && v.b.n < cap);
    memcpy(to, v.b.p, v.b.n);
    to[v.b.n] = '\0';
}

static void save(struct uw_book *book, const struct fake_write *w)
{
    struct policy  *po = calloc(1, sizeof(*po));
    struct policy **at;

    assert(po && w->stmt == SAVE_POLICY);
    text_to(po->id, sizeof(po->id), w->args[0]);
    at = tsearch(po, &book->policies, by_id);
    assert(at);
    if (*at != po) {
        free(po);
        po = *at;
    }
    text_to(po->status, sizeof(po->status), w->args[1]);
    po->version   = w->args[2].i;
    po->starts_on = w->args[3].i;
    po->ends_on   = w->args[4].i;
    text_to(po->bonus_malus, sizeof(po->bonus_malus), w->args[5]);
    po->premium_minor = w->args[6].i;
    text_to(po->currency, sizeof(po->currency), w->args[7]);
    po->cancelled_on = w->args[8];
    text_to(po->facts, sizeof(po->facts), w->args[9]);
}

pawl_rc uw_book_handle(struct uw_book *book, const pawl_msg *m, const char **ret_code)
{
    static struct policy wanted;
    struct policy      **at;
    pawl_value           row[9];
    pawl_rc              rc;

    rc = fake_host_plan(book->fh, m);
    assert(rc == PAWL_OK && fake_host_read(book->fh, FIND_POLICY)->asked);
    text_to(wanted.id, sizeof(wanted.id), fake_host_read(book->fh, FIND_POLICY)->args[0]);
    at = tfind(&wanted, &book->policies, by_id);
    if (at) {
        row[0] = pawl_text(pawl_cstr((*at)->status));
        row[1] = pawl_i64((*at)->version);
        row[2] = pawl_date((*at)->starts_on);
        row[3] = pawl_date((*at)->ends_on);
        row[4] = pawl_text(pawl_cstr((*at)->bonus_malus));
        row[5] = pawl_i64((*at)->premium_minor);
        row[6] = pawl_text(pawl_cstr((*at)->currency));
        row[7] = (*at)->cancelled_on;
        row[8] = (*at)->facts[0] ? pawl_text(pawl_cstr((*at)->facts)) : pawl_null();
        fake_host_feed(book->fh, FIND_POLICY, 1, 9, row);
    }
    rc = fake_host_handle(book->fh, m);
    if (rc == PAWL_OK) {
        assert(fake_host_writes(book->fh) >= 2 && fake_host_write(book->fh, 1)->stmt == ADD_PREMIUM);
        assert(fake_host_emits(book->fh) + 1 == fake_host_writes(book->fh));
        save(book, fake_host_write(book->fh, 0));
    }
    if (ret_code)
        *ret_code = fake_host_code(book->fh);
    return rc;
}

pawl_rc uw_book_apply(struct uw_book *book, const struct auto_mix_event *ev, int64_t offset, const char **ret_code)
{
    static const char topic[]   = "auto.events";
    pawl_header       headers[] = { { PAWL_STR("ce_id"), { ev->ce_id, strlen(ev->ce_id) } },
                                    { PAWL_STR("ce_type"), { ev->ce_type, strlen(ev->ce_type) } } };
    pawl_msg          m         = { .size         = sizeof(m),
                                    .topic        = { topic, sizeof(topic) - 1 },
                                    .attempt      = 1,
                                    .offset       = offset,
                                    .timestamp_ms = -1,
                                    .key          = { ev->key, strlen(ev->key) },
                                    .value        = { ev->value, ev->value_n },
                                    .headers      = headers,
                                    .n_headers    = 2 };

    return uw_book_handle(book, &m, ret_code);
}

size_t uw_book_rows(const struct uw_book *book)
{
    return fake_host_writes(book->fh) - 1;
}

struct uw_book_row uw_book_row(const struct uw_book *book, size_t i)
{
    const pawl_value  *a  = fake_host_write(book->fh, i + 1)->args;
    struct uw_book_row ro = { .version      = a[5].i,
                              .amount_minor = a[7].i,
                              .starts_on    = (int32_t)a[11].i,
                              .ends_on      = (int32_t)a[12].i,
                              .from_day     = (int32_t)a[13].i,
                              .claims       = a[15].type == PAWL_V_NULL ? -1 : (int32_t)a[15].i };

    text_to(ro.kind, sizeof(ro.kind), a[6]);
    text_to(ro.breakdown, sizeof(ro.breakdown), a[9]);
    if (a[14].type != PAWL_V_NULL)
        text_to(ro.bonus_malus, sizeof(ro.bonus_malus), a[14]);
    return ro;
}

const struct fake_emit *uw_book_emit(const struct uw_book *book, size_t i)
{
    return fake_host_emit(book->fh, i);
}

static struct policy *known(const struct uw_book *book, const char *policy_id)
{
    static struct policy wanted;
    struct policy      **at;

    (void)snprintf(wanted.id, sizeof(wanted.id), "%s", policy_id);
    at = tfind(&wanted, &book->policies, by_id);
    return at ? *at : NULL;
}

const char *uw_book_facts(const struct uw_book *book, const char *policy_id)
{
    const struct policy *po = known(book, policy_id);

    return po ? po->facts : NULL;
}

void uw_book_set_facts(struct uw_book *book, const char *policy_id, const char *facts)
{
    struct policy *po = known(book, policy_id);

    assert(po && strlen(facts) < sizeof(po->facts));
    (void)snprintf(po->facts, sizeof(po->facts), "%s", facts);
}

void uw_book_set_currency(struct uw_book *book, const char *policy_id, const char *currency)
{
    struct policy *po = known(book, policy_id);

    assert(po);
    (void)snprintf(po->currency, sizeof(po->currency), "%s", currency);
}

void uw_book_put_old(struct uw_book *book, const char *policy_id, bool cancelled)
{
    struct policy *po = calloc(1, sizeof(*po));

    assert(po && !known(book, policy_id));
    (void)snprintf(po->id, sizeof(po->id), "%s", policy_id);
    (void)snprintf(po->status, sizeof(po->status), "%s", cancelled ? "cancelled" : "active");
    (void)snprintf(po->bonus_malus, sizeof(po->bonus_malus), "3");
    (void)snprintf(po->currency, sizeof(po->currency), "RUB");
    po->version       = cancelled ? 2 : 1;
    po->starts_on     = 20089; /* 2025 */
    po->ends_on       = 20453;
    po->premium_minor = 1368446;
    po->cancelled_on  = pawl_null();
    if (!tsearch(po, &book->policies, by_id))
        abort();
}

void uw_book_renew_old(struct uw_book *book, const char *policy_id)
{
    struct policy *po = known(book, policy_id);

    assert(po);
    (void)snprintf(po->bonus_malus, sizeof(po->bonus_malus), "4");
    po->version++;
    po->starts_on     = 20454; /* 2026 */
    po->ends_on       = 20818;
    po->premium_minor = 1169612;
}

void uw_book_premium_header(FILE *out)
{
    (void)fputs(
        "source_offset,source_partition,policy_version,amount_minor,occurred_at,source_topic,event_id,policy_id,kind,currency,"
        "breakdown,starts_on,ends_on,from_day,bonus_malus,claims\n",
        out);
}

/* Ids, kinds and breakdowns have nothing in them that CSV would quote. */
static void put_text(FILE *out, pawl_value v)
{
    (void)fprintf(out, ",%.*s", (int)v.b.n, (const char *)v.b.p);
}

static void day_text(int64_t day, char out[16])
{
    time_t    t = (time_t)day * 86400;
    struct tm tm;

    (void)gmtime_r(&t, &tm);
    (void)strftime(out, 16, "%Y-%m-%d", &tm);
}

static void put_day(FILE *out, pawl_value v)
{
    char text[16] = "";

    if (v.type != PAWL_V_NULL)
        day_text(v.i, text);
    (void)fprintf(out, ",%s", text);
}

static void put_row(const pawl_value *a, FILE *out)
{
    time_t    t = (time_t)(a[10].i / 1000000);
    struct tm tm;
    char      at[32];

    (void)gmtime_r(&t, &tm);
    (void)strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S+00", &tm);
    (void)fprintf(out, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%s", a[2].i, a[1].i, a[5].i, a[7].i, at);
    put_text(out, a[0]);
    put_text(out, a[3]);
    put_text(out, a[4]);
    put_text(out, a[6]);
    put_text(out, a[8]);
    put_text(out, a[9]);
    put_day(out, a[11]);
    put_day(out, a[12]);
    put_day(out, a[13]);
    put_text(out, a[14]);
    if (a[15].type == PAWL_V_NULL)
        (void)fputs(",\n", out);
    else
        (void)fprintf(out, ",%" PRId64 "\n", a[15].i);
}

void uw_book_premium(const struct uw_book *book, FILE *out)
{
    for (size_t i = 1; i < fake_host_writes(book->fh); i++)
        put_row(fake_host_write(book->fh, i)->args, out);
}

static void put_policy(const void *node, VISIT which, void *out)
{
    const struct policy *po = *(const struct policy *const *)node;
    char                 from[16], to[16], over[16] = "";

    if (which != postorder && which != leaf)
        return;
    day_text(po->starts_on, from);
    day_text(po->ends_on, to);
    if (po->cancelled_on.type != PAWL_V_NULL)
        day_text(po->cancelled_on.i, over);
    (void)fprintf(out, "%s,%" PRId64 ",%" PRId64 ",%s,%s,%s,%s,%s,%s,%s\n", po->id, po->version, po->premium_minor, from, to,
                  po->status, po->bonus_malus, po->currency, over, po->facts);
}

void uw_book_policies(const struct uw_book *book, FILE *out)
{
    (void)fputs("policy_id,version,premium_minor,starts_on,ends_on,status,bonus_malus,currency,cancelled_on,facts\n", out);
    twalk_r(book->policies, put_policy, out);
}
