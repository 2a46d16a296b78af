/* kafka_proxy: between one test's workers and the brokers that all tests share. It listens once for each broker, cuts the stream
 * into requests and answers, and can hold back, drop, strand or delay those of one kind. What brokers tell about their own
 * addresses is rewritten, so that clients who began here stay here. It runs in a thread of the test. */
#ifndef KIT_KAFKA_PROXY_H
#define KIT_KAFKA_PROXY_H

#include <stdbool.h>

struct kafka_proxy;

/* Kinds of requests, as the protocol numbers them. */
enum {
    KAFKA_PRODUCE           = 0,
    KAFKA_METADATA          = 3,
    KAFKA_FIND_COORDINATOR  = 10,
    KAFKA_INIT_PRODUCER_ID  = 22,
    KAFKA_ADD_PARTITIONS    = 24,
    KAFKA_ADD_OFFSETS       = 25,
    KAFKA_END_TXN           = 26,
    KAFKA_TXN_OFFSET_COMMIT = 28,
    KAFKA_DESCRIBE_CLUSTER  = 60,
    KAFKA_APIS              = 96,
};

enum kafka_proxy_act {
    KAFKA_PROXY_PASS = 0,
    KAFKA_PROXY_HOLD_REQUEST, /* it, and what comes behind it on its connection, waits for kafka_proxy_release() */
    KAFKA_PROXY_HOLD_ANSWER,  /* the same, on the way back */
    KAFKA_PROXY_DROP_ANSWER,  /* the broker has done it, the client never hears of it; the connection stays */
    KAFKA_PROXY_CUT_BEFORE,   /* the broker never gets it; both ends are reset */
    KAFKA_PROXY_CUT_AFTER,    /* the broker has done it; both ends are reset instead of an answer */
    KAFKA_PROXY_STRAND,       /* the client is reset; the broker gets it at kafka_proxy_release(), late */
};

/* bootstrap: "127.0.0.1:PORT,..." of the brokers. */
struct kafka_proxy *kafka_proxy_start(const char *bootstrap);
void                kafka_proxy_stop(struct kafka_proxy *px);            /* NULL is a no-op */
const char         *kafka_proxy_bootstrap(const struct kafka_proxy *px); /* for the clients */

/* What to do at the next n requests of that kind, on any connection. in: only those that hold these bytes, such as a
 * transactional id; NULL: all. One rule at a time for each kind. */
void kafka_proxy_arm(struct kafka_proxy *px, int api, enum kafka_proxy_act act, const char *in, int n);
/* How often an armed act has been done. */
int  kafka_proxy_acted(struct kafka_proxy *px, int api);
void kafka_proxy_release(struct kafka_proxy *px);
/* Every request of the kind, and every answer, is held back that long. */
void kafka_proxy_delay(struct kafka_proxy *px, int api, int request_ms, int answer_ms);

/* Nothing passes in either direction; connections stay open, and new ones are taken but not answered. */
void kafka_proxy_blackhole(struct kafka_proxy *px, bool on);
/* Reset all connections now. */
void kafka_proxy_cut(struct kafka_proxy *px);

/* Requests of the kind that brokers got, and those that they answered, late ones too. */
int kafka_proxy_requests(struct kafka_proxy *px, int api);
int kafka_proxy_answers(struct kafka_proxy *px, int api);
/* The error code in the answer to a stranded request of a kind whose answer begins with throttle time and error; -1: not yet. */
int kafka_proxy_late_error(struct kafka_proxy *px);

#endif
