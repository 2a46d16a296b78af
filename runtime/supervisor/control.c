#include "supervisor/control.h"

#include "base/clock.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_WAIT_MS 10000

struct client {
    int           fd;    /* -1: free */
    size_t        index; /* in the pollset of this turn */
    int64_t       until_us;
    char          line[PW_CONTROL_LINE];
    size_t        line_n;
    bool          answered, held; /* held: the answer comes later */
    uint32_t      ticket;
    struct pw_buf reply;
    size_t        sent;
};

struct pw_control {
    int                fd;
    uint32_t           tickets;
    size_t             index;
    bool               polled;
    struct sockaddr_un at;
    struct client      clients[PW_CONTROL_CLIENTS];
};

static int socket_path(const char *run_dir, struct sockaddr_un *ret, struct pw_err *err)
{
    int n;

    memset(ret, 0, sizeof(*ret));
    ret->sun_family = AF_UNIX;
    n               = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", run_dir, PW_CONTROL_SOCKET);
    if (n < 0 || (size_t)n >= sizeof(ret->sun_path))
        return pw_err_set(err, PW_D_FATAL, "run_dir %s is too long for a socket in it", run_dir);
    return 0;
}

int pw_control_open(struct pw_control **ret, const char *run_dir, struct pw_err *err)
{
    struct pw_control *ct = calloc(1, sizeof(*ct));
    mode_t             old;
    int                rc;

    PW_ASSERT(ct != NULL);
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++)
        ct->clients[i].fd = -1;
    ct->fd = -1;
    if (socket_path(run_dir, &ct->at, err) < 0)
        goto fail;
    ct->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ct->fd < 0) {
        (void)pw_err_sys(err, PW_D_FATAL, "make the control socket");
        goto fail;
    }
    (void)unlink(ct->at.sun_path); /* left by one that was killed: we hold the lock of run_dir */
    old = umask(0177);
    rc  = bind(ct->fd, (const struct sockaddr *)&ct->at, sizeof(ct->at));
    (void)umask(old);
    if (rc < 0 || listen(ct->fd, 64) < 0) {
        (void)pw_err_sys(err, PW_D_FATAL, "listen on %s", ct->at.sun_path);
        goto fail;
    }
    *ret = ct;
    return 0;
fail:
    if (ct->fd >= 0)
        (void)close(ct->fd); /* the first error counts */
    free(ct);
    return -1;
}

/* Returns false when the client is done. */
static bool send_reply(struct client *cl)
{
    while (cl->sent < cl->reply.n) {
        ssize_t n = send(cl->fd, cl->reply.p + cl->sent, cl->reply.n - cl->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        cl->sent += (size_t)n;
    }
    return false;
}

static void drop(struct client *cl)
{
    (void)close(cl->fd); /* the answer is sent, or nobody wants it */
    pw_buf_done(&cl->reply);
    *cl = (struct client){ .fd = -1 };
}

void pw_control_close(struct pw_control *ct)
{
    if (!ct)
        return;
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        if (ct->clients[i].fd >= 0 && ct->clients[i].answered && !ct->clients[i].held)
            (void)send_reply(&ct->clients[i]); /* as much as goes without waiting: it is short */
        if (ct->clients[i].fd >= 0)
            drop(&ct->clients[i]);
    }
    (void)unlink(ct->at.sun_path); /* a leftover would be replaced at the next start */
    (void)close(ct->fd);
    free(ct);
}

static struct client *free_client(struct pw_control *ct)
{
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++)
        if (ct->clients[i].fd < 0)
            return &ct->clients[i];
    return NULL;
}

void pw_control_poll(struct pw_control *ct, struct pw_pollset *ps)
{
    ct->polled = free_client(ct) != NULL;
    if (ct->polled)
        ct->index = pw_pollset_add(ps, ct->fd, POLLIN);
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++)
        if (ct->clients[i].fd >= 0)
            ct->clients[i].index =
                pw_pollset_add(ps, ct->clients[i].fd, ct->clients[i].answered && !ct->clients[i].held ? POLLOUT : POLLIN);
}

int64_t pw_control_until_us(const struct pw_control *ct)
{
    int64_t until = INT64_MAX;

    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++)
        if (ct->clients[i].fd >= 0 && ct->clients[i].until_us < until)
            until = ct->clients[i].until_us;
    return until;
}

