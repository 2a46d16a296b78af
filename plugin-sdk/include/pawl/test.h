/* <pawl/test.h>: a plugin's unit tests in C: one message in, what it does. Without Kafka and PostgreSQL.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The library (`pkg-config --libs pawl-test`, or the CMake target pawl::test) holds the runtime's own code: the same checks of
 * the descriptor and the configuration, of phases, types and limits. A message lies in memory that cannot be written.
 *
 *   pawl_test  *t   = pawl_test_open("visits.so", NULL);
 *   pawl_msg    m   = { .topic = PAWL_STR("visits"), .key = pawl_cstr("/start"), .timestamp_ms = 1000 };
 *   pawl_value  row[] = { pawl_i64(41) };
 *
 *   assert(t != NULL);                                     pawl_test_why() says why it is
 *   assert(pawl_test_row(t, "find_count", NULL, row, 1) == PAWL_OK);
 *   assert(pawl_test_deliver(t, &m) == PAWL_OK);           pawl_test_code(t), pawl_test_detail(t)
 *   assert(pawl_test_writes(t) == 1);
 *   assert(pawl_test_written(t, 0, "count").i == 42);
 *   pawl_test_close(t);
 *
 * Everything that is lent lives until the next pawl_test_deliver() or pawl_test_close(). One thread per pawl_test. A function that
 * is asked for what is not there prints that to stderr and aborts: the test is wrong then, not the plugin. */
#ifndef PAWL_TEST_H
#define PAWL_TEST_H
#include <pawl/plugin.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct pawl_test pawl_test;

/* ---- A plugin ---- */

/* Loads the library, checks it, reads its configuration and creates an instance, all as a worker does. config: a libconfig file;
 * NULL: none. NULL, with the reason in pawl_test_why(), if one of these fails. The library is never unloaded. */
PAWL_EXPORT pawl_test *pawl_test_open(const char *so, const char *config);
/* Why the last pawl_test_open(), pawl_test_hand_over() or pawl_test_load() of this process failed. */
PAWL_EXPORT const char *pawl_test_why(void);
/* Destroys the instance. NULL is a no-op. */
PAWL_EXPORT void pawl_test_close(pawl_test *t);

/* ---- A message ---- */

/* One more row that reads of this statement find, until pawl_test_clear(). key: only the read with these arguments, one for each column
 * of the statement; NULL: any. cells: those after `i`. Everything is copied. PAWL_FATAL: there is no such read. */
PAWL_EXPORT pawl_rc pawl_test_row(pawl_test *t, const char *statement, const pawl_value *key, const pawl_value *cells, size_t n);
PAWL_EXPORT void    pawl_test_clear(pawl_test *t);
/* What now_us() answers; 1700000000000000 otherwise. */
PAWL_EXPORT void pawl_test_now(pawl_test *t, int64_t now_us);
/* plan(), as often as it asks for more, then handle(). The verdict. m->size and m->attempt may be 0: they are filled in. */
PAWL_EXPORT pawl_rc pawl_test_deliver(pawl_test *t, const pawl_msg *m);

/* ---- A reload ---- */

/* As at a reload of this version: save(), then another instance with the same configuration, which is given the cache and takes this one's
 * place. PAWL_OK; else it is cold, and pawl_test_why() says why. Both live in one process here: what is no part of the instance is shared.
 * bytes, if not NULL: how many save() wrote. */
PAWL_EXPORT pawl_rc pawl_test_hand_over(pawl_test *t, size_t *bytes);
/* The same with a cache of one's own: of an older format, or broken. */
PAWL_EXPORT pawl_rc pawl_test_load(pawl_test *t, uint32_t state_version, const void *p, size_t n);

/* ---- What it did ---- */

PAWL_EXPORT const char *pawl_test_code(const pawl_test *t);   /* "policy.exists"; "" if nothing was said */
PAWL_EXPORT const char *pawl_test_detail(const pawl_test *t);
PAWL_EXPORT const char *pawl_test_log(const pawl_test *t);    /* "warn: text\n" for each line that it logged */

/* Reads in the order in which they were asked for. */
PAWL_EXPORT size_t      pawl_test_reads(const pawl_test *t);
PAWL_EXPORT const char *pawl_test_read_name(const pawl_test *t, size_t i);
PAWL_EXPORT pawl_value  pawl_test_read(const pawl_test *t, size_t i, const char *column);

/* Writes in order. None unless the verdict is PAWL_OK. */
PAWL_EXPORT size_t      pawl_test_writes(const pawl_test *t);
PAWL_EXPORT const char *pawl_test_write_name(const pawl_test *t, size_t i);
PAWL_EXPORT pawl_value  pawl_test_written(const pawl_test *t, size_t i, const char *column);

/* Outputs in order. None unless the verdict is PAWL_OK. */
PAWL_EXPORT size_t          pawl_test_emits(const pawl_test *t);
PAWL_EXPORT const char     *pawl_test_emit_name(const pawl_test *t, size_t i);
PAWL_EXPORT const pawl_out *pawl_test_emitted(const pawl_test *t, size_t i);

#ifdef __cplusplus
}
#endif
#endif
