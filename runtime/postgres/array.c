#include "postgres/array.h"

#include "postgres/numeric.h"
#include "postgres/wire.h"

#include <string.h>

/* ndim, flags, element oid, n, lower bound; then length and bytes of each element. */
#define HEAD 20

/* What PostgreSQL takes, in its own counting: from 4714-11-24 BC, dates up to the year 5874897. Its last time is in the
 * year 294276, 30 years after the last that an int64_t reaches from 1970. */
#define TIME_MIN (-INT64_C(211813488000000000))
#define DATE_MIN (-INT64_C(2451545))
#define DATE_END (INT64_C(2147483494) - INT64_C(2451545))

void pw_array_init(struct pw_array *arr, int32_t pawl_type)
{
    PW_ASSERT(pw_type_oid(pawl_type) != 0);
    *arr = (struct pw_array){ .max_bytes = PW_ARRAY_MAX_BYTES, .type = pawl_type };
}

void pw_array_reset(struct pw_array *arr)
{
    arr->buf.n = 0;
    arr->n     = 0;
    arr->nulls = 0;
}

void pw_array_done(struct pw_array *arr)
{
    pw_buf_done(&arr->buf);
    pw_array_reset(arr);
}

/* Room for an element of n bytes with its length in front; NULL: it would be too large. */
static char *room(struct pw_array *arr, size_t n, struct pw_err *err)
{
    size_t at = arr->n ? arr->buf.n : HEAD;

    if (n > arr->max_bytes - HEAD - 4) {
        (void)pw_err_set(err, PW_D_REJECT, "value of %zu bytes: a parameter holds at most %zu", n, arr->max_bytes - HEAD - 4);
        return NULL;
    }
    if (at + 4 + n > arr->max_bytes) {
        (void)pw_err_set(err, PW_D_ISOLATE, "%u values make more than %zu bytes of one parameter: the batch is too large",
                         arr->n + 1, arr->max_bytes);
        return NULL;
    }
    if (at + 4 + n + 1 > arr->buf.cap)
        (void)pw_buf_room(&arr->buf, at + 4 + n - arr->buf.n);
    arr->buf.n = at; /* the head is written by finish */
    return arr->buf.p + at;
}

static int add(struct pw_array *arr, char *to, size_t n)
{
    pw_wire_put32(to, (uint32_t)n);
    arr->buf.n += 4 + n;
    arr->n++;
    return 0;
}

int pw_array_put_null(struct pw_array *arr, struct pw_err *err)
{
    char *to = room(arr, 0, err);

    if (!to)
        return -1;
    pw_wire_put32(to, (uint32_t)-1);
    arr->buf.n += 4;
    arr->n++;
    arr->nulls++;
    return 0;
}

static int put64(struct pw_array *arr, uint64_t v, struct pw_err *err)
{
    char *to = room(arr, 8, err);

    if (!to)
        return -1;
    pw_wire_put64(to + 4, v);
    return add(arr, to, 8);
}

static int put32(struct pw_array *arr, uint32_t v, struct pw_err *err)
{
    char *to = room(arr, 4, err);

    if (!to)
        return -1;
    pw_wire_put32(to + 4, v);
    return add(arr, to, 4);
}

static int put_raw(struct pw_array *arr, const void *p, size_t n, struct pw_err *err)
{
    char *to = room(arr, n, err);

    if (!to)
        return -1;
    if (n)
        memcpy(to + 4, p, n);
    return add(arr, to, n);
}

