#include "postgres/cell.h"

#include "postgres/numeric.h"
#include "postgres/wire.h"

#include <stddef.h>
#include <string.h>

/* Object identifiers of built-in types never change; the server's headers are not needed for them. */
static const struct {
    const char *name, *sql;
    Oid         oid, array_oid;
} types[] = {
    [PAWL_V_NULL]    = { "NULL", NULL, 0, 0 },
    [PAWL_V_BOOL]    = { "BOOL", "boolean", 16, 1000 },
    [PAWL_V_I64]     = { "I64", "bigint", 20, 1016 },
    [PAWL_V_F64]     = { "F64", "double precision", 701, 1022 },
    [PAWL_V_NUMERIC] = { "NUMERIC", "numeric", 1700, 1231 },
    [PAWL_V_TEXT]    = { "TEXT", "text", 25, 1009 },
    [PAWL_V_BYTES]   = { "BYTES", "bytea", 17, 1001 },
    [PAWL_V_TIME_US] = { "TIME_US", "timestamptz", 1184, 1185 },
    [PAWL_V_UUID]    = { "UUID", "uuid", 2950, 2951 },
    [PAWL_V_JSON]    = { "JSON", "jsonb", 3802, 3807 },
    [PAWL_V_DATE]    = { "DATE", "date", 1082, 1182 },
};
#define TYPES_N ((int32_t)(sizeof(types) / sizeof(types[0])))

/* How a result type is read. */
enum form { BOOL, INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC, PLAIN, STAMP, DATE, UUID, JSONB };
static const struct {
    Oid       oid;
    enum form form;
    int32_t   type;
    int       bytes; /* exactly; -1: any */
} cells[] = {
    { 16, BOOL, PAWL_V_BOOL, 1 },     { 20, INT8, PAWL_V_I64, 8 },           { 25, PLAIN, PAWL_V_TEXT, -1 },
    { 23, INT4, PAWL_V_I64, 4 },      { 1700, NUMERIC, PAWL_V_NUMERIC, -1 }, { 1184, STAMP, PAWL_V_TIME_US, 8 },
    { 1082, DATE, PAWL_V_DATE, 4 },   { 17, PLAIN, PAWL_V_BYTES, -1 },       { 2950, UUID, PAWL_V_UUID, 16 },
    { 3802, JSONB, PAWL_V_JSON, -1 }, { 701, FLOAT8, PAWL_V_F64, 8 },        { 21, INT2, PAWL_V_I64, 2 },
    { 700, FLOAT4, PAWL_V_F64, 4 },   { 1043, PLAIN, PAWL_V_TEXT, -1 },      { 1042, PLAIN, PAWL_V_TEXT, -1 },
    { 19, PLAIN, PAWL_V_TEXT, -1 },   { 114, PLAIN, PAWL_V_JSON, -1 },       { 1114, STAMP, PAWL_V_TIME_US, 8 },
};
#define CELLS_N (sizeof(cells) / sizeof(cells[0]))

/* Types a plugin author may well select, and what to cast them to. */
static const struct {
    Oid         oid;
    const char *name, *cast;
} strangers[] = {
    { 18, "\"char\"", "text" },      { 26, "oid", "bigint" },       { 28, "xid", "text::bigint" },
    { 142, "xml", "text" },          { 600, "point", "text" },      { 650, "cidr", "text" },
    { 705, "unknown", "text" },      { 790, "money", "numeric" },   { 829, "macaddr", "text" },
    { 869, "inet", "text" },         { 1000, "boolean[]", "text" }, { 1005, "smallint[]", "text" },
    { 1007, "integer[]", "text" },   { 1009, "text[]", "text" },    { 1015, "varchar[]", "text" },
    { 1016, "bigint[]", "text" },    { 1083, "time", "text" },      { 1186, "interval", "text" },
    { 1231, "numeric[]", "text" },   { 1266, "timetz", "text" },    { 1560, "bit", "text" },
    { 1562, "bit varying", "text" }, { 2249, "record", "text" },    { 2278, "void", "text" },
    { 3904, "int4range", "text" },   { 3906, "numrange", "text" },  { 3908, "tsrange", "text" },
    { 3910, "tstzrange", "text" },   { 3912, "daterange", "text" }, { 3926, "int8range", "text" },
};

static int known(int32_t type)
{
    return type > PAWL_V_NULL && type < TYPES_N;
}

