#include "topology/secret.h"

#include "topology/suggest.h"

#include <string.h>

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* One part of a name ("sasl.password" has two). The edit distance allowed grows with the word's length. */
static bool secret_word(const char *p, size_t n)
{
    static const struct {
        const char *word;
        unsigned    most;
    } words[] = {
        { "dsn", 1 },    { "password", 2 }, { "passwd", 1 },     { "passphrase", 2 },  { "pass", 0 }, { "pwd", 0 },
        { "secret", 1 }, { "pem", 0 },      { "credential", 2 }, { "credentials", 2 }, { "jaas", 0 },
    };
    char low[PW_SUGGEST_MAX];

    if (n == 0 || n > sizeof(low))
        return false;
    for (size_t i = 0; i < n; i++)
        low[i] = lower(p[i]);
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
        if (pw_suggest_distance(low, n, words[w].word, strlen(words[w].word), words[w].most) <= words[w].most)
            return true;
    return false;
}

/* At the end of a name: token.endpoint.url holds none. */
static bool is_token(const char *p, size_t n)
{
    static const char word[] = "token";

    return n <= PW_SUGGEST_MAX && n >= 4 && pw_suggest_distance(p, n, word, sizeof(word) - 1, 1) <= 1;
}

bool pw_secret_name(const char *name, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = 0;

        while (i + len < n && is_word(name[i + len]))
            len++;
        if (secret_word(name + i, len) || (i + len == n && is_token(name + i, len)))
            return true;
        i += len + 1;
    }
    return false;
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == ',' || c == '"' || c == '\'';
}

/* user:password@host, with or without a scheme before it: where that word begins, n if there is none. */
static size_t find_userinfo(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t from = i, colon = n;

        if (text[i] != '@')
            continue;
        while (from > 0 && !ends_word(text[from - 1])) {
            from--;
            if (text[from] == ':' && from > 0 && !(from + 2 < i && text[from + 1] == '/' && text[from + 2] == '/'))
                colon = from;
        }
        if (colon < i && !ends_word(text[colon - 1]))
            return from;
    }
    return n;
}

/* `name = value` or `name: value` with a secret name: the offset behind the sign, n if there is none. In YAML a colon
 * needs a space, a quote or the end of the line around it, but in text for people everything goes. */
static size_t find_pair(const char *text, size_t n, const char *signs)
{
    for (size_t i = 0; i < n;) {
        size_t from = i, to;

        while (i < n && (is_word(text[i]) || text[i] == '.' || text[i] == '_' || text[i] == '-'))
            i++;
        to = i;
        if (to == from) {
            i++;
            continue;
        }
        while (i < n && (text[i] == ' ' || text[i] == '\t' || text[i] == '"' || text[i] == '\''))
            i++;
        if (i < n && strchr(signs, text[i]) && pw_secret_name(text + from, to - from))
            return i + 1;
        i = to;
    }
    return n;
}

bool pw_secret_text(const char *text, size_t n)
{
    return find_userinfo(text, n) < n || find_pair(text, n, "=") < n || memmem(text, n, "PRIVATE KEY", 11) != NULL;
}

size_t pw_secret_scan(const char *text, size_t n)
{
    size_t userinfo = find_userinfo(text, n), pair = find_pair(text, n, "=:");

    return userinfo < pair ? userinfo : pair;
}