/* It has nothing to say any more; what counts is whether it is there. */
static bool is_there(const struct client *cl)
{
    char    sink[64];
    ssize_t n = recv(cl->fd, sink, sizeof(sink), MSG_DONTWAIT);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool read_request(struct client *cl, bool (*answer)(void *, const char *, uint32_t, struct pw_buf *), void *arg)
{
    ssize_t n = recv(cl->fd, cl->line + cl->line_n, sizeof(cl->line) - cl->line_n, MSG_DONTWAIT);
    char   *end;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    cl->line_n += (size_t)n;
    end = memchr(cl->line, '\n', cl->line_n);
    if (!end && cl->line_n < sizeof(cl->line))
        return true;
    cl->answered = true;
    if (end) {
        *end     = 0;
        cl->held = true; /* an answer may come while it is being asked for */
        if (answer(arg, cl->line, cl->ticket, &cl->reply))
            cl->held = false;
        if (cl->held) {
            cl->until_us = INT64_MAX;
            return true;
        }
    } else {
        pw_buf_printf(&cl->reply, "error: a request is a line of at most %d bytes\n", PW_CONTROL_LINE - 1);
    }
    return send_reply(cl);
}

static void take_clients(struct pw_control *ct)
{
    struct client *cl;

    while ((cl = free_client(ct))) {
        int fd = accept4(ct->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) /* nobody any more, or no descriptor left for now */
            return;
        *cl = (struct client){ .fd       = fd,
                               .index    = SIZE_MAX,
                               .until_us = pw_clock_us() + (int64_t)PW_CONTROL_TIMEOUT_MS * 1000,
                               .ticket   = ++ct->tickets ? ct->tickets : ++ct->tickets };
    }
}

void pw_control_reply(struct pw_control *ct, uint32_t ticket, const struct pw_buf *reply)
{
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        struct client *cl = &ct->clients[i];

        if (cl->fd < 0 || !cl->held || cl->ticket != ticket)
            continue;
        pw_buf_add(&cl->reply, reply->p, reply->n);
        cl->held     = false;
        cl->until_us = pw_clock_us() + (int64_t)PW_CONTROL_TIMEOUT_MS * 1000;
    }
}

void pw_control_serve(struct pw_control *ct, const struct pw_pollset                        *ps,
                      bool (*answer)(void *, const char *, uint32_t, struct pw_buf *), void *arg)
{
    int64_t now = pw_clock_us();

    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        struct client *cl = &ct->clients[i];

        if (cl->fd < 0)
            continue;
        if (ps->p[cl->index].revents && !(cl->held     ? is_there(cl) :
                                          cl->answered ? send_reply(cl) :
                                                         read_request(cl, answer, arg)))
            drop(cl);
        else if (now >= cl->until_us)
            drop(cl);
    }
    if (ct->polled && ps->p[ct->index].revents)
        take_clients(ct);
}

/* ---- the other side ---- */

static bool nobody_listens(int error)
{
    return error == ENOENT || error == ECONNREFUSED;
}

/* err->sys keeps the cause. */
static int refused(const struct sockaddr_un *at, int error, struct pw_err *err)
{
    if (!nobody_listens(error))
        return pw_err_sys(err, PW_D_FATAL, "connect to %s", at->sun_path);
    (void)pw_err_set(err, PW_D_FATAL, "nothing runs here: no supervisor listens on %s", at->sun_path);
    err->sys = error;
    return -1;
}

/* wait_ms -1: as long as it takes. */
static int ask(int fd, const struct sockaddr_un *at, const char *request, int wait_ms, struct pw_buf *reply, struct pw_err *err)
{
    ssize_t n = (ssize_t)strlen(request);

    if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
        return refused(at, errno, err);
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        return pw_err_sys(err, PW_D_FATAL, "ask on %s", at->sun_path);
    do {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, wait_ms) == 0)
            return pw_err_set(err, PW_D_FATAL, "no answer on %s within %d s: the supervisor is stopped or very busy",
                              at->sun_path, wait_ms / 1000);
        n = recv(fd, pw_buf_room(reply, 65536), 65536, 0);
        reply->n += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return pw_err_sys(err, PW_D_FATAL, "read from %s", at->sun_path);
    pw_buf_add(reply, "", 0);
    if (reply->n == 0 || reply->p[reply->n - 1] != '\n')
        return pw_err_set(err, PW_D_FATAL, "the supervisor on %s ended in the middle of its answer", at->sun_path);
    return 0;
}