Oid pw_type_oid(int32_t pawl_type)
{
    return known(pawl_type) ? types[pawl_type].oid : 0;
}

Oid pw_type_array_oid(int32_t pawl_type)
{
    return known(pawl_type) ? types[pawl_type].array_oid : 0;
}

const char *pw_type_sql(int32_t pawl_type)
{
    return known(pawl_type) ? types[pawl_type].sql : NULL;
}

const char *pw_type_name(int32_t pawl_type)
{
    return pawl_type >= 0 && pawl_type < TYPES_N ? types[pawl_type].name : "unknown";
}

static int find(Oid oid)
{
    for (size_t i = 0; i < CELLS_N; i++)
        if (cells[i].oid == oid)
            return (int)i;
    return -1;
}

int32_t pw_cell_type(Oid oid)
{
    int at = find(oid);

    return at < 0 ? PAWL_V_NULL : cells[at].type;
}

int pw_cell_check(Oid oid, const char *column, struct pw_err *err)
{
    if (find(oid) >= 0)
        return 0;
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        if (strangers[i].oid == oid)
            return pw_err_set(err, PW_D_FATAL,
                              "column '%s' is of type %s, which the plugin ABI does not have; cast it in the statement: %s::%s",
                              column, strangers[i].name, column, strangers[i].cast);
    return pw_err_set(
        err, PW_D_FATAL,
        "column '%s' is of the type with oid %u (select %u::regtype), which the plugin ABI does not have; cast it in the "
        "statement, most likely %s::text",
        column, oid, oid, column);
}

static int stamp(int64_t us, pawl_value *out, struct pw_err *err)
{
    if (us == INT64_MAX || us == INT64_MIN) /* infinity */
        out->i = us;
    else if (__builtin_add_overflow(us, PW_PG_EPOCH_US, &out->i))
        return pw_err_set(err, PW_D_REJECT, "a time after the year 294246, which microseconds since 1970 can't say");
    return 0;
}

static void date(int32_t days, pawl_value *out)
{
    out->i = days == INT32_MAX ? INT64_MAX : days == INT32_MIN ? INT64_MIN : days + PW_PG_EPOCH_DAYS;
}

static int decode(enum form form, const char *p, size_t n, struct pw_arena *ar, pawl_value *out, struct pw_err *err)
{
    uint64_t bits64;
    uint32_t bits32;
    float    f;

    switch (form) {
    case BOOL: out->i = *p != 0; return 0;
    case INT2: out->i = (int16_t)pw_wire_get16(p); return 0;
    case INT4: out->i = (int32_t)pw_wire_get32(p); return 0;
    case INT8: out->i = (int64_t)pw_wire_get64(p); return 0;
    case FLOAT4:
        bits32 = pw_wire_get32(p);
        memcpy(&f, &bits32, sizeof(f));
        out->f = (double)f;
        return 0;
    case FLOAT8:
        bits64 = pw_wire_get64(p);
        memcpy(&out->f, &bits64, sizeof(out->f));
        return 0;
    case NUMERIC: return pw_numeric_decode(p, n, ar, &out->b, err);
    case PLAIN:
    case UUID: out->b = (pawl_bytes){ p, n }; return 0;
    case STAMP: return stamp((int64_t)pw_wire_get64(p), out, err);
    case DATE: date((int32_t)pw_wire_get32(p), out); return 0;
    case JSONB:
        if (n < 1 || *p != 1)
            return pw_err_set(err, PW_D_FATAL, "jsonb of another version than 1");
        out->b = (pawl_bytes){ p + 1, n - 1 };
        return 0;
    }
    PW_ASSERT(0 && "form");
    return -1;
}

int pw_cell_decode(Oid oid, const char *p, int n, struct pw_arena *ar, pawl_value *out, struct pw_err *err)
{
    int at;

    memset(out, 0, sizeof(*out));
    if (n < 0 || !p)
        return 0; /* PAWL_V_NULL */
    at = find(oid);
    if (at < 0)
        return pw_cell_check(oid, "?column?", err);
    if (cells[at].bytes >= 0 && n != cells[at].bytes)
        return pw_err_set(err, PW_D_FATAL, "%s of %d bytes is malformed: was the result asked for in binary form?",
                          types[cells[at].type].name, n);
    if (decode(cells[at].form, p, (size_t)n, ar, out, err) < 0)
        return -1;
    out->type = cells[at].type;
    return 0;
}
