/* <pawl/middleware.h>: what may stand around a plugin, major 1 (draft until 1.0 is released).   SPDX-License-Identifier: Apache-2.0
 *
 * A topology may put a chain of middleware around a pipeline's plugin: `middleware: [log, { path: check.so }]`. The first is the outermost.
 * Each sees a message before the plugin does and may end it there; sees what became of it after handle() and may add headers to its outputs;
 * and is told when it is done, that is when the transaction with its effects, or its dead letter, is committed.
 *
 *     before  log -> check -> plugin: plan, handle
 *     after   log <- check <- plugin
 *     done    log <- check
 *
 * It is a shared library of its own, loaded, staged, probed and reloaded as a plugin is, and its rules are those of plugin.h: the runtime may
 * call before() and after() many times for one message, so no I/O, no clock but now_us(), no randomness, no state that decides an
 * outcome. done() is called once, or never if the worker dies between the commit and the call; nothing depends on it.
 *
 * Of the functions of pawl_host it may call: log_enabled, log and extension; config and config_len in create(); alloc, now_us and stable_id in
 * before() and after(); fail in before(). Any other is a mistake and ends the worker, as in a plugin. */
#ifndef PAWL_MIDDLEWARE_H
#define PAWL_MIDDLEWARE_H
#include <pawl/plugin.h>
#ifdef __cplusplus
extern "C" {
#endif

/* What it wants to see besides coordinates, times and headers: pawl_middleware.flags. */
#define PAWL_MW_KEY    1u /* the key; without it pawl_msg.key is NULL */
#define PAWL_MW_VALUE  2u /* the value; the same */
#define PAWL_MW_TIMING 4u /* how long the plugin had the message; costs two looks at a clock for each */

typedef struct { const pawl_header *items; size_t n; } pawl_headers;

/* Why a message is done that the plugin was not asked about, or whose effects are not what it answered: pawl_outcome.flags. */
#define PAWL_DONE_DUPLICATE 1u /* a copy of an event that had its effect: passed over */
#define PAWL_DONE_PARKED    2u /* set aside with its key, and tried again; it will be done once more */
#define PAWL_DONE_FORCED    4u /* the runtime decided: PostgreSQL refused its writes, it ended its workers, or its attempts are used up */
#define PAWL_DONE_MW        8u /* a middleware ended it */

/* What became of a message. */
typedef struct {
    uint32_t size; pawl_rc verdict;
    uint32_t flags;                    /* PAWL_DONE_*; 0 in after() */
    uint32_t writes, emits;            /* rows written, records emitted; 0 unless the verdict is PAWL_OK */
    uint32_t reserved;
    pawl_str code;                     /* what fail() was told; empty: nothing */
    int64_t took_us;                   /* done() with PAWL_MW_TIMING: in plan() and handle(), middleware included; else -1 */
} pawl_outcome;

/* What a middleware is, static as pawl_plugin. Each function but create() is optional. */
typedef struct {
    uint32_t size; uint16_t abi_major, abi_minor;
    uint32_t flags, reserved;          /* flags: PAWL_MW_* */
    pawl_str id, version, doc;         /* id: reverse DNS */
    pawl_span options;                 /* pawl_option: of its own configuration file */
    /* all [worker] */
    pawl_rc (*create)(const pawl_host *, void **inst); /* the host outlives the instance */
    void (*destroy)(void *inst);       /* NULL is a no-op */
    /* PAWL_OK: on to the next, at last to plan(). Anything else is the message's verdict as if the plugin had answered it: nothing further
     * in sees it. Not called for plan() after PAWL_MORE. */
    pawl_rc (*before)(void *inst, pawl_ctx *, const pawl_msg *);
    /* handle() has answered. add: headers that every record which it emitted gets; one that has the name already loses it. They are
     * copied. Of several middleware the outermost has the last word. */
    void (*after)(void *inst, pawl_ctx *, const pawl_msg *, const pawl_outcome *, pawl_headers *add);
    void (*done)(void *inst, const pawl_msg *, const pawl_outcome *);
} pawl_middleware;

/* The one symbol a middleware exports [load]: static, constant, no side effects. */
PAWL_EXPORT const pawl_middleware *pawl_middleware_entry_v1(void);

#define PAWL_MIDDLEWARE(desc, id, version)                                                 \
    __attribute__((used, section(".pawl.meta"))) static const char pawl_meta_[] =          \
        "abi=1.0\0kind=middleware\0id=" id "\0version=" version "\0";                      \
    const pawl_middleware *pawl_middleware_entry_v1(void) { return &(desc); }              \
    struct pawl_require_semicolon_
#ifdef __cplusplus
}
#endif
#endif
