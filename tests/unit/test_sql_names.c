#include "base/buf.h"
#include "plugin/plugin.h"
#include "plugin/sql_names.h"

#include <criterion/criterion.h>
#include <string.h>

static void name(void *arg, const struct pw_sql_name *na)
{
    pw_buf_printf(arg, "%s%.*s%s%s ", na->written ? ">" : "", (int)na->n, na->p, na->function ? "()" : "",
                  na->qualified ? "" : "?");
}

/* In the order of the text: >name is written, name() is called, name? has no schema. */
static void names(uint32_t kind, const char *sql, const char *want)
{
    struct pw_buf got = { 0 };
    struct pw_err err;

    cr_assert_eq(pw_sql_check(sql, strlen(sql), kind, &err), 0, "%s: %s", sql, err.text);
    pw_buf_puts(&got, "");
    pw_sql_names(sql, strlen(sql), name, &got);
    cr_expect_str_eq(got.n ? got.p : "", want, "%s\n  gives %s", sql, got.n ? got.p : "");
    pw_buf_done(&got);
}
#define READ(sql, want)  names(PAWL_STMT_READ, sql, want)
#define WRITE(sql, want) names(PAWL_STMT_WRITE, sql, want)

Test(sql_names, relations_are_named_where_they_stand)
{
    READ("SELECT k.i, p.a FROM keys k JOIN uw.policy p USING (id)", "uw.policy ");
    READ(
        "SELECT k.i FROM keys AS k, ONLY uw.a AS a, b LEFT JOIN \"Odd\".\"x.y\" z ON true WHERE a.b = (SELECT max(q.c) FROM uw.q, uw.r)",
        "uw.a b? \"Odd\".\"x.y\" uw.q uw.r ");
    READ("SELECT k.i FROM keys k CROSS JOIN LATERAL (SELECT * FROM uw.f f WHERE f.id = k.id, 1 LIMIT 1) d", "uw.f ");
    READ("SELECT k.i, c.x FROM keys k CROSS JOIN bi.closed_through() AS c(x), LATERAL bi.due(k.m, k.n) d",
         "bi.closed_through() bi.due() ");
    READ("SELECT i FROM keys", "");
}

Test(sql_names, what_is_written_is_told_apart)
{
    WRITE("INSERT INTO uw.policy (id) SELECT id FROM rows ON CONFLICT (id) DO UPDATE SET a = excluded.a", ">uw.policy ");
    WRITE("UPDATE uw.policy p SET a = r.a FROM rows r, uw.other o WHERE p.id = r.id", ">uw.policy uw.other ");
    WRITE("DELETE FROM uw.policy p USING rows r, uw.gone g WHERE p.id = r.id", ">uw.policy uw.gone ");
    WRITE("DELETE FROM uw.a WHERE id IN (SELECT id FROM rows) AND n > (SELECT count(*) FROM uw.b)", ">uw.a uw.b ");
    WRITE(
        "MERGE INTO uw.a t USING rows r ON t.id = r.id WHEN MATCHED THEN UPDATE SET n = r.n WHEN NOT MATCHED THEN INSERT VALUES (r.id)",
        ">uw.a ");
}

Test(sql_names, a_from_that_names_no_relation_is_none)
{
    READ("SELECT k.i, extract(year FROM k.at), substring(k.a FROM 1 FOR 2) FROM keys k JOIN uw.a a ON a.x IS DISTINCT FROM k.y",
         "uw.a ");
    READ("SELECT k.i, 'FROM uw.b', $$ JOIN uw.c $$ /* FROM uw.d */ FROM keys k -- JOIN uw.e\n WHERE k.a = \"from\".b", "");
    READ("SELECT k.i, trim(BOTH ' ' FROM k.a), (SELECT extract(day FROM x.at) FROM uw.x) FROM keys k", "uw.x ");
}
