/* props: which librdkafka properties a topology may set, as pure data. Everything that is not in the table is refused,
 * so that a new librdkafka cannot bring a property that loads code or breaks the protocol. No librdkafka in here: the
 * supervisor reads topologies too. */
#ifndef PW_KAFKA_PROPS_H
#define PW_KAFKA_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the worker sets when the topology does not; the cross checks count with them. */
#define PW_KAFKA_SESSION_TIMEOUT_MS       10000
#define PW_KAFKA_HEARTBEAT_INTERVAL_MS    300
#define PW_KAFKA_FETCH_WAIT_MAX_MS        100
#define PW_KAFKA_RECONNECT_BACKOFF_MAX_MS 1000
/* The protocol's own. A handler has to end well before it. */
#define PW_KAFKA_MAX_POLL_INTERVAL_MS 60000

enum pw_kafka_rule {
    PW_KAFKA_ALLOWED = 0,
    PW_KAFKA_OWNED,  /* the exactly-once protocol or the worker sets it */
    PW_KAFKA_UNSAFE, /* loads code, runs commands, leaks or cannot be written in a file */
};

enum pw_kafka_type {
    PW_KAFKA_TEXT = 0, /* not empty */
    PW_KAFKA_INT,
    PW_KAFKA_BOOL,    /* true, false */
    PW_KAFKA_CHOICE,  /* one of choices */
    PW_KAFKA_SERVERS, /* host[:port],... */
};

struct pw_kafka_prop {
    const char        *name;
    enum pw_kafka_rule rule;
    enum pw_kafka_type type;
    bool               secret; /* a credential: never printed */
    bool               required;
    int64_t            min, max; /* of PW_KAFKA_INT */
    const char        *choices;  /* of PW_KAFKA_CHOICE: "a|b" */
    const char        *doc;      /* what it is; of a refused one: why, and what to do instead */
};

/* The whole table, sorted by rule, then by name. */
const struct pw_kafka_prop *pw_kafka_props(size_t *ret_n);
/* NULL: not in the table. */
const struct pw_kafka_prop *pw_kafka_prop_find(const char *name);
/* Is the value one that this property takes? Returns 0, or -1 with what it must be in why ("must be 1..7"); the value
 * itself is never repeated there. */
int pw_kafka_prop_check(const struct pw_kafka_prop *prop, const char *value, char *why, size_t why_cap);

#endif
