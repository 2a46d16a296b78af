/* <pawl/sugar.h>: short forms over <pawl/plugin.h> for C; nothing in it that plugin.h cannot say.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   enum { FIND_POLICY, SAVE_POLICY };
 *   static const pawl_column find_policy_keys[] = { PAWL_COL("policy_id", TEXT) };
 *   static const pawl_stmt statements[] = {
 *       [FIND_POLICY] = PAWL_READ("find_policy", "uw.policy", 0, find_policy_keys, "SELECT k.i, ... FROM keys k ..."),
 *       [SAVE_POLICY] = PAWL_UPSERT("save_policy", "uw.policy", 0, save_policy_rows, "INSERT ... FROM rows ..."),
 *   };
 *   pawl_read(c, FIND_POLICY, pawl_text(m->key));       a read goes into the slot of its statement's number
 *   pawl_rows(c, FIND_POLICY)   pawl_cell(c, FIND_POLICY, 0, 2)
 *   pawl_write(c, SAVE_POLICY, pawl_text(m->key), pawl_i64(42));
 *   return pawl_reject(c, "policy.unknown", "policy %.*s is not known", (int)m->key.n, (const char *)m->key.p); */
#ifndef PAWL_SUGAR_H
#define PAWL_SUGAR_H
#include <pawl/plugin.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PAWL_COL(name, type) { PAWL_STR(name), PAWL_V_##type, 0 }

/* entity_column: index into cols, -1 for the whole entity. */
#define PAWL_READ(name, entity, entity_column, cols, sql) \
    { PAWL_STR(name), PAWL_STR(sql), PAWL_SPAN(cols), PAWL_STR(entity), PAWL_STMT_READ, (entity_column), -1, 0, 0, 0 }
#define PAWL_WRITE(name, entity, entity_column, cols, sql) \
    { PAWL_STR(name), PAWL_STR(sql), PAWL_SPAN(cols), PAWL_STR(entity), PAWL_STMT_WRITE, (entity_column), -1, PAWL_REJECT, 0, 0 }
/* Replaces the whole row of its key: of several rows with one key only the last is sent. */
#define PAWL_UPSERT(name, entity, entity_column, cols, sql) \
    { PAWL_STR(name), PAWL_STR(sql), PAWL_SPAN(cols), PAWL_STR(entity), PAWL_STMT_WRITE, (entity_column), -1, PAWL_REJECT, PAWL_STMT_LAST_WINS, 0 }
/* Must affect exactly one row per row sent, else the message is rejected. */
#define PAWL_WRITE_ONE(name, entity, entity_column, cols, sql) \
    { PAWL_STR(name), PAWL_STR(sql), PAWL_SPAN(cols), PAWL_STR(entity), PAWL_STMT_WRITE, (entity_column), 1, PAWL_REJECT, 0, 0 }

static inline pawl_bytes pawl_cstr(const char *s) { pawl_bytes b = { s, s ? strlen(s) : 0 }; return b; }

static inline pawl_value pawl_null(void)            { pawl_value v = { PAWL_V_NULL, 0, 0, 0, { 0, 0 } }; return v; }
static inline pawl_value pawl_bool(int x)           { pawl_value v = { PAWL_V_BOOL, 0, x != 0, 0, { 0, 0 } }; return v; }
static inline pawl_value pawl_i64(int64_t x)        { pawl_value v = { PAWL_V_I64, 0, x, 0, { 0, 0 } }; return v; }
static inline pawl_value pawl_f64(double x)         { pawl_value v = { PAWL_V_F64, 0, 0, x, { 0, 0 } }; return v; }
static inline pawl_value pawl_time_us(int64_t us)   { pawl_value v = { PAWL_V_TIME_US, 0, us, 0, { 0, 0 } }; return v; }
static inline pawl_value pawl_date(int64_t days)    { pawl_value v = { PAWL_V_DATE, 0, days, 0, { 0, 0 } }; return v; }
static inline pawl_value pawl_text(pawl_bytes b)    { pawl_value v = { PAWL_V_TEXT, 0, 0, 0, b }; return v; }
static inline pawl_value pawl_numeric(pawl_bytes b) { pawl_value v = { PAWL_V_NUMERIC, 0, 0, 0, b }; return v; }
static inline pawl_value pawl_blob(pawl_bytes b)    { pawl_value v = { PAWL_V_BYTES, 0, 0, 0, b }; return v; }
static inline pawl_value pawl_json(pawl_bytes b)    { pawl_value v = { PAWL_V_JSON, 0, 0, 0, b }; return v; }
static inline pawl_value pawl_uuid(const uint8_t id[16]) { pawl_value v = { PAWL_V_UUID, 0, 0, 0, { id, 16 } }; return v; }

