#include "topology/value.h"

#include "base/buf.h"
#include "topology/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- ${...} ---- */

/* Who may read a credential: its owner, who is root or we; and a group only if root gave it to that group (which is how
 * Kubernetes mounts secrets for a user that is not root). */
static int check_rights(const char *path, const struct stat *st, struct pw_err *err)
{
    unsigned mode = (unsigned)st->st_mode & 07777u;

    if (!S_ISREG(st->st_mode))
        return pw_err_set(err, PW_D_FATAL, "%s is not a regular file", path);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return pw_err_set(err, PW_D_FATAL, "%s belongs to user %u; it must belong to root or to user %u, which runs this", path,
                          (unsigned)st->st_uid, (unsigned)geteuid());
    if (mode & 07u)
        return pw_err_set(err, PW_D_FATAL, "%s is open to everybody (mode %04o); run: chmod 0400 %s", path, mode, path);
    if (st->st_uid == 0 ? mode & 030u : mode & 070u)
        return pw_err_set(err, PW_D_FATAL, "%s is open to its group (mode %04o); run: chmod %s %s", path, mode,
                          st->st_uid == 0 ? "0440" : "0400", path);
    return 0;
}

static int read_fd(int fd, const char *path, struct pw_buf *out, struct pw_err *err)
{
    size_t  n = 0;
    ssize_t got;
    char   *to = pw_buf_room(out, PW_VALUE_MAX_BYTES + 2);

    do {
        got = read(fd, to + n, PW_VALUE_MAX_BYTES + 2 - n);
        n += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0)
        return pw_err_sys(err, PW_D_FATAL, "read %s", path);
    if (n > 0 && to[n - 1] == '\n') {
        n--;
        if (n > 0 && to[n - 1] == '\r')
            n--;
    }
    if (n > PW_VALUE_MAX_BYTES)
        return pw_err_set(err, PW_D_FATAL, "%s has more than %d bytes", path, PW_VALUE_MAX_BYTES);
    if (n == 0)
        return pw_err_set(err, PW_D_FATAL, "%s is empty", path);
    if (memchr(to, 0, n))
        return pw_err_set(err, PW_D_FATAL, "%s contains a NUL byte; it must be text", path);
    out->n += n;
    return 0;
}

int pw_value_secret_file(const char *path, struct pw_buf *out, struct pw_err *err)
{
    struct stat st;
    int         fd, rc;

    if (path[0] != '/')
        return pw_err_set(err, PW_D_FATAL, "${file:%s} needs an absolute path", path);
    if (stat(path, &st) < 0)
        return pw_err_sys(err, PW_D_FATAL, "cannot read %s", path);
    if (check_rights(path, &st, err) < 0) /* before open, which could block or have effects on what is no file */
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "cannot read %s", path);
    if (fstat(fd, &st) < 0)
        rc = pw_err_sys(err, PW_D_FATAL, "cannot read %s", path);
    else
        rc = check_rights(path, &st, err); /* again: it may be another one by now */
    if (rc == 0)
        rc = read_fd(fd, path, out, err);
    (void)close(fd); /* read only */
    return rc;
}

static bool is_name(const char *p, size_t n)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return n > 0 && strspn(p, set) == n && (p[0] < '0' || p[0] > '9');
}

static int put_env(struct pw_arena *ar, const char *inner, struct pw_buf *out, struct pw_err *err)
{
    const char *dflt = strstr(inner, ":-"), *value;
    size_t      n    = dflt ? (size_t)(dflt - inner) : strlen(inner);
    const char *name = pw_arena_strndup(ar, inner, n);

    if (!is_name(name, n))
        return pw_err_set(err, PW_D_FATAL, "${...} takes NAME, NAME:-default or file:/path; for the characters ${ write $${");
    value = getenv(name);
    if (dflt && (!value || !*value))
        value = dflt + 2;
    if (!value)
        return pw_err_set(err, PW_D_FATAL, "environment variable %s is not set; set it or give a default: ${%.64s:-...}",
                          pw_report_quote(ar, name, n), name);
    if (strlen(value) > PW_VALUE_MAX_BYTES)
        return pw_err_set(err, PW_D_FATAL, "environment variable %s has more than %d bytes", pw_report_quote(ar, name, n),
                          PW_VALUE_MAX_BYTES);
    pw_buf_puts(out, value);
    return 0;
}

