#include "books_row.h"

#include "auto/acts/v1/acts.pb-c.h"
#include "auto/premiums/v1/premiums.pb-c.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define RECORD "partition\toffset\ttimestamp_ms\tkey\tce_id\tce_type\tdecode\t"

static void put_record(FILE *out, const struct auto_row *row, bool decoded)
{
    (void)fprintf(out, "%" PRId32 "\t%" PRId64 "\t%" PRId64 "\t", row->partition, row->offset, row->timestamp_ms);
    auto_row_put(out, row->key.p, row->key.n, "");
    (void)fputc('\t', out);
    auto_row_put(out, row->ce_id.p, row->ce_id.n, "");
    (void)fputc('\t', out);
    auto_row_put(out, row->ce_type.p, row->ce_type.n, "");
    (void)fputs(decoded ? "\tok" : "\tmalformed", out);
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

void books_row_premium_header(FILE *out)
{
    (void)fputs(
        RECORD
        "event_id\tpolicy_id\toccurred_at_us\tsource_event_id\tpolicy_version\tcurrency\tamount_minor\tstarts_on\tends_on\t"
        "agent_id\tbody\tcause\tcancelled_on\teffective_on\n",
        out);
}

static const char *body_name(const Auto__Premiums__V1__PremiumEvent *pb)
{
    if (pb->body_case == AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED)
        return "charged";
    return pb->body_case == AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED ? "refunded" : "none";
}

static const char *charged_for(const Auto__Premiums__V1__PremiumCharged *pb)
{
    switch ((int)pb->cause) { /* any number may have come */
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_ISSUED: return "issued";
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RENEWED: return "renewed";
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_CORRECTED: return "corrected";
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RECLASSED: return "reclassed";
    default: return "unknown";
    }
}

static const char *refunded_for(const Auto__Premiums__V1__PremiumRefunded *pb)
{
    switch ((int)pb->cause) {
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_UNSPECIFIED: /* a producer that knew cancellations only */
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CANCELLED: return "cancelled";
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CORRECTED: return "corrected";
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_RECLASSED: return "reclassed";
    default: return "unknown";
    }
}

static void put_why(FILE *out, const Auto__Premiums__V1__PremiumEvent *pb)
{
    bool charged = pb->body_case == AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED;
    bool back    = pb->body_case == AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED;

    put_text(out, charged ? charged_for(pb->charged) : back ? refunded_for(pb->refunded) : NULL);
    put_text(out, back ? pb->refunded->cancelled_on : NULL);
    put_text(out, charged ? pb->charged->effective_on : back ? pb->refunded->effective_on : NULL);
}

void books_row_premium(FILE *out, const struct auto_row *row)
{
    Auto__Premiums__V1__PremiumEvent *pb =
        row->value.p ? auto__premiums__v1__premium_event__unpack(NULL, row->value.n, row->value.p) : NULL;

    put_record(out, row, pb != NULL);
    if (pb) {
        put_text(out, pb->event_id);
        put_text(out, pb->policy_id);
        put_number(out, pb->occurred_at_us);
        put_text(out, pb->source_event_id);
        put_number(out, pb->policy_version);
        put_text(out, pb->currency);
        put_number(out, pb->amount_minor);
        put_text(out, pb->period ? pb->period->starts_on : NULL);
        put_text(out, pb->period ? pb->period->ends_on : NULL);
        put_text(out, pb->agent_id);
        put_text(out, body_name(pb));
        put_why(out, pb);
        auto__premiums__v1__premium_event__free_unpacked(pb, NULL);
    } else {
        put_absent(out, 14);
    }
    (void)fputc('\n', out);
}

void books_row_act_header(FILE *out)
{
    (void)fputs(RECORD
                "event_id\toccurred_at_us\tsource_event_id\tagent_id\tmonth\tnumber\tcurrency\tdocuments\tcharged_minor\t"
                "refunded_minor\tcommission_minor\n",
                out);
}

void books_row_act(FILE *out, const struct auto_row *row)
{
    Auto__Acts__V1__ActEvent *pb = row->value.p ? auto__acts__v1__act_event__unpack(NULL, row->value.n, row->value.p) : NULL;
    const Auto__Acts__V1__ActIssued *act = pb && pb->body_case == AUTO__ACTS__V1__ACT_EVENT__BODY_ISSUED ? pb->issued : NULL;

    put_record(out, row, act != NULL);
    if (act) {
        put_text(out, pb->event_id);
        put_number(out, pb->occurred_at_us);
        put_text(out, pb->source_event_id);
        put_text(out, act->agent_id);
        put_text(out, act->month);
        put_number(out, act->number);
        put_text(out, act->currency);
        put_number(out, act->documents);
        put_number(out, act->charged_minor);
        put_number(out, act->refunded_minor);
        put_number(out, act->commission_minor);
    } else {
        put_absent(out, 11);
    }
    (void)fputc('\n', out);
    if (pb)
        auto__acts__v1__act_event__free_unpacked(pb, NULL);
}
