/* police: what one connection may cost the others: pings, work that is thrown away, heads that never end. */
#ifndef GW_POLICE_H
#define GW_POLICE_H

#include "call.h"

void gw_police_init(struct gw_conn *cn);
void gw_police_done(struct gw_conn *cn);
void gw_police_ping(struct gw_conn *cn);     /* the client has pinged */
void gw_police_answered(struct gw_conn *cn); /* a call of it was answered */
/* The client has made us do something for nothing: a call that was reset, by it or for what it sent, a frame that says nothing. */
void gw_police_waste(struct gw_conn *cn);
/* All that has come is read; is a call's head still not complete? */
void gw_police_read(struct gw_conn *cn);
/* Nothing more is read. It closes when what was said is written, or soon if the client does not read. */
void gw_police_end(struct gw_conn *cn);

#endif
