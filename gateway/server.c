#include "server.h"

#include "base/clock.h"
#include "base/listen.h"
#include "base/notify.h"
#include "metrics.h"
#include "observe/http.h"
#include "observe/log.h"
#include "reflection.h"
#include "tls.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOPIC_WAIT_US     INT64_C(60000000) /* for brokers and topic, at the start */
#define ACCEPT_PAUSE      INT64_C(100000)   /* when there are no descriptors left */
#define EXIT_KAFKA        75
#define EXIT_FAILED       70
#define EXIT_CONFIG       78
#define TRACES_TIMEOUT_MS 1000             /* for spans that wait at the end */
#define END_US            INT64_C(5000000) /* our own end, behind the drain */

enum phase { SERVING = 0, LEAVING, CLOSING, OVER };

struct server {
    const struct gw_config *cf;
    struct gw_loop         *loop;
    struct gw_h2            h2;
    struct gw_services      services;
    struct gw_method        methods[7];
    SSL_CTX                *tls;
    struct gw_watch         listener, signals, http_watch;
    struct pw_http         *http;
    struct gw_timer         accept_again, phase_ends, beat;
    struct pw_notify        notify;
    bool                    listening;
    enum phase              phase;
    int                     exit_code;
};

/* ---- the service manager ---- */

static void alive(void *arg)
{
    struct server *sv = arg;
    int64_t        at = pw_notify_beat(&sv->notify, pw_clock_us());

    if (at < INT64_MAX)
        gw_timer_set(sv->loop, &sv->beat, at);
}

static void open_notify(struct server *sv)
{
    struct pw_err err;

    if (pw_notify_open(&sv->notify, &err) < 0)
        pw_log(PW_LOG_WARN, "gateway.notify", PW_LOG_AT_NONE, "the service manager is told nothing: %s", err.text);
    sv->beat = (struct gw_timer){ .fn = alive, .arg = sv };
    alive(sv);
}

/* ---- clients ---- */

