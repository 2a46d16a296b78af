#include "auto_row.h"

#include "auto/events/v1/events.pb-c.h"

#include <inttypes.h>
#include <string.h>

void auto_row_header(FILE *out)
{
    (void)fputs(
        "partition\toffset\ttimestamp_ms\tkey\tce_id\tce_type\tdecode\tevent_id\tpolicy_id\toccurred_at_us\tbody\tstarts_on\tends_on\t"
        "bonus_malus_class\tclaims\tcancelled_on\treason_bytes\tvehicle_class\tterritory\tengine_power_hp\tuse_months\t"
        "unlimited_drivers\tdrivers\tbug\tredriven\teffective_on\ttrailer\tregistered_abroad\n",
        out);
}

void auto_row_put(FILE *out, const void *p, size_t n, const char *also)
{
    const unsigned char *c = p;

    if (!p) {
        (void)fputs("\\N", out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (c[i] < 0x20 || c[i] > 0x7e || c[i] == '\\' || strchr(also, c[i]))
            (void)fprintf(out, "\\x%02x", c[i]);
        else
            (void)fputc(c[i], out);
}

static void put_text(FILE *out, const char *s)
{
    (void)fputc('\t', out);
    auto_row_put(out, s, s ? strlen(s) : 0, "");
}

static void put_number(FILE *out, int64_t v)
{
    (void)fprintf(out, "\t%" PRId64, v);
}

static void put_absent(FILE *out, int n)
{
    for (int i = 0; i < n; i++)
        (void)fputs("\t\\N", out);
}

static void put_period(FILE *out, const Auto__Events__V1__Period *p)
{
    put_text(out, p ? p->starts_on : NULL);
    put_text(out, p ? p->ends_on : NULL);
}

static void put_risk(FILE *out, const Auto__Events__V1__Risk *r)
{
    if (!r) {
        put_absent(out, 6);
        return;
    }
    put_text(out, r->vehicle_class);
    put_text(out, r->territory);
    put_number(out, r->engine_power_hp);
    put_number(out, r->use_months);
    put_number(out, r->unlimited_drivers ? 1 : 0);
    (void)fputc('\t', out);
    for (size_t i = 0; i < r->n_drivers; i++) { /* birth/licence;birth/licence */
        const Auto__Events__V1__Driver *d = r->drivers[i];

        (void)fputs(i > 0 ? ";" : "", out);
        auto_row_put(out, d->birth_date, strlen(d->birth_date), "/;");
        (void)fputc('/', out);
        auto_row_put(out, d->licensed_on, strlen(d->licensed_on), "/;");
    }
}

static void put_body(FILE *out, const Auto__Events__V1__PolicyEvent *pb)
{
    if (pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED) {
        put_text(out, "issued");
        put_period(out, pb->issued->period);
        put_text(out, pb->issued->bonus_malus_class);
        put_absent(out, 3);
        put_risk(out, pb->issued->risk);
    } else if (pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED) {
        put_text(out, "renewed");
        put_period(out, pb->renewed->period);
        put_absent(out, 1);
        put_number(out, pb->renewed->claims);
        put_absent(out, 2);
        put_risk(out, pb->renewed->risk);
    } else if (pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED) {
        put_text(out, "cancelled");
        put_absent(out, 4);
        put_text(out, pb->cancelled->cancelled_on);
        put_number(out, (int64_t)strlen(pb->cancelled->reason));
        put_absent(out, 6);
    } else if (pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED) {
        put_text(out, "corrected");
        put_absent(out, 2);
        put_text(out, pb->corrected->bonus_malus_class);
        put_absent(out, 2);
        put_number(out, (int64_t)strlen(pb->corrected->reason));
        put_risk(out, pb->corrected->risk);
    } else {
        put_text(out, "none");
        put_absent(out, 12);
    }
}

/* What came to the risk later: its columns are the last ones. */
static void put_rest(FILE *out, const Auto__Events__V1__PolicyEvent *pb)
{
    const Auto__Events__V1__Risk *r = NULL;

    if (pb && pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED)
        r = pb->issued->risk;
    else if (pb && pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED)
        r = pb->renewed->risk;
    else if (pb && pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED)
        r = pb->corrected->risk;
    if (!r) {
        put_absent(out, 2);
        return;
    }
    put_number(out, r->trailer ? 1 : 0);
    put_number(out, r->registered_abroad ? 1 : 0);
}

void auto_row_print(FILE *out, const struct auto_row *row)
{
    Auto__Events__V1__PolicyEvent *pb =
        row->value.p ? auto__events__v1__policy_event__unpack(NULL, row->value.n, row->value.p) : NULL;
    const char *effective_on = NULL;

    (void)fprintf(out, "%" PRId32 "\t%" PRId64 "\t%" PRId64 "\t", row->partition, row->offset, row->timestamp_ms);
    auto_row_put(out, row->key.p, row->key.n, "");
    (void)fputc('\t', out);
    auto_row_put(out, row->ce_id.p, row->ce_id.n, "");
    (void)fputc('\t', out);
    auto_row_put(out, row->ce_type.p, row->ce_type.n, "");
    if (pb) {
        (void)fputs("\tok", out);
        put_text(out, pb->event_id);
        put_text(out, pb->policy_id);
        put_number(out, pb->occurred_at_us);
        put_body(out, pb);
        effective_on = pb->body_case == AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED ? pb->corrected->effective_on : NULL;
    } else {
        (void)fputs("\tmalformed", out);
        put_absent(out, 16);
    }
    (void)fputc('\t', out);
    auto_row_put(out, row->bug.p, row->bug.n, "");
    (void)fputc('\t', out);
    auto_row_put(out, row->redriven.p, row->redriven.n, "");
    put_text(out, effective_on);
    put_rest(out, pb);
    (void)fputc('\n', out);
    if (pb)
        auto__events__v1__policy_event__free_unpacked(pb, NULL);
}
