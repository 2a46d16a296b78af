/* keys: the one table of a topology's keys. It drives the loader, the JSON Schema and the manual. */
#ifndef PW_TOPOLOGY_KEYS_H
#define PW_TOPOLOGY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_KEYS_LAYERS        "log|trace" /* middleware of the runtime's own */
#define PW_KEYS_MAX_PIPELINES 64
#define PW_KEYS_MAX_OUTPUTS   64
#define PW_KEYS_MAX_TEXT      4096 /* bytes of a text, where nothing else is said */

enum pw_key_type {
    PW_KEY_MAP = 0,   /* the keys below it in the table */
    PW_KEY_PIPELINES, /* name -> mapping; its keys are those below "pipelines.*" */
    PW_KEY_KAFKA,     /* librdkafka property -> value, by kafka/props.h */
    PW_KEY_OUTPUTS,   /* port -> topic */
    PW_KEY_NAMED,     /* a mapping with free names, at most max of them; `choices` says of what */
    PW_KEY_TOPICS,    /* a list of topics, min..max of them */
    PW_KEY_LAYERS,    /* a list of middleware, at most max; each a name out of `choices` or a mapping with the keys below it */
    PW_KEY_INT,       /* min..max */
    PW_KEY_DURATION,  /* min..max, ms */
    PW_KEY_SIZE,      /* min..max, bytes */
    PW_KEY_PERCENT,   /* min..max, thousandths of a percent */
    PW_KEY_BOOL,      /* true or false, without quotes; the field gets 1 or 0 */
    PW_KEY_CHOICE,    /* one of choices; the field gets its index */
    PW_KEY_TEXT,      /* a string of min..max bytes */
    PW_KEY_NAME,      /* [a-z0-9][a-z0-9-]{0,62} */
    PW_KEY_TOPIC,
    PW_KEY_GROUP,
    PW_KEY_SHA256, /* 64 hexadecimal digits, small letters */
    PW_KEY_LISTEN, /* host:port */
    PW_KEY_PORTS,  /* 443,30000-30100 */
    PW_KEY_FOLDER, /* an absolute path of at most max bytes */
    PW_KEY_BESIDE, /* a path; a relative one counts from the topology's folder */
};

/* Which structure the field is in. */
enum pw_key_home { PW_KEY_NOWHERE = 0, PW_KEY_IN_TOPOLOGY, PW_KEY_IN_PIPELINE, PW_KEY_IN_LAYER };

struct pw_key {
    const char      *path; /* "pipelines.*.batch.max_messages" */
    enum pw_key_type type;
    bool             required, secret;
    bool             restart; /* a change of it needs a restart; all others are applied by a reload */
    int64_t          min, max;
    const char      *choices;   /* "earliest|latest" */
    const char      *dflt;      /* as it would be written in the file; NULL: none */
    const char      *dflt_text; /* where the default is worked out: how, for people */
    enum pw_key_home home;
    size_t           offset, width;
    const char      *doc;
};

/* Parents stand before their children. */
const struct pw_key *pw_keys(size_t *ret_n);
/* Is k a key of the mapping at `parent` ("" is the top level)? Then its name there, else NULL. */
const char *pw_key_name_in(const struct pw_key *k, const char *parent);

/* What a value must be, for messages and the manual: "a whole number from 1 to 64". Returns buf. */
const char *pw_key_expect(const struct pw_key *k, char *buf, size_t cap);
/* The index of the choice, -1: none of them. */
int pw_key_choice(const char *choices, const char *value);

/* Patterns as the schema and the manual say them; the loader's checks are in names.h. */
#define PW_KEYS_NAME_PATTERN  "[a-z0-9][a-z0-9-]{0,62}"
#define PW_KEYS_PORT_PATTERN  "[a-z0-9][a-z0-9_-]{0,62}"
#define PW_KEYS_TOPIC_PATTERN "[a-zA-Z0-9._-]{1,249}"

#endif
