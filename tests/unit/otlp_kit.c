#include "otlp_kit.h"

#include "base/clock.h"
#include "base/pb.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- the receiver ---- */

static void read_request(int fd, struct pw_buf *head, struct pw_buf *body)
{
    size_t      want = SIZE_MAX;
    const char *end;

    while (head->n < want) {
        ssize_t got = read(fd, pw_buf_room(head, 65536), 65536);

        if (got <= 0)
            return;
        head->n += (size_t)got;
        head->p[head->n] = '\0';
        end              = want == SIZE_MAX ? strstr(head->p, "\r\n\r\n") : NULL;
        if (end)
            want = (size_t)(end + 4 - head->p) + strtoul(strcasestr(head->p, "content-length:") + 15, NULL, 10);
    }
    end = strstr(head->p, "\r\n\r\n") + 4;
    pw_buf_add(body, end, want - (size_t)(end - head->p));
}

static void *serve(void *arg)
{
    static const char taken[] = OTLP_ANSWER("200 OK", "", "");
    struct otlp      *ot      = arg;
    int               fd;

    while ((fd = accept(ot->fd, NULL, NULL)) >= 0) {
        struct pw_buf head = { 0 }, body = { 0 };
        const char   *answer = taken;
        char          c;

        read_request(fd, &head, &body);
        (void)pthread_mutex_lock(&ot->mutex);
        if (ot->n < ot->answers_n)
            answer = ot->answers[ot->n];
        cr_assert(ot->n < OTLP_REQUESTS);
        ot->at_us[ot->n]    = pw_clock_us();
        ot->heads[ot->n]    = head;
        ot->bodies[ot->n++] = body;
        (void)pthread_cond_broadcast(&ot->came);
        (void)pthread_mutex_unlock(&ot->mutex);
        if (*answer)
            (void)!write(fd, answer, strlen(answer));
        else
            (void)!read(fd, &c, 1); /* until the client gives up */
        (void)close(fd);
    }
    return NULL;
}

void otlp_start(struct otlp *ot, const char *const *answers, size_t n)
{
    struct sockaddr_in at   = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          size = sizeof(at);
    pthread_condattr_t attr;

    *ot = (struct otlp){ .answers = answers, .answers_n = n };
    (void)setenv("no_proxy", "*", 1);
    ot->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(ot->fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(ot->fd, 16) == 0);
    cr_assert_eq(getsockname(ot->fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(ot->endpoint, sizeof(ot->endpoint), "http://127.0.0.1:%d/v1/traces", ntohs(at.sin_port));
    (void)pthread_mutex_init(&ot->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&ot->came, &attr);
    (void)pthread_condattr_destroy(&attr);
    cr_assert_eq(pthread_create(&ot->thread, NULL, serve, ot), 0);
}

void otlp_await(struct otlp *ot, size_t n)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 60;
    (void)pthread_mutex_lock(&ot->mutex);
    while (ot->n < n)
        cr_assert_eq(pthread_cond_timedwait(&ot->came, &ot->mutex, &until), 0, "%zu requests of %zu came", ot->n, n);
    (void)pthread_mutex_unlock(&ot->mutex);
}

void otlp_stop(struct otlp *ot)
{
    (void)shutdown(ot->fd, SHUT_RDWR);
    (void)pthread_join(ot->thread, NULL);
    (void)close(ot->fd);
    for (size_t i = 0; i < ot->n; i++) {
        pw_buf_done(&ot->heads[i]);
        pw_buf_done(&ot->bodies[i]);
    }
}

/* ---- what came ---- */

size_t otlp_spans(const struct otlp *ot, size_t request, struct pw_buf *ret, size_t room)
{
    struct pw_pb       pb = pw_pb_of(ot->bodies[request].p, ot->bodies[request].n), scopes, spans;
    struct pw_pb_field resource, scope, span;
    size_t             n = 0;

    while (pw_pb_next(&pb, &resource))
        for (scopes = pw_pb_of(resource.p, resource.n); pw_pb_next(&scopes, &scope);)
            for (spans = pw_pb_of(scope.p, scope.n); scope.number == 2 && pw_pb_next(&spans, &span);)
                if (span.number == 2 && n++ < room)
                    ret[n - 1] = (struct pw_buf){ (char *)(uintptr_t)span.p, span.n, 0 };
    cr_assert_not(pb.bad);
    return n;
}

static void hex(char *to, const struct pw_pb_field *f)
{
    for (size_t i = 0; i < f->n; i++)
        (void)sprintf(to + 2 * i, "%02x", f->p[i]);
}

static void text(char *to, const struct pw_pb_field *f)
{
    (void)snprintf(to, 64, "%.*s", (int)f->n, (const char *)f->p);
}

static void read_link(const struct pw_pb_field *f, struct otlp_span *ret)
{
    struct pw_pb       pb = pw_pb_of(f->p, f->n);
    struct pw_pb_field g;

    while (pw_pb_next(&pb, &g))
        if (g.number == 2 && ret->links < 4)
            hex(ret->link[ret->links], &g);
    ret->links++;
}

static void read_status(const struct pw_pb_field *f, struct otlp_span *ret)
{
    struct pw_pb       pb = pw_pb_of(f->p, f->n);
    struct pw_pb_field g;

    while (pw_pb_next(&pb, &g))
        if (g.number == 3)
            ret->code = g.v;
        else if (g.number == 2)
            text(ret->status, &g);
}

void otlp_span(const struct pw_buf *span, struct otlp_span *ret)
{
    struct pw_pb       pb = pw_pb_of(span->p, span->n);
    struct pw_pb_field f;

    memset(ret, 0, sizeof(*ret));
    while (pw_pb_next(&pb, &f)) {
        switch (f.number) {
        case 1: hex(ret->trace, &f); break;
        case 2: hex(ret->id, &f); break;
        case 3: text(ret->state, &f); break;
        case 4: hex(ret->parent, &f); break;
        case 5: text(ret->name, &f); break;
        case 6: ret->kind = f.v; break;
        case 7: ret->begin = f.v; break;
        case 8: ret->end = f.v; break;
        case 13: read_link(&f, ret); break;
        case 14: ret->links_left = f.v; break;
        case 15: read_status(&f, ret); break;
        default: break;
        }
    }
    cr_assert_not(pb.bad);
}

static bool read_pair(const struct pw_pb_field *f, const char *key, char ret[64])
{
    struct pw_pb       pb = pw_pb_of(f->p, f->n), value = { 0 };
    struct pw_pb_field g, v;
    bool               found = false;

    while (pw_pb_next(&pb, &g))
        if (g.number == 1)
            found = g.n == strlen(key) && memcmp(g.p, key, g.n) == 0;
        else
            value = pw_pb_of(g.p, g.n);
    if (!found || !pw_pb_next(&value, &v))
        return false;
    if (v.number == 1)
        text(ret, &v);
    else
        (void)snprintf(ret, 64, "%lld", (long long)v.v);
    return true;
}

const char *otlp_attribute(const struct pw_buf *span, const char *key, char ret[64])
{
    struct pw_pb       pb = pw_pb_of(span->p, span->n);
    struct pw_pb_field f;

    while (pw_pb_next(&pb, &f))
        if (f.number == 9 && read_pair(&f, key, ret))
            return ret;
    return NULL;
}
