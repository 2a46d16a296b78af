#include "closing.h"

#include "auto/acts/v1/acts.pb-c.h"
#include "statements.h"

#include <pawl/sugar.h>
#include <stdio.h>
#include <string.h>

#define ACT_ID_MAX 96 /* "act.2025-01.RUB." and an id */

static const char source[] = "/auto/billing";

struct act {
    char       agent_id[CLOUD_ID_MAX + 1], currency[4], month_text[8];
    date_days  month;
    pawl_bytes agent, code;
    int64_t    number, documents, charged, refunded, commission;
};

static void copy(char *to, size_t cap, pawl_bytes b)
{
    size_t n = b.n < cap - 1 ? b.n : cap - 1; /* the tables hold nothing longer */

    memcpy(to, b.p, n);
    to[n] = '\0';
}

static struct act act_at(pawl_ctx *c, int64_t row)
{
    struct act act = {
        .agent      = pawl_cell(c, ACTS_DUE, row, DUE_AGENT).b,
        .code       = pawl_cell(c, ACTS_DUE, row, DUE_CURRENCY).b,
        .month      = (date_days)pawl_cell(c, ACTS_DUE, row, DUE_MONTH).i,
        .number     = pawl_cell(c, ACTS_DUE, row, DUE_NUMBER).i,
        .documents  = pawl_cell(c, ACTS_DUE, row, DUE_DOCUMENTS).i,
        .charged    = pawl_cell(c, ACTS_DUE, row, DUE_CHARGED).i,
        .refunded   = pawl_cell(c, ACTS_DUE, row, DUE_REFUNDED).i,
        .commission = pawl_cell(c, ACTS_DUE, row, DUE_COMMISSION).i,
    };

    copy(act.agent_id, sizeof(act.agent_id), act.agent);
    copy(act.currency, sizeof(act.currency), act.code);
    notice_month_text(act.month, act.month_text);
    return act;
}

static pawl_rc issue(pawl_ctx *c, const pawl_msg *m, const struct notice *no, struct act *act)
{
    Auto__Acts__V1__ActEvent  pb        = AUTO__ACTS__V1__ACT_EVENT__INIT;
    Auto__Acts__V1__ActIssued issued    = AUTO__ACTS__V1__ACT_ISSUED__INIT;
    char                     *closed_by = c->host->alloc(c, no->event_id.n + 1); /* zeroed */
    char                      id[ACT_ID_MAX];
    pawl_rc                   rc;
    struct cloud_event        out;

    (void)snprintf(id, sizeof(id), "act.%s.%s%s%s", act->month_text, act->currency, act->agent.n > 0 ? "." : "", act->agent_id);
    rc = pawl_write(c, ADD_ACT, pawl_text(act->agent), pawl_date(act->month), pawl_text(act->code), pawl_i64(act->number),
                    pawl_i64(act->documents), pawl_i64(act->charged), pawl_i64(act->refunded), pawl_i64(act->commission),
                    pawl_time_us(no->occurred_at_us), pawl_text(pawl_cstr(id)));
    if (rc != PAWL_OK)
        return rc;
    memcpy(closed_by, no->event_id.p, no->event_id.n);
    issued.agent_id         = act->agent_id;
    issued.month            = act->month_text;
    issued.number           = act->number;
    issued.currency         = act->currency;
    issued.documents        = act->documents;
    issued.charged_minor    = act->charged;
    issued.refunded_minor   = act->refunded;
    issued.commission_minor = act->commission;
    pb.event_id             = id;
    pb.occurred_at_us       = no->occurred_at_us;
    pb.source_event_id      = closed_by;
    pb.body_case            = AUTO__ACTS__V1__ACT_EVENT__BODY_ISSUED;
    pb.issued               = &issued;
    out                     = (struct cloud_event){ .port    = OUTPUT_ACTS,
                                                    .id      = id,
                                                    .type    = "auto.act.issued.v1",
                                                    .source  = source,
                                                    .time_us = no->occurred_at_us,
                                                    .key     = act->agent.n > 0 ? act->agent : pawl_cstr("-"),
                                                    .body    = &pb.base };
    return cloud_emit(c, m, &out);
}

pawl_rc closing_handle(pawl_ctx *c, const pawl_msg *m, const struct book *bk, const struct notice *no,
                       struct document_closed closed)
{
    pawl_bytes topic = { m->topic.p, m->topic.n };
    int64_t    acts  = pawl_rows(c, ACTS_DUE);
    char       text[8];
    pawl_rc    rc;

    if (closed.any && no->month <= closed.through) {
        notice_month_text(closed.through, text);
        return pawl_reject(c, "period.closed", "all months through %s are closed", text);
    }
    if (no->month >= date_month(book_day(bk, no->occurred_at_us)))
        return pawl_reject(c, "period.not_over", "month was not over when it was to be closed");
    if (acts > CLOSING_ACTS_MAX)
        return pawl_reject(c, "period.too_many_acts", "%lld acts are due; at most %d can be issued at once: close fewer months",
                           (long long)acts, CLOSING_ACTS_MAX);
    rc = pawl_write(c, CLOSE_PERIOD, pawl_date(no->month), pawl_time_us(no->occurred_at_us), pawl_text(no->event_id),
                    pawl_text(topic), pawl_i64(m->partition), pawl_i64(m->offset));
    for (int64_t i = 0; rc == PAWL_OK && i < acts; i++) {
        struct act act = act_at(c, i);

        rc = issue(c, m, no, &act);
    }
    return rc;
}