/* One ${...}; inner is what stands between the braces. */
static int put(struct pw_arena *ar, const char *inner, struct pw_buf *out, struct pw_value *ret, struct pw_err *err)
{
    ret->expanded = true;
    if (strstr(inner, "${"))
        return pw_err_set(err, PW_D_FATAL, "${...} cannot stand inside of another ${...}");
    if (strncmp(inner, "file:", 5) != 0)
        return put_env(ar, inner, out, err);
    ret->secret = true;
    return pw_value_secret_file(inner + 5, out, err);
}

int pw_value_expand(struct pw_arena *ar, const char *text, struct pw_value *ret, struct pw_err *err)
{
    struct pw_buf out = { 0 };
    int           rc  = 0;

    *ret = (struct pw_value){ 0 };
    while (*text && rc == 0) {
        const char *end;

        if (strncmp(text, "$${", 3) == 0) {
            pw_buf_puts(&out, "${");
            text += 3;
        } else if (strncmp(text, "${", 2) != 0) {
            pw_buf_add(&out, text++, 1);
        } else if (!(end = strchr(text, '}'))) {
            rc = pw_err_set(err, PW_D_FATAL, "${ without }; for the characters ${ write $${");
        } else {
            rc   = put(ar, pw_arena_strndup(ar, text + 2, (size_t)(end - text) - 2), &out, ret, err);
            text = end + 1;
        }
        if (rc == 0 && ret->expanded && out.n > PW_VALUE_MAX_BYTES)
            rc = pw_err_set(err, PW_D_FATAL, "the value has more than %d bytes", PW_VALUE_MAX_BYTES);
    }
    if (rc == 0)
        ret->text = pw_arena_strndup(ar, out.p, out.n);
    if (ret->secret && out.p)
        explicit_bzero(out.p, out.cap);
    pw_buf_done(&out);
    return rc;
}

/* ---- numbers ---- */

struct unit {
    const char *name;
    int64_t     factor;
};

static const struct unit durations[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};

static const struct unit sizes[] = {
    { "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "B", 1 }, { NULL, 0 },
};

/* Digits at the start; returns what follows them, NULL if there are none. */
static const char *digits(const char *text, int64_t *ret)
{
    const char *p = text;

    *ret = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*ret, 10, ret) || __builtin_add_overflow(*ret, *p - '0', ret))
            *ret = INT64_MAX / 10 * 10; /* stays at the top: the next digit overflows again */
    if (p == text || (text[0] == '0' && p - text > 1))
        return NULL;
    return p;
}

bool pw_value_int(const char *text, int64_t *ret)
{
    bool        minus = *text == '-';
    const char *p     = digits(text + minus, ret);

    if (minus)
        *ret = -*ret;
    return p && !*p;
}

static bool with_unit(const char *text, const struct unit *units, int64_t *ret)
{
    const char *p = digits(text, ret);

    for (; p && units->name; units++) {
        if (strcmp(p, units->name) != 0)
            continue;
        if (__builtin_mul_overflow(*ret, units->factor, ret))
            *ret = INT64_MAX;
        return true;
    }
    return false;
}

bool pw_value_duration(const char *text, int64_t *ret_ms)
{
    return with_unit(text, durations, ret_ms);
}

bool pw_value_size(const char *text, int64_t *ret_bytes)
{
    return with_unit(text, sizes, ret_bytes);
}

bool pw_value_percent(const char *text, int64_t *ret)
{
    const char *p    = digits(text, ret);
    int64_t     unit = 1000;

    if (!p)
        return false;
    if (__builtin_mul_overflow(*ret, unit, ret))
        *ret = INT64_MAX - unit;
    if (*p == '.') {
        if (p[1] < '0' || p[1] > '9')
            return false;
        for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
            unit /= 10;
            *ret += (*p - '0') * unit;
        }
    }
    return strcmp(p, "%") == 0;
}

static const char *show(int64_t v, const struct unit *units, char *buf, size_t cap)
{
    while (units[1].name && (v == 0 || v % units->factor != 0))
        units++;
    (void)snprintf(buf, cap, "%" PRId64 "%s", v / units->factor, units->name);
    return buf;
}

const char *pw_value_show_duration(int64_t ms, char *buf, size_t cap)
{
    return show(ms, durations, buf, cap);
}

const char *pw_value_show_size(int64_t bytes, char *buf, size_t cap)
{
    return show(bytes, sizes, buf, cap);
}

const char *pw_value_show_percent(int64_t milli, char *buf, size_t cap)
{
    int rest = (int)(milli % 1000), width = 3;

    for (; rest && rest % 10 == 0; width--)
        rest /= 10;
    if (rest)
        (void)snprintf(buf, cap, "%" PRId64 ".%0*d%%", milli / 1000, width, rest);
    else
        (void)snprintf(buf, cap, "%" PRId64 "%%", milli / 1000);
    return buf;
}
