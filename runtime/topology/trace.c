#include "topology/trace.h"

#include <string.h>
#include <strings.h>

static bool is_url(const char *s, bool *ret_secure)
{
    size_t n = strncasecmp(s, "http://", 7) == 0 ? 7 : strncasecmp(s, "https://", 8) == 0 ? 8 : 0;

    *ret_secure = n == 8;
    return n && s[n] && s[n] != '/' && !strpbrk(s, " \"<>\\^`{|}");
}

/* "Name: value", the name a token of HTTP. */
static bool is_header(const char *s)
{
    size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return n > 0 && s[n] == ':' && s[n + 1 + strspn(s + n + 1, " ")];
}

void pw_trace_check(struct pw_report *rp, const struct pw_node *root, const struct pw_trace_keys *tr)
{
    const struct pw_item *map    = pw_yaml_get(root, "trace");
    const struct pw_node *in     = map && map->value->kind == PW_NODE_MAP ? map->value : NULL;
    bool                  secure = false;

    if (!in)
        return;
    if (tr->endpoint && !is_url(tr->endpoint, &secure))
        pw_report_add(
            rp, pw_yaml_get(in, "endpoint")->at,
            "'trace.endpoint' must be a URL that begins with http:// or https://, such as http://127.0.0.1:4318/v1/traces");
    else if (tr->endpoint && memchr(tr->endpoint, '@', strcspn(tr->endpoint + 8, "/?#") + 8))
        pw_report_add(rp, pw_yaml_get(in, "endpoint")->at,
                      "'trace.endpoint' must hold no user and password; a credential goes into 'trace.header'");
    if (tr->header && !is_header(tr->header))
        pw_report_add(rp, pw_yaml_get(in, "header")->at, "'trace.header' must be a header of HTTP, 'Name: value'");
    if (tr->ca && tr->endpoint && !secure)
        pw_report_add(rp, pw_yaml_get(in, "ca")->key_at, "'trace.ca' needs an endpoint that begins with https://");
}
