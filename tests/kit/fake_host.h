/* fake_host: a plugin's host without Kafka or PostgreSQL. It answers options from a libconfig file, feeds rows to reads,
 * records what the plugin asks and writes, and aborts, with a message, on a call in the wrong phase or with wrong arguments. */
#ifndef KIT_FAKE_HOST_H
#define KIT_FAKE_HOST_H

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define FAKE_WRITES_MAX 64
#define FAKE_EMITS_MAX  16
#define FAKE_COLS_MAX   64

struct fake_read {
    bool       asked;
    size_t     n_args;
    pawl_value args[FAKE_COLS_MAX];
};

struct fake_write {
    uint32_t   stmt;
    size_t     n_args;
    pawl_value args[FAKE_COLS_MAX]; /* copies; live until the next message */
};

struct fake_emit {
    uint32_t           output;
    pawl_bytes         key, value;
    size_t             n_headers;
    const pawl_header *headers; /* in the plugin's order */
};

struct fake_host; /* opaque; holds the pawl_host */

/* pl: static descriptor. The file is a plugin's libconfig file, NULL: only defaults. NULL: the file does not parse (said on stderr). */
struct fake_host *fake_host_new(const pawl_plugin *pl, const char *cfg_file);
/* The same from text. */
struct fake_host *fake_host_new_text(const pawl_plugin *pl, const char *cfg);
void              fake_host_free(struct fake_host *fh); /* destroys the instance, too */

/* dlopen and the entry point; aborts if that fails. Never unloaded. */
const pawl_plugin *fake_host_open(const char *so);

/* For tests of what lies under the plugin's surface: the host as create() sees it, the context as handle() does. */
const pawl_host *fake_host_creating(struct fake_host *fh);
pawl_ctx        *fake_host_handling(struct fake_host *fh);

/* create(); the last thing the plugin logged is in fake_host_log. */
pawl_rc     fake_host_create(struct fake_host *fh);
const char *fake_host_log(const struct fake_host *fh);

/* One message: plan, then rows for what it asked (fake_host_feed), then handle. Each begins where the last ended. */
pawl_rc                 fake_host_plan(struct fake_host *fh, const pawl_msg *msg);
const struct fake_read *fake_host_read(const struct fake_host *fh, uint32_t slot);
/* rows * cols cells without the leading `i`; not copied. Slots that were asked and not fed have no rows. */
void    fake_host_feed(struct fake_host *fh, uint32_t slot, size_t rows, size_t cols, const pawl_value *cells);
pawl_rc fake_host_handle(struct fake_host *fh, const pawl_msg *msg);

size_t                   fake_host_writes(const struct fake_host *fh);
const struct fake_write *fake_host_write(const struct fake_host *fh, size_t i);
size_t                   fake_host_emits(const struct fake_host *fh);
const struct fake_emit  *fake_host_emit(const struct fake_host *fh, size_t i); /* copies; live until the next message */
const char              *fake_host_code(const struct fake_host *fh);           /* "" if the plugin said nothing */
const char              *fake_host_detail(const struct fake_host *fh);

#endif
