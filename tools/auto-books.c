/* auto-books: reads what underwriting and billing publish, and closes a month. For demos, tests and people. */
#include "auto_kafka.h"
#include "books_row.h"

#include "auto/acts/v1/acts.pb-c.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: auto-books premiums --bootstrap B --topic T [-X name=value]...\n"
    "       auto-books acts     --bootstrap B --topic T [-X name=value]...\n"
    "       auto-books close    --bootstrap B --topic T --month YYYY-MM [--id ID] [--at YYYY-MM-DDTHH:MM:SSZ] [-X name=value]...\n"
    "\n"
    "  premiums, acts       print the topic as tab-separated values; aborted records are left out\n"
    "  close                send the event that closes a month; billing issues its acts\n"
    "  --id ID              of that event (default: close-YYYY-MM)\n"
    "  --at TIME            when it was decided, in UTC (default: now)\n"
    "  -X name=value        a further librdkafka property\n"
    "\n"
    "close exits 0 when all in-sync replicas have the event; whether billing takes it is another matter.\n";

struct args {
    struct auto_kafka kafka;
    const char       *month, *id, *at;
};

static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, "auto-books: %s%s%s\n\n%s", what, value ? ": " : "", value ? value : "", usage);
    return 2;
}

enum { O_BOOTSTRAP = 256, O_TOPIC, O_MONTH, O_ID, O_AT };

static bool take(struct args *a, int opt, const char *v)
{
    switch (opt) {
    case O_BOOTSTRAP: a->kafka.bootstrap = v; return true;
    case O_TOPIC: a->kafka.topic = v; return true;
    case O_MONTH: a->month = v; return true;
    case O_ID: a->id = v; return true;
    case O_AT: a->at = v; return true;
    case 'X':
        if (a->kafka.n_properties == AUTO_KAFKA_PROPERTIES_MAX)
            return false;
        a->kafka.properties[a->kafka.n_properties++] = v;
        return true;
    default: return false;
    }
}

/* ---- reading ---- */

static void premium(void *out, const struct auto_row *row)
{
    books_row_premium(out, row);
}

static void act(void *out, const struct auto_row *row)
{
    books_row_act(out, row);
}

static int print(const struct args *a, auto_kafka_each *each)
{
    if (!auto_kafka_read_each(&a->kafka, true, each, stdout))
        return 1;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    perror("auto-books: write");
    return 1;
}

/* ---- closing ---- */

static bool moment(const char *text, time_t *ret)
{
    struct tm   tm = { .tm_isdst = 0 };
    const char *end;

    if (!text) {
        *ret = time(NULL);
        return true;
    }
    end  = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    *ret = timegm(&tm);
    return end && *end == '\0';
}

static int close_month(const struct args *a)
{
    Auto__Acts__V1__PeriodEvent  pb     = AUTO__ACTS__V1__PERIOD_EVENT__INIT;
    Auto__Acts__V1__PeriodClosed closed = AUTO__ACTS__V1__PERIOD_CLOSED__INIT;
    char                         id[80], at[32], month[16];
    uint8_t                      value[256];
    time_t                       t;
    struct tm                    tm;

    if (!moment(a->at, &t))
        return wrong("--at is not YYYY-MM-DDTHH:MM:SSZ", a->at);
    if (strlen(a->month) != 7)
        return wrong("--month is not YYYY-MM", a->month);
    if (a->id && (strlen(a->id) == 0 || strlen(a->id) > 64))
        return wrong("--id must have 1 to 64 characters", NULL);
    (void)snprintf(month, sizeof(month), "%s", a->month);
    (void)snprintf(id, sizeof(id), "%s%s", a->id ? a->id : "close-", a->id ? "" : a->month);
    (void)gmtime_r(&t, &tm);
    (void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
    closed.month      = month;
    pb.event_id       = id;
    pb.occurred_at_us = (int64_t)t * 1000000;
    pb.body_case      = AUTO__ACTS__V1__PERIOD_EVENT__BODY_CLOSED;
    pb.closed         = &closed;

    const struct auto_kafka_header headers[] = {
        { "ce_specversion", "1.0" },
        { "ce_id", id },
        { "ce_type", "auto.period.closed.v1" },
        { "ce_source", "/auto/accounting" },
        { "ce_time", at },
        { "ce_subject", month },
        { "content-type", "application/protobuf" },
    };
    const struct auto_kafka_record re = { month, headers, sizeof(headers) / sizeof(headers[0]), value,
                                          auto__acts__v1__period_event__pack(&pb, value) };

    return auto_kafka_send(&a->kafka, &re) ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "bootstrap", required_argument, NULL, O_BOOTSTRAP },
        { "topic", required_argument, NULL, O_TOPIC },
        { "month", required_argument, NULL, O_MONTH },
        { "id", required_argument, NULL, O_ID },
        { "at", required_argument, NULL, O_AT },
        { NULL, 0, NULL, 0 },
    };
    struct args a        = { .month = NULL };
    const char *command  = argc > 1 ? argv[1] : "";
    bool        premiums = strcmp(command, "premiums") == 0, acts = strcmp(command, "acts") == 0;
    bool        closes = strcmp(command, "close") == 0;
    int         opt;

    if (strcmp(command, "--help") == 0)
        return fputs(usage, stdout) < 0;
    if (!premiums && !acts && !closes)
        return wrong("the first argument must be premiums, acts or close", NULL);
    while ((opt = getopt_long(argc - 1, argv + 1, "X:", options, NULL)) != -1)
        if (!take(&a, opt, optarg))
            return wrong("wrong option or value", optarg);
    if (optind < argc - 1)
        return wrong("too many arguments", argv[optind + 1]);
    if (!a.kafka.bootstrap || !a.kafka.topic)
        return wrong("--bootstrap and --topic are needed", NULL);
    if (closes != (a.month != NULL) || (!closes && (a.id || a.at)))
        return wrong("--month is for close and needed there; --id and --at are for close", NULL);
    if (closes)
        return close_month(&a);
    if (premiums)
        books_row_premium_header(stdout);
    else
        books_row_act_header(stdout);
    return print(&a, premiums ? premium : act);
}
