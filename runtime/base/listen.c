#include "base/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static int split(const char *listen, char *host, size_t cap, const char **ret_port, struct pw_err *err)
{
    const char *colon = strrchr(listen, ':');
    size_t      n     = colon ? (size_t)(colon - listen) : 0;

    if (n >= 2 && listen[0] == '[' && listen[n - 1] == ']') {
        listen++;
        n -= 2;
    }
    if (!colon || n == 0 || n >= cap)
        return pw_err_set(err, PW_D_FATAL, "'%s' is not address:port", listen);
    memcpy(host, listen, n);
    host[n]   = 0;
    *ret_port = colon + 1;
    return 0;
}

static int try_listen(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* else a restart would have to wait for old connections */
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)); /* "[::]" says IPv6, nothing else */
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    (void)close(fd); /* errno says why, unless close fails, which it does not here */
    return -1;
}

int pw_listen_open(const char *listen, struct pw_err *err)
{
    const struct addrinfo hints = { .ai_family   = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags    = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo      *list  = NULL;
    char                  host[256];
    const char           *port = NULL;
    int                   fd   = -1, rc;

    if (split(listen, host, sizeof(host), &port, err) < 0)
        return -1;
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return pw_err_set(err, PW_D_FATAL, "%s: %s", listen, gai_strerror(rc));
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        fd = try_listen(ai);
    if (fd < 0)
        (void)pw_err_sys(err, PW_D_FATAL, "cannot listen on %s", listen);
    freeaddrinfo(list);
    return fd;
}

void pw_listen_name(int fd, char *ret, size_t cap)
{
    struct sockaddr_storage at   = { 0 };
    socklen_t               at_n = sizeof(at);
    char                    host[64], port[16];

    if (getsockname(fd, (struct sockaddr *)&at, &at_n) < 0 ||
        getnameinfo((struct sockaddr *)&at, at_n, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(ret, cap, "unknown");
    else
        (void)snprintf(ret, cap, at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

bool pw_listen_is_loopback(const char *listen)
{
    char            host[256];
    const char     *port = NULL;
    struct in_addr  four;
    struct in6_addr six;
    struct pw_err   ignored; /* what is no address is no loopback */

    if (split(listen, host, sizeof(host), &port, &ignored) < 0)
        return false;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    return strcasecmp(host, "localhost") == 0 || (inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six));
}
