#include "plugin/plugin.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_err err;

static void accepts(uint32_t kind, const char *sql)
{
    cr_assert_eq(pw_sql_check(sql, strlen(sql), kind, &err), 0, "%s: %s", sql, err.text);
}

static void refuses(uint32_t kind, const char *sql, const char *why)
{
    /* a buffer without a byte behind it: sanitizers see what is read too far */
    size_t n    = strlen(sql);
    char  *text = malloc(n ? n : 1);

    cr_assert_not_null(text);
    memcpy(text, sql, n);
    cr_assert_eq(pw_sql_check(text, n, kind, &err), -1, "%s", sql);
    cr_assert_not_null(strstr(err.text, why), "%s: %s", sql, err.text);
    free(text);
}

#define READ(sql)           accepts(PAWL_STMT_READ, sql)
#define WRITE(sql)          accepts(PAWL_STMT_WRITE, sql)
#define NOT_READ(sql, why)  refuses(PAWL_STMT_READ, sql, why)
#define NOT_WRITE(sql, why) refuses(PAWL_STMT_WRITE, sql, why)

Test(sql, one_plain_statement_is_taken)
{
    READ("SELECT k.i, p.status FROM keys k JOIN uw.policy p USING (policy_id)");
    READ("  /* why */ select i FROM \"keys\" -- end");
    READ("SELECT i FROM keys ;  -- one trailing semicolon\n");
    WRITE("INSERT INTO t SELECT a FROM rows ON CONFLICT (a) DO UPDATE SET a = excluded.a");
    WRITE("UPDATE t SET a = r.a FROM rows r WHERE t.i = r.i");
    WRITE("DELETE FROM t USING rows WHERE t.a = rows.a");
    WRITE("MERGE INTO t USING rows r ON t.a = r.a WHEN MATCHED THEN DO NOTHING");
}

Test(sql, anything_else_is_not)
{
    NOT_READ("", "there is no statement");
    NOT_READ(" -- only a comment", "there is no statement");
    NOT_READ("DELETE FROM keys", "a read is one SELECT");
    NOT_READ("TABLE keys", "a read is one SELECT");
    NOT_READ("(SELECT i FROM keys)", "a read is one SELECT");
    NOT_READ("\"select\" i FROM keys", "a read is one SELECT");
    NOT_WRITE("SELECT i FROM rows", "a write is one INSERT, UPDATE, DELETE or MERGE");
    NOT_WRITE("COMMIT", "at position 1 ('COMMIT'): a write is one");
    NOT_WRITE("COPY t FROM STDIN", "a write is one");
    NOT_WRITE("SET search_path = rows", "a write is one");
    NOT_WRITE("TRUNCATE rows", "a write is one");
    NOT_WRITE("CREATE TABLE rows ()", "a write is one");
    NOT_WRITE("DO $$ BEGIN END $$", "a write is one");
    NOT_WRITE("inserted INTO t SELECT FROM rows", "a write is one");
}

Test(sql, with_in_front_is_refused_and_the_reason_is_given)
{
    NOT_READ("WITH x AS (SELECT 1) SELECT i FROM keys",
             "at position 1 ('WITH'): must not begin with WITH: the runtime puts its own in front");
    NOT_WRITE("/* c */ with x AS (SELECT 1) INSERT INTO t SELECT a FROM rows", "at position 9 ('with')");
    READ("SELECT i FROM keys WHERE a IN (WITH x AS (SELECT 1 AS a) SELECT a FROM x)"); /* below it is nobody's business */
}

Test(sql, a_second_statement_is_refused_wherever_it_hides)
{
    NOT_WRITE("DELETE FROM rows; COMMIT", "at position 19 ('COMMIT'): a second statement");
    NOT_WRITE("DELETE FROM rows;;", "at position 18 (';'): a second statement");
    NOT_WRITE("DELETE FROM rows WHERE a = 'x'; COMMIT; --'", "('COMMIT'): a second statement");
    NOT_WRITE("DELETE FROM rows WHERE a = 'it''s'; COMMIT", "a second statement");
    NOT_WRITE("DELETE FROM rows WHERE a = 'back\\'; COMMIT; --'", "a second statement"); /* no escape without E */
    NOT_WRITE("DELETE FROM rows /* a /* b */ c */; COMMIT", "a second statement");
    NOT_WRITE("DELETE FROM rows -- c\n; COMMIT", "a second statement");
    NOT_WRITE("DELETE FROM rows WHERE a = $x$ $y$ $x$; COMMIT", "a second statement");
    NOT_WRITE("DELETE FROM rows WHERE \"a\"\"\" = 1; COMMIT", "a second statement");
    NOT_WRITE("DELETE FROM rows WHERE a$b$ = 1; COMMIT; SELECT $b$", "a second statement"); /* a dollar inside a name */
    NOT_WRITE("DELETE FROM rows WHERE a = 1--2\n; COMMIT", "a second statement");
    NOT_WRITE("DELETE FROM rows WHERE a = E'x'\n'\\''; COMMIT", "a second statement"); /* goes on as E'' */
    NOT_WRITE("DELETE FROM rows WHERE a = 'x'\n'\\'; COMMIT; --'", "a second statement");
}

