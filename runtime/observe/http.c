#include "observe/http.h"

#include "base/clock.h"
#include "base/listen.h"
#include "observe/log.h"
#include "observe/metrics.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct pw_http {
    struct MHD_Daemon *daemon;
    int                epoll_fd;
    unsigned (*answer)(void *, enum pw_http_page, struct pw_buf *);
    void *arg;
    char  address[128];
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

__attribute__((format(printf, 2, 0))) static void log_from_library(void *cls, const char *fmt, va_list ap)
{
    char text[256];

    (void)cls;
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut at the end is fine */
    pw_log(PW_LOG_DEBUG, "http.log", PW_LOG_AT_NONE, "%s", text);
}

int pw_http_open(struct pw_http **ret, const char *listen, unsigned (*answer)(void *, enum pw_http_page, struct pw_buf *),
                 void *arg, struct pw_err *err)
{
    struct pw_http             *ht;
    const union MHD_DaemonInfo *info;
    int                         fd = pw_listen_open(listen, err);

    if (fd < 0)
        return pw_err_wrap(err, "http.listen");
    ht = calloc(1, sizeof(*ht));
    PW_ASSERT(ht != NULL);
    ht->answer = answer;
    ht->arg    = arg;
    pw_listen_name(fd, ht->address, sizeof(ht->address));
    ht->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, serve, ht, MHD_OPTION_EXTERNAL_LOGGER,
                                  log_from_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                  (unsigned)PW_HTTP_CLIENTS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PW_HTTP_TIMEOUT_S,
                                  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PW_HTTP_MEMORY, MHD_OPTION_END);
    if (!ht->daemon) {
        (void)close(fd); /* only bound */
        free(ht);
        return pw_err_set(err, PW_D_FATAL, "http.listen: libmicrohttpd does not start on %s", listen);
    }
    info = MHD_get_daemon_info(ht->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    PW_ASSERT(info != NULL);
    ht->epoll_fd = info->epoll_fd;
    *ret         = ht;
    return 0;
}

void pw_http_close(struct pw_http *ht)
{
    if (!ht)
        return;
    MHD_stop_daemon(ht->daemon);
    free(ht);
}

const char *pw_http_address(const struct pw_http *ht)
{
    return ht->address;
}

void pw_http_poll(struct pw_http *ht, struct pw_pollset *ps)
{
    (void)pw_pollset_add(ps, ht->epoll_fd, POLLIN); /* served each turn, so its events need not be looked at */
}

int64_t pw_http_until_us(const struct pw_http *ht)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;

    return MHD_get_timeout(ht->daemon, &ms) == MHD_YES ? pw_clock_us() + (int64_t)ms * 1000 : INT64_MAX;
}

void pw_http_serve(struct pw_http *ht)
{
    (void)MHD_run(ht->daemon); /* fails only in other modes than ours */
}
