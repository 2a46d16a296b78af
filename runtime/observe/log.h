/* log: one line per event, text on a terminal and JSON lines otherwise, to stderr. Library code does not log; workers,
 * the supervisor and commands do, once. Never blocks: a line that cannot be written at once is dropped and counted. */
#ifndef PW_OBSERVE_LOG_H
#define PW_OBSERVE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define PW_LOG_TEXT_MAX  2048
#define PW_LOG_VALUE_MAX 512
#define PW_LOG_RATE      20 /* lines a second of one event */

enum pw_log_level { PW_LOG_DEBUG = 0, PW_LOG_INFO, PW_LOG_WARN, PW_LOG_ERROR };
enum pw_log_format { PW_LOG_AUTO = 0, PW_LOG_TEXT, PW_LOG_JSON };

/* Where a line comes from; fields that are NULL or negative are left out. */
struct pw_log_at {
    const char *topic;
    int32_t     partition;
    int64_t     offset;
    int32_t     attempt; /* 0: none */
};
#define PW_LOG_AT_NONE ((const struct pw_log_at *)0)

/* who: "supervisor", or "underwriting/0"; kept, not copied. PAWL_LOG_LEVEL (debug, info, warn, error) and PAWL_LOG_FORMAT
 * (text, json) override the two others. Also ignores SIGPIPE: a reader of the log that goes away must not end the process. */
void pw_log_init(const char *who, enum pw_log_level least, enum pw_log_format format);
void pw_log_plugin(const char *id_and_version, uint32_t generation); /* added to every line from now on */
int  pw_log_enabled(enum pw_log_level level);
/* The least level from now on. Any thread. */
void              pw_log_set_level(enum pw_log_level least);
enum pw_log_level pw_log_level(void);
const char       *pw_log_level_name(enum pw_log_level level); /* "debug" */
bool              pw_log_level_read(const char *name, enum pw_log_level *ret);
/* Any thread. event: a stable dotted name, a constant, documented in docs/events.md. At most PW_LOG_RATE lines a second of one
 * event are written; the next line of that event says how many were not. Text is cut after PW_LOG_TEXT_MAX bytes, other
 * values after PW_LOG_VALUE_MAX. */
void pw_log(enum pw_log_level level, const char *event, const struct pw_log_at *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
uint64_t pw_log_dropped(void);
uint64_t pw_log_suppressed(void); /* lines beyond PW_LOG_RATE */

#endif
