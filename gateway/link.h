/* link: a connected socket, with TLS or without; reads and writes never block. */
#ifndef GW_LINK_H
#define GW_LINK_H

#include "base/err.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GW_LINK_AGAIN  (-1) /* nothing now; link->want says which event to wait for */
#define GW_LINK_FAILED (-2)

struct gw_link {
    int      fd;
    SSL     *ssl;   /* NULL: plain */
    uint32_t want;  /* EPOLLIN or EPOLLOUT: what TLS needs to go on; 0: nothing special */
    bool     ready; /* the handshake is over */
};

/* ctx NULL: plain. Owns fd from now on, also when it fails. */
int  gw_link_open(struct gw_link *li, int fd, SSL_CTX *ctx, struct pw_err *err) PW_MUST_CHECK;
void gw_link_close(struct gw_link *li); /* says good-bye if that does not block */
/* Says good-bye and writes no more. A socket that is closed while bytes of the client wait is reset, and what was written may never
 * be read; so read on, with gw_link_discard, until the client has closed, too. */
void gw_link_end(struct gw_link *li);
bool gw_link_discard(struct gw_link *li); /* false: it has, or it failed */
/* 0: ready, GW_LINK_AGAIN, or GW_LINK_FAILED with *err filled: no TLS, no certificate, no ALPN "h2". */
int gw_link_handshake(struct gw_link *li, struct pw_err *err);
/* Bytes, 0 at the end, GW_LINK_AGAIN or GW_LINK_FAILED. */
ssize_t gw_link_read(struct gw_link *li, void *p, size_t n);
ssize_t gw_link_write(struct gw_link *li, const void *p, size_t n);
/* Bytes that TLS has taken off the socket and nobody has read: epoll does not know of them. */
bool gw_link_pending(const struct gw_link *li);

#endif