/* Connects, asks and reads the whole answer. */
static int exchange(const char *run_dir, const char *request, int wait_ms, struct pw_buf *reply, struct pw_err *err)
{
    struct sockaddr_un at;
    int                fd, rc;

    pw_err_clear(err);
    if (socket_path(run_dir, &at, err) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a socket");
    rc = ask(fd, &at, request, wait_ms, reply, err);
    (void)close(fd); /* all is read */
    PW_ASSERT(rc < 0 || reply->p != NULL);
    if (rc == 0 && strncmp(reply->p, "error: ", 7) == 0)
        rc = pw_err_set(err, PW_D_REJECT, "%.*s", (int)reply->n - 8, reply->p + 7);
    return rc;
}

int pw_control_resume(const char *run_dir, const char *pipeline, bool *ret_started, struct pw_err *err)
{
    struct pw_buf reply = { 0 };
    char          request[PW_CONTROL_LINE];
    int           rc;

    (void)snprintf(request, sizeof(request), "resume %s\n", pipeline);
    rc           = exchange(run_dir, request, CLIENT_WAIT_MS, &reply, err);
    *ret_started = rc == 0 && reply.p && strcmp(reply.p, "started\n") == 0;
    if (rc < 0 && (nobody_listens(err->sys) || err->disp == PW_D_REJECT))
        rc = 0;
    pw_buf_done(&reply);
    return rc;
}

int pw_control_ask(const char *run_dir, const char *request, int wait_ms, struct pw_buf *ret, struct pw_err *err)
{
    return exchange(run_dir, request, wait_ms, ret, err);
}

int pw_control_shadow(const char *run_dir, const char *pipeline, bool cases, struct pw_buf *ret, struct pw_err *err)
{
    char request[PW_CONTROL_LINE];

    (void)snprintf(request, sizeof(request), "shadow %s %s\n", cases ? "cases" : "text", pipeline);
    return exchange(run_dir, request, CLIENT_WAIT_MS, ret, err);
}

static int print_answer(const char *run_dir, const char *request)
{
    struct pw_buf reply = { 0 };
    struct pw_err err;
    int           rc = exchange(run_dir, request, CLIENT_WAIT_MS, &reply, &err);

    if (rc == 0 && (fwrite(reply.p, 1, reply.n, stdout) != reply.n || fflush(stdout) != 0))
        rc = pw_err_sys(&err, PW_D_FATAL, "write the answer");
    if (rc < 0)
        (void)fprintf(stderr, "pawl: %s\n", err.text);
    pw_buf_done(&reply);
    return rc < 0 ? 1 : 0;
}

/* As the JSON says it, or the first line of the text. */
static bool says_ready(const struct pw_buf *reply, int json)
{
    size_t n = strcspn(reply->p, "\n");

    if (json)
        return strstr(reply->p, "\"ready\":true") != NULL; /* a quote within a text is escaped */
    return memmem(reply->p, n, ", ready,", 8) || (n >= 7 && memcmp(reply->p + n - 7, ", ready", 7) == 0);
}

int pw_control_status(const char *run_dir, int json)
{
    struct pw_buf reply = { 0 };
    struct pw_err err;
    int           rc = exchange(run_dir, json ? "status json\n" : "status text\n", CLIENT_WAIT_MS, &reply, &err);
    bool          ready;

    if (rc == 0 && (fwrite(reply.p, 1, reply.n, stdout) != reply.n || fflush(stdout) != 0))
        rc = pw_err_sys(&err, PW_D_FATAL, "write the status");
    if (rc < 0)
        (void)fprintf(stderr, "pawl: %s\n", err.text);
    ready = rc == 0 && says_ready(&reply, json);
    pw_buf_done(&reply);
    return ready ? 0 : 1;
}

int pw_control_log_level(const char *run_dir, const char *pipeline, const char *level, int64_t ms)
{
    char request[PW_CONTROL_LINE];
    int  n = snprintf(request, sizeof(request), "log-level %s %s %" PRId64 "\n", pipeline ? pipeline : "*", level, ms);

    if (n > 0 && (size_t)n < sizeof(request))
        return print_answer(run_dir, request);
    (void)fprintf(stderr, "pawl: the name is too long\n");
    return 1;
}

/* An answer of two parts: "exit CODE", then what a person is told. Returns the exit code. */
static int obey(const char *run_dir, const char *request)
{
    struct pw_buf reply = { 0 };
    struct pw_err err;
    int           code = 1;

    if (exchange(run_dir, request, -1, &reply, &err) < 0)
        (void)fprintf(stderr, "pawl: %s\n", err.text);
    else if (!reply.p || strncmp(reply.p, "exit ", 5) != 0)
        (void)fprintf(stderr, "pawl: the supervisor's answer makes no sense: it is of another version\n");
    else {
        code = (int)strtol(reply.p + 5, NULL, 10);
        (void)fputs(strchr(reply.p, '\n') + 1, stdout); /* exchange() has seen that it ends with one */
        if (fflush(stdout) != 0)
            code = 1;
    }
    pw_buf_done(&reply);
    return code;
}

int pw_control_reload(const char *run_dir, const char *plugin)
{
    char request[PW_CONTROL_LINE];
    int  n = snprintf(request, sizeof(request), plugin ? "reload %s\n" : "reload\n", plugin);

    if (n > 0 && (size_t)n < sizeof(request))
        return obey(run_dir, request);
    (void)fprintf(stderr, "pawl: the name is too long\n");
    return 1;
}

int pw_control_leave(const char *run_dir)
{
    return obey(run_dir, "leave\n");
}
