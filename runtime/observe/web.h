/* web: an HTTP server for pages and small forms, with or without TLS, served from the caller's loop without a thread. An answer may come
 * later. Each carries the headers that keep a browser from doing more with it than show it. */
#ifndef PW_OBSERVE_WEB_H
#define PW_OBSERVE_WEB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pollset.h"

#include <stdbool.h>
#include <stdint.h>

#define PW_WEB_BODY 16384 /* bytes of a form */
#define PW_WEB_ARGS 16
#define PW_WEB_PEER 64

struct pw_web;

struct pw_web_arg {
    const char *name, *value;
};

struct pw_web_request {
    const char       *method, *path;                 /* without its arguments */
    const char       *host, *origin, *authorization; /* headers; NULL: not sent */
    char              peer[PW_WEB_PEER];             /* address of the client, without its port */
    struct pw_web_arg args[PW_WEB_ARGS];             /* of the path, and of the form if it is a POST */
    size_t            args_n;
    const char       *wrong; /* why the arguments cannot be read; NULL: they can */
    /* the answer */
    unsigned            status;
    const char         *type;  /* Content-Type */
    const char         *allow; /* header of a 405; NULL: none */
    struct pw_buf       body;
    struct pw_web_call *call; /* of web.c */
};

const char *pw_web_arg(const struct pw_web_request *rq, const char *name); /* NULL: not given */

/* answer fills the last part; false: pw_web_reply() comes later, also to a client that is gone. certificate, key: PEM; NULL: without TLS. */
int  pw_web_open(struct pw_web **ret, const char *key_name, const char *listen, const char *certificate, const char *key,
                 bool (*answer)(void *arg, struct pw_web_request *rq), void *arg, struct pw_err *err) PW_MUST_CHECK;
void pw_web_close(struct pw_web *web); /* NULL is a no-op; requests that wait go without an answer */
void pw_web_reply(struct pw_web_request *rq);

const char *pw_web_address(const struct pw_web *web);
void        pw_web_poll(struct pw_web *web, struct pw_pollset *ps);
int64_t     pw_web_until_us(const struct pw_web *web);
void        pw_web_serve(struct pw_web *web);

#endif
