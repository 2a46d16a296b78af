#include "observe/httpd.h"

#include "base/clock.h"
#include "base/listen.h"
#include "observe/log.h"

#include <stdio.h>
#include <unistd.h>

__attribute__((format(printf, 2, 0))) static void log_from_library(void *cls, const char *fmt, va_list ap)
{
    char text[256];

    (void)cls;
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut at the end is fine */
    pw_log(PW_LOG_DEBUG, "http.log", PW_LOG_AT_NONE, "%s", text);
}

static struct MHD_Daemon *start(int fd, const struct pw_httpd_handlers *h)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG | (h->completed ? MHD_ALLOW_SUSPEND_RESUME : 0) |
                     (h->certificate ? MHD_USE_TLS : 0);
    struct MHD_OptionItem more[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)h->certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)h->key },
        { MHD_OPTION_END, 0, NULL },
    };

    return MHD_start_daemon(flags, 0, NULL, NULL, h->serve, h->arg, MHD_OPTION_EXTERNAL_LOGGER, log_from_library, NULL,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)PW_HTTP_CLIENTS,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PW_HTTP_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)PW_HTTP_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, h->completed, h->arg, MHD_OPTION_ARRAY,
                            h->certificate ? more : &more[2], MHD_OPTION_END);
}

int pw_httpd_open(struct pw_httpd *hd, const char *key, const char *listen, const struct pw_httpd_handlers *handlers,
                  struct pw_err *err)
{
    const union MHD_DaemonInfo *info;
    int                         fd = pw_listen_open(listen, err);

    if (fd < 0)
        return pw_err_wrap(err, "%s", key);
    pw_listen_name(fd, hd->address, sizeof(hd->address));
    hd->daemon = start(fd, handlers);
    if (!hd->daemon) {
        (void)close(fd); /* only bound */
        return pw_err_set(err, PW_D_FATAL, "%s: libmicrohttpd does not start on %s%s", key, listen,
                          handlers->certificate ? ": are certificate and key PEM, and do they belong together?" : "");
    }
    info = MHD_get_daemon_info(hd->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    PW_ASSERT(info != NULL);
    hd->epoll_fd = info->epoll_fd;
    return 0;
}

void pw_httpd_close(struct pw_httpd *hd)
{
    MHD_stop_daemon(hd->daemon);
    hd->daemon = NULL;
}

void pw_httpd_poll(const struct pw_httpd *hd, struct pw_pollset *ps)
{
    (void)pw_pollset_add(ps, hd->epoll_fd, POLLIN); /* served each turn, so its events need not be looked at */
}

int64_t pw_httpd_until_us(const struct pw_httpd *hd)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;

    return MHD_get_timeout(hd->daemon, &ms) == MHD_YES ? pw_clock_us() + (int64_t)ms * 1000 : INT64_MAX;
}

void pw_httpd_serve(struct pw_httpd *hd)
{
    (void)MHD_run(hd->daemon); /* fails only in other modes than ours */
}