Test(sql, semicolons_inside_quotes_and_comments_are_text)
{
    WRITE("DELETE FROM rows WHERE a = '; COMMIT'");
    WRITE("DELETE FROM rows WHERE a = E'\\'; COMMIT'");
    WRITE("DELETE FROM rows WHERE a = e'x' -- c\n  '\\'; COMMIT'");
    WRITE("DELETE FROM rows WHERE a = U&'; COMMIT' OR b = B'01' OR c = x'ff' OR d = N';'");
    WRITE("DELETE FROM rows WHERE \"; COMMIT\" = 1 AND U&\";\" = 2");
    WRITE("DELETE FROM rows WHERE a = $$; COMMIT$$");
    WRITE("DELETE FROM rows WHERE a = $t$; $$ $u$ COMMIT$t$");
    WRITE("DELETE FROM rows /* ; /* COMMIT */ ; */");
    WRITE("DELETE FROM rows -- ; COMMIT");
    WRITE("DELETE FROM rows WHERE a = 1.5e-3 OR a = 2E+5 OR a = .5");
}

Test(sql, parameters_are_refused)
{
    NOT_READ("SELECT i FROM keys WHERE a = $1", "at position 30 ('$1'): no parameters");
    NOT_READ("SELECT i FROM keys WHERE a = '$1' AND b = $12", "('$12')");
    READ("SELECT i FROM keys WHERE a = '$1' AND b$1 = 2");
}

Test(sql, a_read_that_writes_or_locks_is_refused)
{
    NOT_READ("SELECT i INTO t FROM keys", "('INTO'): a read must not write");
    NOT_READ("SELECT i FROM keys FOR UPDATE", "('FOR'): a read must not lock rows");
    NOT_READ("SELECT i FROM keys for /* c */ share", "a read must not lock rows");
    NOT_READ("SELECT i FROM keys FOR NO KEY UPDATE", "a read must not lock rows");
    NOT_READ("SELECT i FROM keys FOR KEY SHARE", "a read must not lock rows");
    NOT_READ("SELECT i FROM keys WHERE a IN (SELECT a FROM t FOR UPDATE)", "a read must not lock rows");
    READ("SELECT i, substring(a FROM 1 FOR 3) FROM keys");
    READ("SELECT i, substring(a for key) FROM keys");
    READ("SELECT i, \"into\", 'FOR UPDATE' FROM keys");
    WRITE("UPDATE t SET a = 1 FROM rows WHERE t.a IN (SELECT a FROM u FOR UPDATE)"); /* a write locks anyway */
}

Test(sql, the_relation_of_the_arguments_must_be_used)
{
    NOT_READ("SELECT 1 AS i", "relation keys is not used");
    NOT_READ("SELECT i FROM \"Keys\", rows -- keys", "relation keys is not used");
    NOT_READ("SELECT 'keys' FROM monkeys", "relation keys is not used");
    NOT_WRITE("DELETE FROM keys", "relation rows is not used");
    READ("SELECT i FROM KEYS");
}

Test(sql, parentheses_and_brackets_close_in_order)
{
    READ("SELECT i FROM keys WHERE (a[1] + (b[2:3])[1]) = (1)");
    NOT_READ("SELECT (i FROM keys", "at position 8 ('(i FROM keys'): is not closed");
    NOT_READ("SELECT i) FROM keys", "at position 9 (')'): closes what was not opened");
    NOT_READ("SELECT (a[1)] FROM keys", "closes what was not opened");
    READ("SELECT i FROM keys WHERE a = ')' AND \"(\" = 1 /* ( */");
}

Test(sql, nesting_has_a_limit)
{
    char sql[1024] = "SELECT i FROM keys WHERE ";

    for (int i = 0; i < 128; i++)
        (void)strcat(sql, "(");
    (void)strcat(sql, "true");
    for (int i = 0; i < 128; i++)
        (void)strcat(sql, ")");
    READ(sql);
    (void)strcpy(sql, "SELECT i FROM keys WHERE ");
    for (int i = 0; i < 129; i++)
        (void)strcat(sql, "(");
    NOT_READ(sql, "at position 154 ('('): nested deeper");
}

Test(sql, what_does_not_end_is_named_by_its_beginning)
{
    NOT_READ("SELECT 'x FROM keys", "at position 8 (''x FROM keys'): this string does not end");
    NOT_READ("SELECT E'x\\' FROM keys", "this string does not end");
    NOT_READ("SELECT E'x\\", "this string does not end");
    NOT_READ("SELECT \"x FROM keys", "this quoted name does not end");
    NOT_READ("SELECT $a$x$b$ FROM keys", "this dollar-quoted string does not end");
    NOT_READ("SELECT $a$x$a", "this dollar-quoted string does not end");
    NOT_READ("SELECT /* /* */ i FROM keys", "this comment does not end");
    NOT_READ("SELECT i FROM keys /*", "this comment does not end");
    NOT_READ("SELECT U&\"x", "this quoted name does not end");
}

Test(sql, what_servers_read_differently_is_refused)
{
    NOT_READ("SELECT 0x1F$a$ ' $a$ FROM keys", "junk behind a number");
    NOT_READ("SELECT i FROM keys WHERE a = 1$a$", "junk behind a number");
    NOT_READ("SELECT i FROM keys \\g", "this character cannot stand here");
    NOT_READ("SELECT $ FROM keys", "a dollar sign that begins nothing");
}

Test(sql, nul_is_refused)
{
    static const char sql[] = "SELECT i FROM keys\0; COMMIT";

    cr_assert_eq(pw_sql_check(sql, sizeof(sql) - 1, PAWL_STMT_READ, &err), -1);
    cr_assert_not_null(strstr(err.text, "at position 19 (''): this character cannot stand here"), "%s", err.text);
}

Test(sql, an_error_shows_whole_characters_only)
{
    NOT_READ("\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f"
             "\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xe2\x82\xac\xd0\x9f\xd0\x9f"
             "\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f\xd0\x9f",
             "\xd0\x9f'): a read is one SELECT");
}
