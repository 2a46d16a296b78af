#include "supervisor/door.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- hosts ---- */

/* Of "host", "host:port" or "[host]:port": where the host begins, and its length. */
static size_t host_of(const char *s, const char **ret)
{
    if (*s == '[') {
        *ret = s + 1;
        return strcspn(s + 1, "]");
    }
    *ret = s;
    return strcspn(s, ":");
}

static bool is_address(const char *p, size_t n)
{
    char          text[INET6_ADDRSTRLEN] = "";
    unsigned char any[sizeof(struct in6_addr)];

    if (n >= sizeof(text))
        return false;
    memcpy(text, p, n);
    return inet_pton(AF_INET, text, any) == 1 || inet_pton(AF_INET6, text, any) == 1;
}

static bool is_host(const char *p, size_t n, const char *name)
{
    return name && strlen(name) == n && strncasecmp(p, name, n) == 0;
}

bool pw_door_host(const char *host, const char *listen, const char *name)
{
    const char *p, *own;
    size_t      n, own_n;

    if (!host)
        return false;
    n     = host_of(host, &p);
    own_n = host_of(listen, &own);
    return is_address(p, n) || is_host(p, n, "localhost") || is_host(p, n, name) || (own_n == n && strncasecmp(p, own, n) == 0);
}

bool pw_door_origin(const char *origin, const char *host)
{
    const char *at = origin ? strstr(origin, "://") : NULL;

    return !origin || (at && host && strcasecmp(at + 3, host) == 0);
}

/* ---- tokens ---- */

/* Takes as long for one wrong byte as for all; only the length shows. */
static bool same(const char *a, const char *b)
{
    size_t                 n    = strlen(a);
    volatile unsigned char diff = 0;

    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        diff = (unsigned char)(diff | (a[i] ^ b[i]));
    return diff == 0;
}

static bool is_over(int64_t since_us, int64_t now_us)
{
    return now_us - since_us >= PW_DOOR_WINDOW_US;
}

static bool is_locked(const struct pw_door *door, const char *peer, int64_t now_us)
{
    for (size_t i = 0; i < PW_DOOR_PEERS; i++)
        if (strcmp(door->peers[i].name, peer) == 0)
            return door->peers[i].failed >= PW_DOOR_TRIES && !is_over(door->peers[i].since_us, now_us);
    return false;
}

static void note_failure(struct pw_door *door, const char *peer, int64_t now_us)
{
    size_t at = 0;

    for (size_t i = 0; i < PW_DOOR_PEERS && strcmp(door->peers[at].name, peer) != 0; i++)
        if (strcmp(door->peers[i].name, peer) == 0 || door->peers[i].since_us < door->peers[at].since_us)
            at = i;
    if (strcmp(door->peers[at].name, peer) != 0 || is_over(door->peers[at].since_us, now_us)) {
        (void)snprintf(door->peers[at].name, sizeof(door->peers[at].name), "%s", peer);
        door->peers[at].since_us = now_us;
        door->peers[at].failed   = 0;
    }
    door->peers[at].failed++;
}

enum pw_door_token pw_door_token(struct pw_door *door, const char *peer, const char *authorization, const char *token,
                                 int64_t now_us)
{
    static const char scheme[] = "Bearer ";

    if (!authorization)
        return PW_DOOR_NONE;
    if (is_locked(door, peer, now_us))
        return PW_DOOR_LOCKED;
    if (token && strncasecmp(authorization, scheme, sizeof(scheme) - 1) == 0 && same(authorization + sizeof(scheme) - 1, token))
        return PW_DOOR_RIGHT;
    note_failure(door, peer, now_us);
    return PW_DOOR_WRONG;
}