/* Length of the well-formed UTF-8 sequence at p (as Unicode's table 3-7 has them), 0: none, or a NUL. */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char lo = 0x80, hi = 0xbf;
    size_t        len;

    if (p[0] < 0x80)
        return p[0] != 0;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    if (len > n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* PostgreSQL would refuse the whole batch for one bad byte; found here it costs one message and no round trip. */
static int text_check(const char *s, size_t n, struct pw_err *err)
{
    const unsigned char *p    = (const unsigned char *)s;
    const uint64_t       ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    size_t               i = 0;

    while (i < n) {
        uint64_t word;
        size_t   len;

        while (n - i >= 8) { /* eight bytes of ASCII without a NUL at a time */
            memcpy(&word, p + i, 8);
            if ((word | (word - ones)) & tops)
                break;
            i += 8;
        }
        for (size_t stop = n - i < 8 ? n : i + 8; i < stop; i += len) {
            len = sequence(p + i, n - i);
            if (len == 0 && p[i] == 0)
                return pw_err_set(err, PW_D_REJECT, "text of %zu bytes has a NUL byte at %zu, which PostgreSQL can't store", n,
                                  i);
            if (len == 0)
                return pw_err_set(err, PW_D_REJECT, "text of %zu bytes is not UTF-8: byte %#x at %zu", n, p[i], i);
        }
    }
    return 0;
}

static int put_text(struct pw_array *arr, const char *p, size_t n, struct pw_err *err)
{
    char *to = room(arr, n, err); /* before the text is looked at: a size may lie */

    if (!to || text_check(p, n, err) < 0)
        return -1;
    if (n)
        memcpy(to + 4, p, n);
    return add(arr, to, n);
}

static int put_json(struct pw_array *arr, const char *p, size_t n, struct pw_err *err)
{
    char *to = room(arr, n < SIZE_MAX ? n + 1 : n, err);

    if (!to || text_check(p, n, err) < 0)
        return -1;
    to[4] = 1; /* version of jsonb's wire form */
    if (n)
        memcpy(to + 5, p, n);
    return add(arr, to, n + 1);
}

static int put_numeric(struct pw_array *arr, const char *p, size_t n, struct pw_err *err)
{
    char  *to = room(arr, n < arr->max_bytes ? pw_numeric_room(n) : n, err);
    size_t len;

    if (!to || pw_numeric_encode(p, n, to + 4, &len, err) < 0)
        return -1;
    return add(arr, to, len);
}

static int put_time(struct pw_array *arr, int64_t us, struct pw_err *err)
{
    if (us != INT64_MAX && us != INT64_MIN) {
        if (us < TIME_MIN + PW_PG_EPOCH_US)
            return pw_err_set(err, PW_D_REJECT, "time of %lld microseconds since 1970 is outside what PostgreSQL holds",
                              (long long)us);
        us -= PW_PG_EPOCH_US;
    }
    return put64(arr, (uint64_t)us, err);
}

static int put_date(struct pw_array *arr, int64_t days, struct pw_err *err)
{
    if (days == INT64_MAX)
        return put32(arr, (uint32_t)INT32_MAX, err);
    if (days == INT64_MIN)
        return put32(arr, (uint32_t)INT32_MIN, err);
    if (days < DATE_MIN + PW_PG_EPOCH_DAYS || days - PW_PG_EPOCH_DAYS >= DATE_END)
        return pw_err_set(err, PW_D_REJECT, "date of %lld days since 1970 is outside what PostgreSQL holds", (long long)days);
    return put32(arr, (uint32_t)(int32_t)(days - PW_PG_EPOCH_DAYS), err);
}

static int put_uuid(struct pw_array *arr, const void *p, size_t n, struct pw_err *err)
{
    if (n != 16)
        return pw_err_set(err, PW_D_REJECT, "uuid of %zu bytes, not 16", n);
    return put_raw(arr, p, n, err);
}

static int put_f64(struct pw_array *arr, double f, struct pw_err *err)
{
    uint64_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return put64(arr, bits, err);
}

int pw_array_put_bool(struct pw_array *arr, int b, struct pw_err *err)
{
    char c = b != 0;

    PW_ASSERT(arr->type == PAWL_V_BOOL);
    return put_raw(arr, &c, 1, err);
}

int pw_array_put_i64(struct pw_array *arr, int64_t i, struct pw_err *err)
{
    PW_ASSERT(arr->type == PAWL_V_I64);
    return put64(arr, (uint64_t)i, err);
}

int pw_array_put_time_us(struct pw_array *arr, int64_t us, struct pw_err *err)
{
    PW_ASSERT(arr->type == PAWL_V_TIME_US);
    return put_time(arr, us, err);
}

int pw_array_put_text(struct pw_array *arr, const char *p, size_t n, struct pw_err *err)
{
    PW_ASSERT(arr->type == PAWL_V_TEXT);
    return p ? put_text(arr, p, n, err) : pw_array_put_null(arr, err);
}

int pw_array_put_bytes(struct pw_array *arr, const void *p, size_t n, struct pw_err *err)
{
    PW_ASSERT(arr->type == PAWL_V_BYTES);
    return p ? put_raw(arr, p, n, err) : pw_array_put_null(arr, err);
}

int pw_array_put(struct pw_array *arr, const pawl_value *v, struct pw_err *err)
{
    if (v->type == PAWL_V_NULL)
        return pw_array_put_null(arr, err);
    if (v->type != arr->type)
        return pw_err_set(err, PW_D_FATAL, "value of type %s (%d) for a column declared as %s", pw_type_name(v->type), v->type,
                          pw_type_name(arr->type));
    switch (arr->type) {
    case PAWL_V_BOOL: return pw_array_put_bool(arr, v->i != 0, err);
    case PAWL_V_I64: return put64(arr, (uint64_t)v->i, err);
    case PAWL_V_F64: return put_f64(arr, v->f, err);
    case PAWL_V_TIME_US: return put_time(arr, v->i, err);
    case PAWL_V_DATE: return put_date(arr, v->i, err);
    default: break;
    }
    if (!v->b.p)
        return pw_array_put_null(arr, err);
    switch (arr->type) {
    case PAWL_V_TEXT: return put_text(arr, v->b.p, v->b.n, err);
    case PAWL_V_NUMERIC: return put_numeric(arr, v->b.p, v->b.n, err);
    case PAWL_V_BYTES: return put_raw(arr, v->b.p, v->b.n, err);
    case PAWL_V_UUID: return put_uuid(arr, v->b.p, v->b.n, err);
    case PAWL_V_JSON: return put_json(arr, v->b.p, v->b.n, err);
    default: PW_ASSERT(0 && "type of array"); return -1;
    }
}

struct pw_array_mark pw_array_mark(const struct pw_array *arr)
{
    return (struct pw_array_mark){ arr->buf.n, arr->n, arr->nulls };
}

void pw_array_rewind(struct pw_array *arr, struct pw_array_mark mark)
{
    PW_ASSERT(mark.n <= arr->n && mark.bytes <= arr->buf.n && mark.nulls <= arr->nulls);
    arr->buf.n = mark.bytes;
    arr->n     = mark.n;
    arr->nulls = mark.nulls;
}

void pw_array_finish(struct pw_array *arr, const char **ret_p, int *ret_n)
{
    char *p;

    if (arr->n == 0) {
        arr->buf.n = 0;
        (void)pw_buf_room(&arr->buf, HEAD);
    }
    p = arr->buf.p;
    pw_wire_put32(p, arr->n ? 1 : 0); /* an empty array has no dimension */
    pw_wire_put32(p + 4, arr->nulls ? 1 : 0);
    pw_wire_put32(p + 8, pw_type_oid(arr->type));
    pw_wire_put32(p + 12, arr->n);
    pw_wire_put32(p + 16, 1);
    *ret_p = p;
    *ret_n = arr->n ? (int)arr->buf.n : 12;
}
