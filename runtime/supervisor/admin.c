#include "supervisor/admin.h"

#include "base/clock.h"
#include "base/listen.h"
#include "observe/log.h"
#include "supervisor/admin_call.h"
#include "supervisor/door.h"
#include "supervisor/history.h"
#include "supervisor/page.h"
#include "topology/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pw_admin {
    struct pw_supervisor     *sup;
    struct pw_web            *web;
    struct pw_errands        *errands;
    struct pw_history        *history;
    struct pw_history_sample *samples; /* of one moment */
    int64_t                   sample_at_us;
    struct pw_door            door;
    bool                      open; /* on loopback, whoever gets there may look */
    uint64_t                  refused[PW_METRICS_REFUSALS];
    char                      url[160];
};

/* ---- answers ---- */

static bool refuse(struct pw_admin *ad, struct pw_web_request *rq, enum pw_metrics_refusal what, unsigned status,
                   const char *text)
{
    ad->refused[what]++;
    pw_log(PW_LOG_WARN, "admin.refused", PW_LOG_AT_NONE, "%s: %s", rq->peer, text);
    pw_admin_error(rq, status, "%s", text);
    return true;
}

static void not_allowed(struct pw_web_request *rq, bool reads)
{
    pw_admin_error(rq, 405, "only %s", reads ? "GET" : "POST");
    rq->allow = reads ? "GET, HEAD" : "POST";
}

static bool is_get(const struct pw_web_request *rq)
{
    return strcmp(rq->method, "GET") == 0 || strcmp(rq->method, "HEAD") == 0;
}

/* What is in memory; false: it is none of these. */
static bool answer_at_once(struct pw_admin *ad, const char *path, bool granted, struct pw_web_request *rq)
{
    bool may = granted || ad->open;

    if (strcmp(path, "access") != 0 && strcmp(path, "status") != 0 && strcmp(path, "history") != 0)
        return false;
    rq->type = "application/json";
    if (!is_get(rq))
        not_allowed(rq, true);
    else if (strcmp(path, "access") == 0)
        pw_buf_printf(&rq->body, "{\"version\":\"" PW_VERSION "\",\"token\":%s,\"read\":%s,\"write\":%s}\n",
                      ad->sup->tp->admin_token ? "true" : "false", may ? "true" : "false", granted ? "true" : "false");
    else if (!may)
        pw_admin_error(rq, 401, "a token is needed");
    else if (strcmp(path, "status") == 0)
        pw_status_json(ad->sup, &rq->body);
    else
        pw_history_json(ad->history, &rq->body);
    return true;
}

static bool answer_api(struct pw_admin *ad, const char *path, struct pw_web_request *rq)
{
    const char                 *token   = ad->sup->tp->admin_token; /* a reload may bring another one */
    const struct pw_admin_call *call    = pw_admin_call_find(path);
    bool                        granted = false;

    switch (pw_door_token(&ad->door, rq->peer, rq->authorization, token, pw_clock_us())) {
    case PW_DOOR_LOCKED: return refuse(ad, rq, PW_REFUSED_LOCKED, 429, "too many wrong tokens; wait a minute");
    case PW_DOOR_WRONG: return refuse(ad, rq, PW_REFUSED_TOKEN, 401, "the token is wrong");
    case PW_DOOR_RIGHT: granted = true; break;
    case PW_DOOR_NONE: break;
    }
    if (answer_at_once(ad, path, granted, rq))
        return true;
    if (!call)
        pw_admin_error(rq, 404, "there are status, history, access, dlq, redrive, reload, pause, resume, drain and log-level");
    else if (pw_admin_call_reads(call) ? !is_get(rq) : strcmp(rq->method, "POST") != 0)
        not_allowed(rq, pw_admin_call_reads(call));
    else if (!granted && !(pw_admin_call_reads(call) && ad->open))
        pw_admin_error(rq, token ? 401 : 403, token ? "a token is needed" : "read-only: the topology has no admin.token");
    else if (rq->wrong)
        pw_admin_error(rq, 400, "%s", rq->wrong);
    else
        return pw_admin_call_start(call, ad->sup, ad->errands, granted, rq);
    return true;
}

static void answer_file(struct pw_web_request *rq)
{
    const struct pw_page_file *file = pw_page_find(rq->path);

    if (!file) {
        pw_admin_error(rq, 404, "there are the page at / and " PW_ADMIN_API "status");
    } else if (!is_get(rq)) {
        not_allowed(rq, true);
    } else {
        rq->type = file->type;
        pw_buf_add(&rq->body, file->bytes, *file->n);
    }
}

static bool answer(void *arg, struct pw_web_request *rq)
{
    struct pw_admin          *ad = arg;
    const struct pw_topology *tp = ad->sup->tp;

    if (!pw_door_host(rq->host, tp->admin_listen, tp->admin_name))
        return refuse(ad, rq, PW_REFUSED_HOST, 403, "this is not reached by that host name; see admin.name");
    if (!pw_door_origin(rq->origin, rq->host))
        return refuse(ad, rq, PW_REFUSED_HOST, 403, "a page of another origin asks");
    if (strncmp(rq->path, PW_ADMIN_API, sizeof(PW_ADMIN_API) - 1) == 0)
        return answer_api(ad, rq->path + sizeof(PW_ADMIN_API) - 1, rq);
    answer_file(rq);
    return true;
}