#define PAWL_VALUES_(...) ((const pawl_value[]){ __VA_ARGS__ })
#define PAWL_COUNT_(...)  (sizeof(PAWL_VALUES_(__VA_ARGS__)) / sizeof(pawl_value))
#define pawl_read(c, stmt, ...) \
    ((c)->host->read((c), (stmt), PAWL_VALUES_(__VA_ARGS__), PAWL_COUNT_(__VA_ARGS__), (stmt)))
#define pawl_write(c, stmt, ...) \
    ((c)->host->write((c), (stmt), PAWL_VALUES_(__VA_ARGS__), PAWL_COUNT_(__VA_ARGS__)))

static inline int64_t pawl_rows(pawl_ctx *c, uint32_t slot) { return c->host->rows(c, slot); }

/* A cell that is not there is NULL; the runtime has marked the call as a fault by then. */
static inline pawl_value pawl_cell(pawl_ctx *c, uint32_t slot, int64_t row, uint32_t col)
{
    pawl_value v = pawl_null();

    (void)c->host->cell(c, slot, row, col, &v);
    return v;
}

static inline pawl_rc pawl_emit(pawl_ctx *c, const pawl_out *out) { return c->host->emit(c, out); }

__attribute__((format(printf, 4, 0)))
static inline pawl_rc pawl_failv_(pawl_ctx *c, pawl_rc rc, const char *code, const char *fmt, va_list ap)
{
    char text[512];
    int  n = vsnprintf(text, sizeof(text), fmt, ap);
    pawl_str why = { text, n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1 };
    pawl_str id  = { code, strlen(code) };

    return c->host->fail(c, rc, id, why);
}

/* code: stable and dotted, for machines; the text is for people. */
__attribute__((format(printf, 3, 4)))
static inline pawl_rc pawl_reject(pawl_ctx *c, const char *code, const char *fmt, ...)
{
    va_list ap;
    pawl_rc rc;

    va_start(ap, fmt);
    rc = pawl_failv_(c, PAWL_REJECT, code, fmt, ap);
    va_end(ap);
    return rc;
}

__attribute__((format(printf, 3, 4)))
static inline pawl_rc pawl_retry(pawl_ctx *c, const char *code, const char *fmt, ...)
{
    va_list ap;
    pawl_rc rc;

    va_start(ap, fmt);
    rc = pawl_failv_(c, PAWL_RETRY, code, fmt, ap);
    va_end(ap);
    return rc;
}

__attribute__((format(printf, 3, 4)))
static inline pawl_rc pawl_fatal(pawl_ctx *c, const char *code, const char *fmt, ...)
{
    va_list ap;
    pawl_rc rc;

    va_start(ap, fmt);
    rc = pawl_failv_(c, PAWL_FATAL, code, fmt, ap);
    va_end(ap);
    return rc;
}

/* The last header of that name; p NULL if there is none. */
static inline pawl_bytes pawl_header_get(const pawl_msg *m, const char *name)
{
    size_t     n     = strlen(name);
    pawl_bytes found = { NULL, 0 };

    for (size_t i = m->n_headers; i-- > 0;)
        if (m->headers[i].name.n == n && memcmp(m->headers[i].name.p, name, n) == 0) {
            found = m->headers[i].value;
            break;
        }
    return found;
}

#endif
