#include "topology/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool made_of(const char *name, const char *first, const char *rest, size_t max)
{
    size_t n = strlen(name);

    return n >= 1 && n <= max && strspn(name, first) >= 1 && strspn(name + 1, rest) == n - 1;
}

const char *pw_name_check(const char *name)
{
    if (made_of(name, LOWER DIGITS, LOWER DIGITS "-", 63))
        return NULL;
    return "must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit";
}

const char *pw_name_check_port(const char *name)
{
    if (made_of(name, LOWER DIGITS, LOWER DIGITS "_-", 63))
        return NULL;
    return "must be 1 to 63 of a-z, 0-9, '_' and '-', beginning with a letter or digit";
}

const char *pw_name_check_topic(const char *name)
{
    if (name[0] == '^')
        return "must be the name of one topic; patterns are not supported";
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "must be another name than '.' and '..'";
    if (!made_of(name, LOWER UPPER DIGITS "._-", LOWER UPPER DIGITS "._-", 249))
        return "must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'";
    return NULL;
}

const char *pw_name_check_group(const char *name)
{
    if (made_of(name, LOWER UPPER DIGITS "._-", LOWER UPPER DIGITS "._-", 249))
        return NULL;
    return "must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'";
}

const char *pw_name_check_sha256(const char *digits)
{
    if (strlen(digits) == 64 && strspn(digits, DIGITS "abcdef") == 64)
        return NULL;
    return "must be 64 of 0-9 and a-f, as sha256sum prints them";
}

const char *pw_name_check_listen(const char *address)
{
    static const char what[] = "must be address:port, such as 127.0.0.1:9464 or [::1]:9464, or 0.0.0.0:9464 for all";
    const char       *colon  = strrchr(address, ':');
    size_t            n, digits;
    unsigned          port = 0;

    if (!colon || colon == address)
        return what;
    n = (size_t)(colon - address);
    if (address[0] == '[') {
        if (n < 4 || address[n - 1] != ']' || strspn(address + 1, DIGITS "abcdefABCDEF:.") != n - 2)
            return what;
    } else if (n > 253 || strspn(address, LOWER UPPER DIGITS ".-") != n) {
        return what;
    }
    digits = strspn(colon + 1, DIGITS);
    if (digits == 0 || digits > 5 || colon[1 + digits] || (colon[1] == '0' && digits > 1))
        return what;
    for (size_t i = 1; i <= digits; i++)
        port = port * 10 + (unsigned)(colon[i] - '0');
    return port <= 65535 ? NULL : "must have a port from 0 to 65535";
}

static const char *read_port(const char *text, uint16_t *ret)
{
    unsigned long port;
    char         *end;

    *ret = 0;
    if (*text < '1' || *text > '9')
        return NULL;
    port = strtoul(text, &end, 10);
    *ret = (uint16_t)port;
    return port <= UINT16_MAX ? end : NULL;
}

size_t pw_name_ports(const char *text, struct pw_port_range ret[PW_NAME_PORTS])
{
    size_t n = 0;

    while (text && n < PW_NAME_PORTS) {
        struct pw_port_range *pr = &ret[n++];

        text   = read_port(text, &pr->from);
        pr->to = pr->from;
        if (text && *text == '-')
            text = read_port(text + 1, &pr->to);
        if (!text || pr->to < pr->from)
            return 0;
        if (!*text)
            return n;
        text = *text == ',' ? text + 1 : NULL;
    }
    return 0;
}

const char *pw_name_check_ports(const char *ports)
{
    struct pw_port_range ranges[PW_NAME_PORTS];

    return pw_name_ports(ports, ranges) ? NULL :
                                          "must be ports from 1 to 65535, such as 443 or 443,30000-30100; at most 32 of them";
}
