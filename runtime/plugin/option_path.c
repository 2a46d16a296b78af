#include "plugin/option_path.h"

#include <string.h>

/* As libconfig reads a name. */
static bool name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*' ||
           (!first && ((c >= '0' && c <= '9') || c == '-' || c == '_'));
}

static int parse_part(const char *p, size_t n, struct pw_option_part *ret)
{
    bool brackets = n >= 2 && p[0] == '[' && p[n - 1] == ']';

    *ret = (struct pw_option_part){ 0 };
    if (brackets) {
        p++;
        n -= 2;
        if (n == 0) {
            ret->kind = PW_PART_ANY;
            return 0;
        }
    }
    if (brackets && p[0] >= '0' && p[0] <= '9') {
        ret->kind = PW_PART_INDEX;
        for (size_t i = 0; i < n; i++) {
            if (p[i] < '0' || p[i] > '9')
                return -1;
            ret->index = ret->index * 10 + (uint32_t)(p[i] - '0');
            if (ret->index > PW_OPTION_INDEX_MAX)
                return -1;
        }
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (!name_char(p[i], i == 0))
            return -1;
    ret->name = p;
    ret->n    = n;
    return n ? 0 : -1;
}

int pw_option_path_parse(const char *p, size_t n, struct pw_option_path *ret)
{
    ret->n = 0;
    for (size_t from = 0, to; from <= n; from = to + 1) {
        const char *dot = from < n ? memchr(p + from, '.', n - from) : NULL;

        to = dot ? (size_t)(dot - p) : n;
        if (ret->n == PW_OPTION_DEPTH_MAX || parse_part(p + from, to - from, &ret->part[ret->n]) < 0)
            return -1;
        ret->n++;
    }
    return 0;
}

static bool same_name(const struct pw_option_part *a, const struct pw_option_part *b)
{
    return a->kind == PW_PART_NAME && b->kind == PW_PART_NAME && a->n == b->n && memcmp(a->name, b->name, a->n) == 0;
}

bool pw_option_part_matches(const struct pw_option_part *declared, const struct pw_option_part *actual)
{
    return declared->kind == PW_PART_ANY || same_name(declared, actual);
}

enum pw_paths_relation pw_option_path_relation(const struct pw_option_path *a, const struct pw_option_path *b)
{
    bool identical = a->n == b->n;

    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool both_any = a->part[i].kind == PW_PART_ANY && b->part[i].kind == PW_PART_ANY;

        if (both_any || same_name(&a->part[i], &b->part[i]))
            continue;
        if (a->part[i].kind != PW_PART_ANY && b->part[i].kind != PW_PART_ANY)
            return PW_PATHS_APART;
        identical = false;
    }
    if (identical)
        return PW_PATHS_SAME;
    return a->n == b->n ? PW_PATHS_APART : PW_PATHS_NESTED;
}
