/* sqlstate: what an SQL failure means for the batch. */
#ifndef PW_POSTGRES_SQLSTATE_H
#define PW_POSTGRES_SQLSTATE_H

#include "base/err.h"

/* RETRY: 40*, 08*, 53*, 57*, 58* (I/O error), 55P03, 55006, 25006 (failed over to a standby), 25P03 and 25P04 (a session ended
 * for idling in its transaction), 72000; NULL and "" too: libpq made the error, there was no answer at all.
 * ISOLATE, some message's fault: 21*, 22*, 23*, 44*, P0*, 54000 and 54001.
 * FATAL, an operator's work: 42* and everything else. */
enum pw_disp pw_sqlstate_disp(const char *sqlstate);

#endif
