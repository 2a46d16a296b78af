#include "observe/web.h"

#include "observe/httpd.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct pw_web_call {
    struct pw_web_request  rq;
    struct pw_web         *web;
    struct MHD_Connection *co;
    struct pw_buf          form;
    bool                   asked, held;
    struct pw_web_call    *next; /* of those that are held */
};

struct pw_web {
    struct pw_httpd hd;
    bool (*answer)(void *, struct pw_web_request *);
    void               *arg;
    struct pw_web_call *held;
};

/* What a browser is told with every answer: own files only, no frame around it, no guessing of types, nothing kept, and no text that
 * becomes markup. */
static const char *const headers[][2] = {
    { MHD_HTTP_HEADER_CACHE_CONTROL, "no-store" },
    { "X-Content-Type-Options", "nosniff" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
      " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'" },
};

static enum MHD_Result send_answer(struct MHD_Connection *co, struct pw_web_request *rq)
{
    struct MHD_Response *re = MHD_create_response_from_buffer(rq->body.n, rq->body.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      rc = re ? MHD_add_response_header(re, MHD_HTTP_HEADER_CONTENT_TYPE, rq->type) : MHD_NO;

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && rc == MHD_YES; i++)
        rc = MHD_add_response_header(re, headers[i][0], headers[i][1]);
    if (rc == MHD_YES && rq->allow)
        rc = MHD_add_response_header(re, MHD_HTTP_HEADER_ALLOW, rq->allow);
    if (rc == MHD_YES && rq->status == MHD_HTTP_UNAUTHORIZED)
        rc = MHD_add_response_header(re, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (rc == MHD_YES && (rq->status == MHD_HTTP_TOO_MANY_REQUESTS || rq->status == MHD_HTTP_SERVICE_UNAVAILABLE))
        rc = MHD_add_response_header(re, MHD_HTTP_HEADER_RETRY_AFTER, "60");
    if (rc == MHD_YES)
        rc = MHD_queue_response(co, rq->status, re);
    if (re)
        MHD_destroy_response(re);
    return rc;
}

/* ---- arguments ---- */

const char *pw_web_arg(const struct pw_web_request *rq, const char *name)
{
    for (size_t i = 0; i < rq->args_n; i++)
        if (strcmp(rq->args[i].name, name) == 0)
            return rq->args[i].value;
    return NULL;
}

static enum MHD_Result add_arg(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct pw_web_request *rq = cls;

    (void)kind;
    if (rq->args_n == PW_WEB_ARGS)
        rq->wrong = "too many arguments";
    else if (pw_web_arg(rq, name))
        rq->wrong = "an argument is given twice";
    else
        rq->args[rq->args_n++] = (struct pw_web_arg){ name, value ? value : "" };
    return rq->wrong ? MHD_NO : MHD_YES;
}

/* In place: "+" is a blank, %HH a byte. false: it holds a NUL. */
static bool unescape(char *s)
{
    for (char *c = s; *c; c++)
        *c = *c == '+' ? ' ' : *c;
    return MHD_http_unescape(s) == strlen(s);
}

/* name=value&name=value */
static void read_form(struct pw_web_call *ca)
{
    char *at = ca->form.p, *one;

    while (at && *at && !ca->rq.wrong && (one = strsep(&at, "&"))) {
        char *value = one + strcspn(one, "=");

        if (*value)
            *value++ = 0;
        if (!*one)
            continue;
        if (!unescape(one) || !unescape(value))
            ca->rq.wrong = "an argument holds a NUL";
        else
            (void)add_arg(&ca->rq, MHD_POSTDATA_KIND, one, value);
    }
}

/* ---- one request ---- */

static void name_peer(struct MHD_Connection *co, char ret[PW_WEB_PEER])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(co, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    socklen_t n = info && info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    if (!info || getnameinfo(info->client_addr, n, ret, PW_WEB_PEER, NULL, 0, NI_NUMERICHOST) != 0)
        (void)snprintf(ret, PW_WEB_PEER, "unknown");
}

static struct pw_web_call *begin(struct pw_web *web, struct MHD_Connection *co)
{
    struct pw_web_call *ca = calloc(1, sizeof(*ca));

