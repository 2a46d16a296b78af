/* business: the chain as processes of its own: a gateway, a `pawl run` for underwriting, one for billing, clients that send by gRPC; and who judges what
 * comes of it: SQL by event, and the oracles of tools/. One at a time, alone on the brokers. */
#ifndef FAULT_BUSINESS_H
#define FAULT_BUSINESS_H

#include "proc.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct business {
    char           dir[200], name[48];
    struct kit_pg *pg;
    PGconn        *sql;
    struct proc    gateway, underwriting, billing, client;
    int            port, http_port, clients;
    int            lock;
    bool           well; /* the test came to its end: nobody wants to know what the processes said */
};
extern struct business business;

void business_up(void);
void business_down(void);

void business_gateway_start(void);
void business_underwriting_start(void);
void business_billing_start(void);
/* Starts to send so many events at that rate; some of them twice. */
void business_client_start(int events, const char *rate);
/* Until it has all its answers; the test fails if it does not get them. */
void business_client_wait(int seconds);
/* The test's own connection, anew. */
void business_connect(void);
void business_wait_in_sync(void); /* every replica of every topic */

/* Until all that is in the topics is applied, and all outputs are published. */
void business_settle(void);
/* Closes the months that have documents, and waits for the acts in their topic. */
void business_close_months(void);

long business_count(const char *table);
/* Events of all clients that were acknowledged; one that was sent twice counts once. Call it first, and once. */
long business_acked(void);
/* How many of them this query, which names events, does not name exactly once. */
long business_not_once(const char *query);
/* The oracles' verdict; the test fails, and this is false, if they find something. */
bool business_judge(void);

#endif
