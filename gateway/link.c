#include "link.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int gw_link_open(struct gw_link *li, int fd, SSL_CTX *ctx, struct pw_err *err)
{
    int on = 1;

    *li = (struct gw_link){ .fd = fd, .ready = ctx == NULL };
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* an answer is small and is waited for */
    if (!ctx)
        return 0;
    li->ssl = SSL_new(ctx);
    if (!li->ssl || SSL_set_fd(li->ssl, fd) != 1) {
        gw_link_close(li);
        return pw_err_set(err, PW_D_FATAL, "TLS: no memory for a connection");
    }
    SSL_set_accept_state(li->ssl);
    return 0;
}

void gw_link_end(struct gw_link *li)
{
    if (li->ssl && li->ready) {
        ERR_clear_error();
        (void)SSL_shutdown(li->ssl); /* one way: who has gone does not answer */
    }
    li->ready = false;
    (void)shutdown(li->fd, SHUT_WR); /* fails if the client has gone */
}

bool gw_link_discard(struct gw_link *li)
{
    char    bytes[4096];
    ssize_t n;

    for (int i = 0; i < 64; i++) { /* others have a turn, too */
        n = recv(li->fd, bytes, sizeof(bytes), MSG_TRUNC);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    return true;
}

void gw_link_close(struct gw_link *li)
{
    if (li->ssl && li->ready) {
        ERR_clear_error();
        (void)SSL_shutdown(li->ssl); /* one way: who has gone does not answer */
    }
    SSL_free(li->ssl);
    li->ssl = NULL;
    if (li->fd >= 0)
        (void)close(li->fd); /* all that mattered has been written */
    li->fd = -1;
}

/* What a failed call of OpenSSL means. */
static int meaning(struct gw_link *li, int rc)
{
    switch (SSL_get_error(li->ssl, rc)) {
    case SSL_ERROR_WANT_READ: li->want = EPOLLIN; return GW_LINK_AGAIN;
    case SSL_ERROR_WANT_WRITE: li->want = EPOLLOUT; return GW_LINK_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: return GW_LINK_FAILED;
    }
}

int gw_link_handshake(struct gw_link *li, struct pw_err *err)
{
    const unsigned char *proto   = NULL;
    unsigned             proto_n = 0;
    int                  rc;

    if (li->ready)
        return 0;
    li->want = 0;
    ERR_clear_error();
    rc = SSL_do_handshake(li->ssl);
    if (rc != 1) {
        rc = meaning(li, rc);
        if (rc == GW_LINK_AGAIN)
            return rc;
        const char *why = ERR_reason_error_string(ERR_peek_last_error());

        (void)pw_err_set(err, PW_D_FATAL, "TLS handshake: %s", why ? why : "the client went away");
        return GW_LINK_FAILED;
    }
    SSL_get0_alpn_selected(li->ssl, &proto, &proto_n);
    if (proto_n != 2 || memcmp(proto, "h2", 2) != 0) {
        (void)pw_err_set(err, PW_D_FATAL, "TLS handshake: the client does not offer HTTP/2 (ALPN h2)");
        return GW_LINK_FAILED;
    }
    li->ready = true;
    return 0;
}

ssize_t gw_link_read(struct gw_link *li, void *p, size_t n)
{
    ssize_t got;

    if (li->ssl) {
        int rc;

        li->want = 0;
        ERR_clear_error();
        rc = SSL_read(li->ssl, p, n < INT_MAX ? (int)n : INT_MAX);
        return rc > 0 ? rc : meaning(li, rc);
    }
    do
        got = recv(li->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    return got >= 0 ? got : errno == EAGAIN ? GW_LINK_AGAIN : GW_LINK_FAILED;
}

ssize_t gw_link_write(struct gw_link *li, const void *p, size_t n)
{
    ssize_t put;

    if (li->ssl) {
        int rc;

        li->want = 0;
        ERR_clear_error();
        rc = SSL_write(li->ssl, p, n < INT_MAX ? (int)n : INT_MAX);
        return rc > 0 ? rc : meaning(li, rc) == GW_LINK_AGAIN ? GW_LINK_AGAIN : GW_LINK_FAILED;
    }
    do
        put = send(li->fd, p, n, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put >= 0 ? put : errno == EAGAIN ? GW_LINK_AGAIN : GW_LINK_FAILED;
}

bool gw_link_pending(const struct gw_link *li)
{
    return li->ssl && SSL_pending(li->ssl) > 0;
}