/* ---- open and close ---- */

/* The certificate is no secret, its key is. */
static int read_tls(const struct pw_topology *tp, struct pw_buf *certificate, struct pw_buf *key, struct pw_err *err)
{
    if (!tp->admin_certificate)
        return 0;
    if (pw_topology_read(tp->admin_certificate, certificate, err) < 0 || pw_value_secret_file(tp->admin_key, key, err) < 0)
        return pw_err_wrap(err, "admin");
    pw_buf_add(certificate, "", 0); /* an empty file is a text, too */
    return 0;
}

int pw_admin_open(struct pw_admin **ret, struct pw_supervisor *sup, struct pw_err *err)
{
    struct pw_admin *ad;
    struct pw_buf    certificate = { 0 }, key = { 0 };
    const char     **names;
    int              rc;

    *ret = NULL;
    if (!sup->tp->admin_listen)
        return 0;
    ad = calloc(1, sizeof(*ad));
    PW_ASSERT(ad != NULL);
    ad->sup  = sup;
    ad->open = pw_listen_is_loopback(sup->tp->admin_listen);
    rc       = read_tls(sup->tp, &certificate, &key, err);
    if (rc == 0)
        rc = pw_web_open(&ad->web, "admin.listen", sup->tp->admin_listen, certificate.p, key.p, answer, ad, err);
    if (rc == 0)
        (void)snprintf(ad->url, sizeof(ad->url), "http%s://%s/", certificate.p ? "s" : "", pw_web_address(ad->web));
    pw_buf_done(&certificate);
    if (key.p)
        explicit_bzero(key.p, key.n); /* the library has its own copy */
    pw_buf_done(&key);
    if (rc < 0) {
        free(ad);
        return -1;
    }
    names       = pw_arena_array(sup->ar, sup->pipes_n + 1, sizeof(*names));
    ad->samples = pw_arena_array(sup->ar, sup->pipes_n + 1, sizeof(*ad->samples));
    for (size_t i = 0; i < sup->pipes_n; i++)
        names[i] = sup->pipes[i].name;
    ad->history = pw_history_new(names, sup->pipes_n);
    ad->errands = pw_errands_new(sup);
    *ret        = ad;
    return 0;
}

void pw_admin_close(struct pw_admin *ad)
{
    if (!ad)
        return;
    ad->errands = pw_errands_free(ad->errands); /* first: they would answer requests of the web */
    pw_web_close(ad->web);
    ad->history = pw_history_free(ad->history);
    free(ad);
}

const char *pw_admin_url(const struct pw_admin *ad)
{
    return ad ? ad->url : NULL;
}

/* ---- the loop ---- */

static void sample(struct pw_admin *ad)
{
    struct pw_supervisor    *sup  = ad->sup;
    struct pw_partition_row *rows = NULL;
    size_t                   n    = pw_partitions_collect(sup->pages, sup->slots_n, &rows);

    for (size_t p = 0; p < sup->pipes_n; p++) {
        struct pw_history_sample *sa = &ad->samples[p];

        *sa        = (struct pw_history_sample){ .lag = -1 };
        sa->events = pw_children_done(&sup->pipes[p], &sa->rejected);
        for (size_t i = 0; i < n; i++) {
            int64_t lag = strcmp(rows[i].page->pipeline, sup->pipes[p].name) == 0 ? pw_partition_lag(&rows[i].view) : -1;

            if (lag >= 0)
                sa->lag = sa->lag < 0 ? lag : sa->lag + lag;
        }
    }
    free(rows);
    pw_history_add(ad->history, pw_clock_wall_us(), ad->samples);
}

int64_t pw_admin_tick(struct pw_admin *ad, int64_t now_us)
{
    if (!ad)
        return INT64_MAX;
    if (now_us >= ad->sample_at_us) {
        sample(ad);
        ad->sample_at_us = now_us + PW_HISTORY_STEP_US;
    }
    return ad->sample_at_us;
}

void pw_admin_poll(struct pw_admin *ad, struct pw_pollset *ps)
{
    if (!ad)
        return;
    pw_web_poll(ad->web, ps);
    pw_errands_poll(ad->errands, ps);
}

int64_t pw_admin_until_us(const struct pw_admin *ad)
{
    int64_t web, errands;

    if (!ad)
        return INT64_MAX;
    web     = pw_web_until_us(ad->web);
    errands = pw_errands_until_us(ad->errands);
    return web < errands ? web : errands;
}

void pw_admin_serve(struct pw_admin *ad)
{
    if (!ad)
        return;
    pw_errands_serve(ad->errands); /* first: what has ended is answered in this turn */
    pw_web_serve(ad->web);
}

bool pw_admin_owns(const struct pw_admin *ad, pid_t pid)
{
    return ad && pw_errands_own(ad->errands, pid);
}

void pw_admin_reloaded(struct pw_admin *ad, const struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text)
{
    if (ad)
        pw_history_add_reload(ad->history, pw_clock_wall_us(), pi->name, pw_metrics_reloads[outcome], text);
}

void pw_admin_refused(const struct pw_admin *ad, uint64_t ret[PW_METRICS_REFUSALS])
{
    memset(ret, 0, PW_METRICS_REFUSALS * sizeof(*ret));
    if (ad)
        memcpy(ret, ad->refused, sizeof(ad->refused));
}