    PW_ASSERT(ca != NULL);
    ca->web     = web;
    ca->co      = co;
    ca->rq.call = ca;
    return ca;
}

static void take(struct pw_web_call *ca, const char *upload, size_t n)
{
    if (ca->form.n + n > PW_WEB_BODY)
        ca->rq.wrong = "the form is too large";
    else if (memchr(upload, 0, n))
        ca->rq.wrong = "the form holds a NUL";
    else
        pw_buf_add(&ca->form, upload, n);
}

static bool ask(struct pw_web_call *ca, const char *url, const char *method)
{
    static const char      form[] = "application/x-www-form-urlencoded";
    struct pw_web_request *rq     = &ca->rq;
    const char            *type   = MHD_lookup_connection_value(ca->co, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);

    rq->method        = method;
    rq->path          = url;
    rq->host          = MHD_lookup_connection_value(ca->co, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    rq->origin        = MHD_lookup_connection_value(ca->co, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    rq->authorization = MHD_lookup_connection_value(ca->co, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    rq->status        = MHD_HTTP_OK;
    rq->type          = "text/plain; charset=utf-8";
    name_peer(ca->co, rq->peer);
    (void)MHD_get_connection_values(ca->co, MHD_GET_ARGUMENT_KIND, add_arg, rq);
    if (ca->form.n && (!type || strncasecmp(type, form, sizeof(form) - 1) != 0))
        rq->wrong = "a form is application/x-www-form-urlencoded";
    if (!rq->wrong)
        read_form(ca);
    return ca->web->answer(ca->web->arg, rq);
}

static enum MHD_Result serve(void *cls, struct MHD_Connection *co, const char *url, const char *method, const char *version,
                             const char *upload, size_t *upload_n, void **con_cls)
{
    struct pw_web      *web = cls;
    struct pw_web_call *ca  = *con_cls;

    (void)version;
    if (!ca) { /* the head is there */
        *con_cls = begin(web, co);
        return MHD_YES;
    }
    if (*upload_n) {
        take(ca, upload, *upload_n);
        *upload_n = 0;
        return MHD_YES;
    }
    if (!ca->asked) {
        ca->asked = true;
        if (!ask(ca, url, method)) {
            ca->held  = true;
            ca->next  = web->held;
            web->held = ca;
            MHD_suspend_connection(co);
            return MHD_YES;
        }
    }
    return ca->held ? MHD_NO : send_answer(co, &ca->rq);
}

static void completed(void *cls, struct MHD_Connection *co, void **con_cls, enum MHD_RequestTerminationCode how)
{
    struct pw_web_call *ca = *con_cls;

    (void)cls;
    (void)co;
    (void)how;
    if (!ca)
        return;
    pw_buf_done(&ca->form);
    pw_buf_done(&ca->rq.body);
    free(ca);
    *con_cls = NULL;
}

void pw_web_reply(struct pw_web_request *rq)
{
    struct pw_web_call  *ca = rq->call;
    struct pw_web_call **at = &ca->web->held;

    PW_ASSERT(ca->held);
    while (*at != ca)
        at = &(*at)->next;
    *at      = ca->next;
    ca->held = false;
    MHD_resume_connection(ca->co);
}

/* ---- the server ---- */

int pw_web_open(struct pw_web **ret, const char *key_name, const char *listen, const char *certificate, const char *key,
                bool (*answer)(void *, struct pw_web_request *), void *arg, struct pw_err *err)
{
    struct pw_web           *web = calloc(1, sizeof(*web));
    struct pw_httpd_handlers h = { .serve = serve, .completed = completed, .certificate = certificate, .key = key, .arg = web };

    PW_ASSERT(web != NULL);
    web->answer = answer;
    web->arg    = arg;
    if (pw_httpd_open(&web->hd, key_name, listen, &h, err) < 0) {
        free(web);
        return -1;
    }
    *ret = web;
    return 0;
}

void pw_web_close(struct pw_web *web)
{
    if (!web)
        return;
    for (struct pw_web_call *ca = web->held; ca; ca = ca->next) /* the library wants none suspended at its end */
        MHD_resume_connection(ca->co);
    pw_httpd_close(&web->hd);
    free(web);
}

const char *pw_web_address(const struct pw_web *web)
{
    return web->hd.address;
}

void pw_web_poll(struct pw_web *web, struct pw_pollset *ps)
{
    pw_httpd_poll(&web->hd, ps);
}

int64_t pw_web_until_us(const struct pw_web *web)
{
    return pw_httpd_until_us(&web->hd);
}

void pw_web_serve(struct pw_web *web)
{
    pw_httpd_serve(&web->hd);
}
