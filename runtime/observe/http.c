#include "observe/http.h"

#include "observe/httpd.h"
#include "observe/metrics.h"

#include <stdbool.h>
#include <string.h>

struct pw_http {
    struct pw_httpd hd;
    unsigned (*answer)(void *, enum pw_http_page, struct pw_buf *);
    void *arg;
};

/* ---- answers ---- */

static enum MHD_Result reply(struct MHD_Connection *co, unsigned status, const char *type, struct pw_buf *body, bool allow)
{
    struct MHD_Response *re = MHD_create_response_from_buffer(body->n, body->p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      rc = MHD_NO;

    if (re && MHD_add_response_header(re, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
        MHD_add_response_header(re, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
        (!allow || MHD_add_response_header(re, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
        rc = MHD_queue_response(co, status, re);
    if (re)
        MHD_destroy_response(re);
    pw_buf_done(body);
    return rc;
}

static enum MHD_Result serve(void *cls, struct MHD_Connection *co, const char *url, const char *method, const char *version,
                             const char *upload, size_t *upload_n, void **con_cls)
{
    static const char *const paths[] = { "/metrics", "/healthz", "/readyz", "/readyz/member" };
    struct pw_http          *ht      = cls;
    struct pw_buf            body    = { 0 };

    (void)version;
    (void)upload;
    (void)upload_n;
    (void)con_cls;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        pw_buf_puts(&body, "only GET and HEAD\n");
        return reply(co, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", &body, true);
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(url, paths[i]) == 0) {
            const char       *accept = MHD_lookup_connection_value(co, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
            enum pw_http_page page   = i == PW_HTTP_METRICS && pw_metrics_accepts_open(accept) ? PW_HTTP_OPENMETRICS :
                                                                                                 (enum pw_http_page)i;
            unsigned          status = ht->answer(ht->arg, page, &body);

            return reply(co, status,
                         page == PW_HTTP_OPENMETRICS ? PW_METRICS_OPEN_CONTENT_TYPE :
                         page == PW_HTTP_METRICS     ? PW_METRICS_CONTENT_TYPE :
                                                       "text/plain; charset=utf-8",
                         &body, false);
        }
    pw_buf_puts(&body, "there are /metrics, /healthz, /readyz and /readyz/member\n");
    return reply(co, MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8", &body, false);
}

int pw_http_open(struct pw_http **ret, const char *listen, unsigned (*answer)(void *, enum pw_http_page, struct pw_buf *),
                 void *arg, struct pw_err *err)
{
    struct pw_http *ht = calloc(1, sizeof(*ht));

    PW_ASSERT(ht != NULL);
    ht->answer = answer;
    ht->arg    = arg;
    if (pw_httpd_open(&ht->hd, "http.listen", listen, &(struct pw_httpd_handlers){ .serve = serve, .arg = ht }, err) < 0) {
        free(ht);
        return -1;
    }
    *ret = ht;
    return 0;
}

void pw_http_close(struct pw_http *ht)
{
    if (!ht)
        return;
    pw_httpd_close(&ht->hd);
    free(ht);
}

const char *pw_http_address(const struct pw_http *ht)
{
    return ht->hd.address;
}

void pw_http_poll(struct pw_http *ht, struct pw_pollset *ps)
{
    pw_httpd_poll(&ht->hd, ps);
}

int64_t pw_http_until_us(const struct pw_http *ht)
{
    return pw_httpd_until_us(&ht->hd);
}

void pw_http_serve(struct pw_http *ht)
{
    pw_httpd_serve(&ht->hd);
}
