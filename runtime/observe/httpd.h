/* httpd: libmicrohttpd on a TCP address, served from the caller's loop without a thread. What http.h and web.h stand on. */
#ifndef PW_OBSERVE_HTTPD_H
#define PW_OBSERVE_HTTPD_H

#include "base/err.h"
#include "base/pollset.h"

#include <microhttpd.h>
#include <stdint.h>

#define PW_HTTP_CLIENTS   64
#define PW_HTTP_TIMEOUT_S 10    /* of a silent connection */
#define PW_HTTP_MEMORY    16384 /* for the head of a request */

struct pw_httpd {
    struct MHD_Daemon *daemon;
    int                epoll_fd;
    char               address[128];
};

struct pw_httpd_handlers {
    MHD_AccessHandlerCallback    serve;
    MHD_RequestCompletedCallback completed;         /* NULL: none; then connections cannot be suspended */
    const char                  *certificate, *key; /* PEM; NULL: without TLS */
    void                        *arg;
};

/* key: of the topology, for errors. */
int  pw_httpd_open(struct pw_httpd *hd, const char *key, const char *listen, const struct pw_httpd_handlers *handlers,
                   struct pw_err *err) PW_MUST_CHECK;
void pw_httpd_close(struct pw_httpd *hd);

/* One turn: descriptor in, poll, serve. */
void    pw_httpd_poll(const struct pw_httpd *hd, struct pw_pollset *ps);
int64_t pw_httpd_until_us(const struct pw_httpd *hd); /* when it wants to be served, INT64_MAX: only on events */
void    pw_httpd_serve(struct pw_httpd *hd);

#endif
