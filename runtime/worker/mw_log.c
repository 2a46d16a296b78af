/* The middleware "log": what became of messages. A refusal or a wait is worth a line; all else only at debug. */
#include "observe/log.h"
#include "worker/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_SHOWN 64

struct mw_log {
    const struct pw_layer_conf *conf;
};

/* ", key 'POL-1'", ", key #0123456789abcdef", or nothing. */
static const char *key_of(const struct mw_log *lg, const struct pw_item *it, char *buf, size_t cap)
{
    size_t n = it->msg.key.n < KEY_SHOWN ? it->msg.key.n : KEY_SHOWN;

    buf[0] = 0;
    if (lg->conf->keys == PW_LAYER_KEYS_HASH && it->key_hash)
        (void)snprintf(buf, cap, ", key #%016" PRIx64, it->key_hash);
    else if (lg->conf->keys == PW_LAYER_KEYS_YES && it->msg.key.p)
        (void)snprintf(buf, cap, ", key '%.*s'", (int)n, (const char *)it->msg.key.p);
    return buf;
}

static void tell(const struct mw_log *lg, enum pw_log_level level, const char *event, const struct pw_item *it,
                 const char *text)
{
    struct pw_log_at at     = pw_worker_at_item(it);
    bool             reason = lg->conf->reasons && it->detail;
    char             key[KEY_SHOWN + 16];

    pw_log(level, event, &at, "%s%s%s%s%s%s", text, it->by ? ", by middleware " : "", it->by ? it->by : "",
           key_of(lg, it, key, sizeof(key)), reason ? ": " : "", reason ? it->detail : "");
}

static void tell_done(const struct mw_log *lg, const struct pw_item *it)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "%s: %" PRIu32 " writes, %" PRIu32 " outputs, %" PRId64 " us",
                   it->verdict == PAWL_OK ? "ok" : "skip", it->writes_n, it->emits_n, it->took_us);
    tell(lg, PW_LOG_DEBUG, "event.done", it, text);
}

static void done(void *self, const struct pw_item *it)
{
    const struct mw_log *lg = self;
    char                 text[128];

    if (it->parked && it->behind)
        return;
    if (it->parked) {
        (void)snprintf(text, sizeof(text), "%s; its key waits for %.1f s", it->code ? it->code : "retry",
                       (double)it->retry_us / 1e6);
        tell(lg, PW_LOG_WARN, "event.parked", it, text);
    } else if (it->verdict == PAWL_REJECT) {
        (void)snprintf(text, sizeof(text), "%s; dead-lettered", it->code ? it->code : "rejected");
        tell(lg, PW_LOG_WARN, "event.rejected", it, text);
    } else if (!it->duplicate && pw_log_enabled(PW_LOG_DEBUG)) { /* a copy has a line of its own: event.duplicate */
        tell_done(lg, it);
    }
}

void pw_mw_log(struct pw_arena *ar, const struct pw_layer_conf *conf, struct pw_layer *ret)
{
    struct mw_log *lg = pw_arena_alloc(ar, sizeof(*lg));

    lg->conf = conf;
    *ret     = (struct pw_layer){ .name = "log", .self = lg, .done = done };
}
