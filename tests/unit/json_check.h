/* json_check: a strict reader of JSON that only says yes or no. For tests. */
#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include <stdbool.h>
#include <string.h>

static const char *json_value_end(const char *p, int depth);

static const char *json_string_end(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p != '\\')
            continue;
        p++;
        if (*p == 'u') {
            if (strspn(p + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            p += 4;
        } else if (!*p || !strchr("\"\\/bfnrt", *p)) {
            return NULL;
        }
    }
    return p + 1;
}

static const char *json_number_end(const char *p)
{
    size_t n;

    p += *p == '-';
    n = strspn(p, "0123456789");
    if (n == 0 || (n > 1 && *p == '0'))
        return NULL;
    p += n;
    if (*p == '.') {
        n = strspn(p + 1, "0123456789");
        if (n == 0)
            return NULL;
        p += 1 + n;
    }
    return p;
}

static const char *json_list_end(const char *p, char close, int depth)
{
    if (*p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            p = json_string_end(p);
            if (!p || *p++ != ':')
                return NULL;
        }
        p = json_value_end(p, depth + 1);
        if (!p)
            return NULL;
        if (*p == close)
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

static const char *json_value_end(const char *p, int depth)
{
    static const char *const words[] = { "true", "false", "null" };

    if (depth > 16)
        return NULL;
    if (*p == '"')
        return json_string_end(p);
    if (*p == '{' || *p == '[')
        return json_list_end(p + 1, *p == '{' ? '}' : ']', depth);
    for (size_t i = 0; i < 3; i++)
        if (strncmp(p, words[i], strlen(words[i])) == 0)
            return p + strlen(words[i]);
    return json_number_end(p);
}

/* One object and a line break, nothing else; no space between tokens, as we write it. */
static inline bool json_is_line(const char *p)
{
    const char *end = *p == '{' ? json_value_end(p, 0) : NULL;

    return end && strcmp(end, "\n") == 0;
}

#endif