static void name_peer(const struct sockaddr_storage *at, socklen_t n, char *ret, size_t cap)
{
    char host[48], port[8];

    if (getnameinfo((const struct sockaddr *)at, n, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) !=
        0)
        (void)snprintf(ret, cap, "unknown");
    else
        (void)snprintf(ret, cap, at->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void accept_more(void *arg)
{
    struct server *sv = arg;

    gw_watch_want(sv->loop, &sv->listener, EPOLLIN);
}

static void on_listener(void *arg, uint32_t events)
{
    struct server *sv = arg;

    (void)events;
    for (;;) {
        struct sockaddr_storage at = { 0 };
        socklen_t               n  = sizeof(at);
        int                     fd = accept4(sv->listener.fd, (struct sockaddr *)&at, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        char                    peer[64];

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            if (errno != EAGAIN) { /* no descriptors or no memory: those who are here come first */
                pw_log(PW_LOG_ERROR, "gateway.accept", PW_LOG_AT_NONE, "%s", strerror(errno));
                gw_watch_want(sv->loop, &sv->listener, 0);
                gw_timer_set(sv->loop, &sv->accept_again, pw_clock_us() + ACCEPT_PAUSE);
            }
            return;
        }
        name_peer(&at, n, peer, sizeof(peer));
        gw_h2_accept(&sv->h2, fd, sv->tls, peer);
    }
}

static void stop_listening(struct server *sv)
{
    if (!sv->listening)
        return;
    sv->listening = false;
    gw_timer_drop(sv->loop, &sv->accept_again);
    gw_watch_drop(sv->loop, &sv->listener);
    (void)close(sv->listener.fd); /* only listened */
}

static void call_finished(const struct gw_call *ca, enum gw_status st, int64_t took_us)
{
    const char *id = gw_call_identity(ca);

    if (pw_log_enabled(PW_LOG_DEBUG))
        pw_log(PW_LOG_DEBUG, "gateway.call", PW_LOG_AT_NONE, "%s from %s%s%s: %s in %.3f ms",
               gw_call_method(ca) ? gw_call_method(ca)->path : "unknown method", gw_call_peer(ca), *id ? ", " : "", id,
               gw_status_name(st), (double)took_us / 1000);
}

/* ---- the end, in three steps ---- */

static void phase_over(void *arg)
{
    struct server *sv = arg;

    if (sv->phase == LEAVING) { /* load balancers have noticed */
        sv->phase = CLOSING;
        stop_listening(sv);
        gw_health_end(&sv->services.health);
        gw_publish_end(&sv->services.publish);
        gw_h2_goaway(&sv->h2);
        gw_timer_set(sv->loop, &sv->phase_ends, pw_clock_us() + (int64_t)sv->cf->drain_timeout_ms * 1000);
    } else {
        pw_log(PW_LOG_WARN, "gateway.drain_timeout", PW_LOG_AT_NONE, "%zu calls are still open", sv->h2.co.open_calls);
        sv->phase = OVER;
    }
}

static void leave(struct server *sv, const char *why)
{
    pw_log(PW_LOG_INFO, "gateway.draining", PW_LOG_AT_NONE, "%s: %zu calls are open", why, sv->h2.co.open_calls);
    sv->phase = LEAVING;
    pw_notify_say(&sv->notify, PW_NOTIFY_STOPPING, ((int64_t)sv->cf->drain_delay_ms + sv->cf->drain_timeout_ms) * 1000 + END_US,
                  "stopping: open calls are finished");
    gw_health_set(&sv->services.health, false);
    gw_h2_notice(&sv->h2);
    gw_timer_set(sv->loop, &sv->phase_ends, pw_clock_us() + (int64_t)sv->cf->drain_delay_ms * 1000);
}

/* ---- signals ---- */

static void reload_tls(struct server *sv)
{
    const struct gw_tls_settings se = { sv->cf->certificate, sv->cf->key, sv->cf->client_ca };
    SSL_CTX                     *fresh;
    const char                  *key;
    struct pw_err                err;

    if (!sv->tls)
        return;
    if (gw_tls_load(&se, &fresh, &key, &err) < 0) {
        pw_log(PW_LOG_ERROR, "gateway.certificate", PW_LOG_AT_NONE, "tls.%s: %s; the old one stays in use", key, err.text);
        return;
    }
    SSL_CTX_free(sv->tls); /* connections hold it as long as they need it */
    sv->tls = fresh;
    pw_log(PW_LOG_INFO, "gateway.certificate", PW_LOG_AT_NONE, "%s was read again", sv->cf->certificate);
}

static void on_signal(void *arg, uint32_t events)
{
    struct server          *sv = arg;
    struct signalfd_siginfo si;

    (void)events;
    while (read(sv->signals.fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
        if (si.ssi_signo == SIGHUP) {
            enum pw_notify_state before = sv->notify.said;

            if (before == PW_NOTIFY_READY)
                pw_notify_say(&sv->notify, PW_NOTIFY_RELOADING, 0, "reading the certificate again");
            reload_tls(sv);
            if (before == PW_NOTIFY_READY)
                pw_notify_say(&sv->notify, PW_NOTIFY_READY, 0, "ready");
        } else if (sv->phase == SERVING)
            leave(sv, si.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        else
            sv->phase = OVER; /* asked twice */
    }
}

static int open_signals(struct server *sv, struct pw_err *err)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return pw_err_sys(err, PW_D_FATAL, "block signals");
    sv->signals = (struct gw_watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .fn = on_signal, .arg = sv };
    if (sv->signals.fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "open a signalfd");
    return gw_watch_add(sv->loop, &sv->signals, EPOLLIN, err);
}

/* ---- metrics and health over HTTP ---- */

static unsigned answer_http(void *arg, enum pw_http_page page, struct pw_buf *out)
{
    struct server *sv = arg;

    if (page == PW_HTTP_METRICS) {
        gw_metrics_render(out, &sv->h2.co, &sv->services);
        return 200;
    }
    if (page == PW_HTTP_HEALTH || sv->services.health.serving) {
        pw_buf_puts(out, "ok\n");
        return 200;
    }
    pw_buf_puts(out, "draining\n");
    return 503;
}

static void on_http(void *arg, uint32_t events)
{
    (void)arg;
    (void)events; /* served each turn */
}

static int open_http(struct server *sv, struct pw_err *err)
{
    struct pw_pollset ps = { 0 };
    int               rc;

    if (!sv->cf->http_listen)
        return 0;
    if (pw_http_open(&sv->http, sv->cf->http_listen, answer_http, sv, err) < 0)
        return -1;
    pw_http_poll(sv->http, &ps); /* one descriptor, that of its epoll */
    sv->http_watch = (struct gw_watch){ .fd = ps.p[0].fd, .fn = on_http, .arg = sv };
    free(ps.p);
    rc = gw_watch_add(sv->loop, &sv->http_watch, EPOLLIN, err);
    pw_log(PW_LOG_INFO, "gateway.http", PW_LOG_AT_NONE, "metrics and health on %s", pw_http_address(sv->http));
    return rc;
}

/* ---- start ---- */

static int open_tls(struct server *sv, struct pw_err *err)
{
    const struct gw_tls_settings se = { sv->cf->certificate, sv->cf->key, sv->cf->client_ca };

    const char *key;

    if (!se.certificate || gw_tls_load(&se, &sv->tls, &key, err) == 0)
        return 0;
    sv->exit_code = EXIT_CONFIG; /* it was right when the configuration was read */
    return pw_err_wrap(err, "tls.%s", key);
}

static int open_trace(struct server *sv, struct pw_err *err)
{
    const struct pw_trace_keys     *keys     = &sv->cf->trace;
    char                            host[65] = "";
    const struct pw_tracer_settings se       = { .endpoint   = keys->endpoint,
                                                 .header     = keys->header,
                                                 .ca         = keys->ca,
                                                 .timeout_ms = keys->timeout_ms,
                                                 .queue      = keys->queue,
                                                 .service    = "pawl-gateway",
                                                 .instance   = host,
                                                 .version    = GW_VERSION };

    if (!keys->endpoint)
        return 0;
    (void)gethostname(host, sizeof(host) - 1); /* without one it has no name */
    sv->services.trace = (struct gw_trace){ .share = keys->sample, .topic = sv->cf->topic };
    return pw_tracer_open(&se, &sv->services.trace.tracer, err);
}

/* Nothing makes spans any more. */
static void close_trace(struct server *sv)
{
    if (!sv->services.trace.tracer)
        return;
    pw_tracer_stop(sv->services.trace.tracer, TRACES_TIMEOUT_MS);
    sv->services.trace.tracer = pw_tracer_free(sv->services.trace.tracer);
}

static int open_sink(struct server *sv, struct pw_err *err)
{
    const struct gw_sink_settings se  = { .topic               = sv->cf->topic,
                                          .source              = sv->cf->source,
                                          .kafka               = sv->cf->kafka,
                                          .kafka_n             = sv->cf->kafka_n,
                                          .in_flight           = sv->cf->in_flight,
                                          .delivery_timeout_ms = sv->cf->delivery_timeout_ms,
                                          .trace               = &sv->services.trace };
    int64_t                       end = pw_clock_us() + TOPIC_WAIT_US;

    if (gw_sink_open(&sv->services.publish.sink, sv->loop, &se, err) < 0)
        return -1;
    /* Clients are let in when the topic is known to be there; a signal ends the wait. */
    while (gw_sink_look(sv->services.publish.sink, 1000, err) < 0) {
        if (err->disp == PW_D_FATAL || pw_clock_us() > end) {
            sv->exit_code = EXIT_KAFKA;
            return -1;
        }
        pw_log(PW_LOG_WARN, "gateway.kafka", PW_LOG_AT_NONE, "waiting: %s", err->text);
        pw_notify_say(&sv->notify, PW_NOTIFY_STARTING, 0, err->text);
        if (gw_loop_turn(sv->loop, pw_clock_us() + 1000000, err) < 0)
            return -1;
        if (sv->phase != SERVING)
            return 0;
    }
    return 0;
}

static int open_listener(struct server *sv, struct pw_err *err)
{
    char at[128];
    int  fd = pw_listen_open(sv->cf->listen, err);

    if (fd < 0)
        return pw_err_wrap(err, "listen");
    sv->listener     = (struct gw_watch){ .fd = fd, .fn = on_listener, .arg = sv };
    sv->accept_again = (struct gw_timer){ .fn = accept_more, .arg = sv };
    if (gw_watch_add(sv->loop, &sv->listener, EPOLLIN, err) < 0)
        return -1;
    sv->listening = true;
    gw_health_set(&sv->services.health, true);
    pw_listen_name(fd, at, sizeof(at));
    pw_log(PW_LOG_INFO, "gateway.listening", PW_LOG_AT_NONE, "gRPC on %s%s", at,
           !sv->tls          ? ", without TLS" :
           sv->cf->client_ca ? ", TLS with client certificates" :
                               ", TLS");
    pw_notify_say(&sv->notify, PW_NOTIFY_READY, 0, "ready");
    return 0;
}

static void gather_methods(struct server *sv)
{
    size_t n = 0;

    for (size_t i = 0; i < 3; i++)
        sv->methods[n++] = gw_publish_methods[i];
    for (size_t i = 0; i < 2; i++)
        sv->methods[n++] = gw_health_methods[i];
    for (size_t i = 0; i < 2; i++)
        sv->methods[n++] = gw_reflection_methods[i];
    sv->h2.methods   = sv->methods;
    sv->h2.methods_n = n;
}

static int start(struct server *sv, struct pw_err *err)
{
    if (gw_loop_new(&sv->loop, err) < 0)
        return -1;
    sv->phase_ends                    = (struct gw_timer){ .fn = phase_over, .arg = sv };
    sv->services.publish.identities   = sv->cf->identities;
    sv->services.publish.identities_n = sv->cf->identities_n;
    sv->h2                            = (struct gw_h2){ .loop = sv->loop, .arg = &sv->services, .finished = call_finished };
    gw_config_limits(sv->cf, &sv->h2.li);
    gather_methods(sv);
    open_notify(sv);
    if (open_tls(sv, err) < 0 || open_signals(sv, err) < 0 || open_http(sv, err) < 0 || open_trace(sv, err) < 0 ||
        open_sink(sv, err) < 0)
        return -1;
    return sv->phase == SERVING ? open_listener(sv, err) : 0;
}

static int serve(struct server *sv, struct pw_err *err)
{
    while (sv->phase != OVER) {
        const char *fatal = gw_sink_fatal(sv->services.publish.sink);

        if (gw_loop_turn(sv->loop, sv->http ? pw_http_until_us(sv->http) : INT64_MAX, err) < 0)
            return -1;
        if (sv->http)
            pw_http_serve(sv->http);
        if (fatal && sv->phase == SERVING) {
            sv->exit_code = EXIT_KAFKA;
            (void)pw_err_set(err, PW_D_FATAL, "kafka: %s", fatal);
            leave(sv, fatal);
        }
        if (sv->phase == CLOSING && gw_h2_idle(&sv->h2))
            sv->phase = OVER;
    }
    return 0;
}

int gw_server_run(const struct gw_config *cf, struct pw_err *err)
{
    struct server sv = { .cf = cf, .exit_code = 0, .signals.fd = -1, .notify.fd = -1 };

    pw_err_clear(err);
    if ((start(&sv, err) < 0 || serve(&sv, err) < 0) && sv.exit_code == 0)
        sv.exit_code = EXIT_FAILED;
    if (sv.loop) {
        stop_listening(&sv);
        gw_h2_close(&sv.h2);
        gw_sink_close(sv.services.publish.sink);
        close_trace(&sv);
        gw_timer_drop(sv.loop, &sv.phase_ends);
        gw_timer_drop(sv.loop, &sv.beat);
        pw_notify_close(&sv.notify);
        pw_http_close(sv.http);
        if (sv.signals.fd >= 0)
            (void)close(sv.signals.fd); /* only read from */
        sv.loop = gw_loop_free(sv.loop);
    }
    SSL_CTX_free(sv.tls);
    if (sv.exit_code == 0)
        pw_log(PW_LOG_INFO, "gateway.stopped", PW_LOG_AT_NONE, "all calls have their answer");
    return sv.exit_code;
}
