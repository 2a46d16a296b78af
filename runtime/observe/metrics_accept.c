/* Which format a client wants: RFC 9110, section 12.5.1, for the two that there are. */
#include "observe/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One range of the list: [p, p + n), without blanks around it. */
static bool is_type(const char *p, size_t n, const char *type)
{
    return n == strlen(type) && strncasecmp(p, type, n) == 0;
}

static void trim(const char **p, size_t *n)
{
    while (*n && (**p == ' ' || **p == '\t'))
        (*p)++, (*n)--;
    while (*n && ((*p)[*n - 1] == ' ' || (*p)[*n - 1] == '\t'))
        (*n)--;
}

/* The weight in the parameters of a range, in thousandths; 1000 if there is none, 0 if it is nonsense. */
static int weight(const char *p, size_t n)
{
    while (n) {
        const char *semicolon = memchr(p, ';', n);
        const char *at        = p;
        size_t      len       = semicolon ? (size_t)(semicolon - p) : n;
        int         q         = 0;

        n -= len + (semicolon != NULL);
        p += len + (semicolon != NULL);
        trim(&at, &len);
        if (len < 2 || (at[0] != 'q' && at[0] != 'Q') || at[1] != '=')
            continue;
        if (len < 3 || len > 7 || (at[2] != '0' && at[2] != '1') || (len > 3 && at[3] != '.'))
            return 0;
        for (size_t i = 4, unit = 100; i < len; i++, unit /= 10) {
            if (at[i] < '0' || at[i] > '9')
                return 0;
            q += (at[i] - '0') * (int)unit;
        }
        return at[2] == '1' ? 1000 : q;
    }
    return 1000;
}

/* Of the ranges that a format falls under the most exact one counts. */
struct wish {
    int exact, weight;
};

static void take(struct wish *wi, int exact, int q)
{
    if (exact > wi->exact || (exact == wi->exact && q > wi->weight)) /* the same type in another version */
        *wi = (struct wish){ exact, q };
}

bool pw_metrics_accepts_open(const char *accept)
{
    struct wish open = { -1, 0 }, text = { -1, 0 };

    while (accept && *accept) {
        size_t      n     = strcspn(accept, ","), type_n;
        const char *range = accept;
        int         q;

        accept += n + (accept[n] == ',');
        trim(&range, &n);
        type_n = strcspn(range, ";,") < n ? strcspn(range, ";,") : n;
        q      = type_n < n ? weight(range + type_n + 1, n - type_n - 1) : 1000;
        while (type_n && (range[type_n - 1] == ' ' || range[type_n - 1] == '\t'))
            type_n--;
        if (is_type(range, type_n, "application/openmetrics-text"))
            take(&open, 2, q);
        else if (is_type(range, type_n, "text/plain"))
            take(&text, 2, q);
        else if (is_type(range, type_n, "text/*"))
            take(&text, 1, q);
        else if (is_type(range, type_n, "*/*"))
            take(&text, 0, q);
    }
    return open.weight > 0 && open.weight >= text.weight;
}
