/* writer: from a connection's session to its socket. */
#ifndef GW_WRITER_H
#define GW_WRITER_H

#include "call.h"

/* Writes until the session or the socket has had enough. Returns false if the connection is over: all is said, or it is broken. */
bool gw_writer_run(struct gw_conn *cn);

#endif
