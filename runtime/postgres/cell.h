/* cell: what the types of the plugin ABI are in PostgreSQL, and a result's cells as values of the ABI. */
#ifndef PW_POSTGRES_CELL_H
#define PW_POSTGRES_CELL_H

#include "base/arena.h"
#include "base/err.h"

#include <libpq-fe.h>
#include <pawl/plugin.h>
#include <stdint.h>

/* Microseconds and days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from. */
#define PW_PG_EPOCH_US   INT64_C(946684800000000)
#define PW_PG_EPOCH_DAYS INT64_C(10957)

/* What a PAWL_V_* is in PostgreSQL. 0 and NULL for a type that is none, PAWL_V_NULL too. */
Oid         pw_type_oid(int32_t pawl_type);
Oid         pw_type_array_oid(int32_t pawl_type);
const char *pw_type_sql(int32_t pawl_type); /* "bigint" */
/* For messages: "I64"; "unknown" for a type that is none. */
const char *pw_type_name(int32_t pawl_type);

/* The PAWL_V_* that a result column of this type becomes; PAWL_V_NULL: it can't be decoded. */
int32_t pw_cell_type(Oid oid);
/* FATAL, naming the type and the way out, for a column that can't be decoded. For a statement's description at load. */
int pw_cell_check(Oid oid, const char *column, struct pw_err *err) PW_MUST_CHECK;
/* A cell in binary form; n < 0 or p NULL: NULL. bool, int2, int4, int8, float4, float8, numeric (as decimal text), text,
 * varchar, bpchar, name, bytea, timestamptz, timestamp (taken as UTC), date, uuid, json, jsonb.
 * Infinite times and dates are INT64_MAX and INT64_MIN. TEXT, BYTES, UUID and JSON point into p; the text of a
 * numeric is made in the arena. What was decoded can be put into a pw_array of its type. */
int pw_cell_decode(Oid oid, const char *p, int n, struct pw_arena *ar, pawl_value *out, struct pw_err *err) PW_MUST_CHECK;

#endif
