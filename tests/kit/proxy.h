/* proxy: a TCP proxy that understands enough of PostgreSQL's wire protocol to act at a COMMIT. It listens on a free
 * port of 127.0.0.1 and speaks to the server's unix socket. It runs in a thread of the test. */
#ifndef KIT_PROXY_H
#define KIT_PROXY_H

struct proxy;

enum proxy_act {
    PROXY_PASS = 0,
    PROXY_CUT_BEFORE_COMMIT, /* the server never gets the COMMIT; both ends are reset */
    PROXY_CUT_AFTER_COMMIT,  /* the server has executed it; its answer is dropped, both ends are reset */
    PROXY_HOLD_COMMIT,       /* the client is reset; the server gets the COMMIT when proxy_release() is called */
    PROXY_POISON_COMMIT,     /* the transaction is made to fail just before its COMMIT, which then answers ROLLBACK */
};

struct proxy *proxy_start(const char *unix_socket);
void          proxy_stop(struct proxy *px);
int           proxy_port(const struct proxy *px);

/* What to do at the next COMMIT on any connection, once. */
void proxy_arm(struct proxy *px, enum proxy_act act);
/* The same at each of the next n. */
void proxy_arm_times(struct proxy *px, enum proxy_act act, int n);
void proxy_release(struct proxy *px);
/* How often an armed act has been done. */
int proxy_acted(struct proxy *px);
/* Transactions the proxy saw committed (CommandComplete COMMIT), also those whose answer it dropped. */
int proxy_commits(struct proxy *px);

/* Nothing passes in either direction, connections stay open and new ones are taken but not answered. */
void proxy_blackhole(struct proxy *px, int on);
/* Every piece is held back that long, each way. */
void proxy_delay(struct proxy *px, int ms);
/* Reset all connections now. */
void proxy_cut(struct proxy *px);

#endif
