/* sqlstate: what an SQL failure means for the batch. */
#ifndef PW_POSTGRES_SQLSTATE_H
#define PW_POSTGRES_SQLSTATE_H

#include "base/err.h"

/* 40*, 08*, 53*, 57*, 55P03, 55006, 25006 (failed over to a standby), 58* (I/O error): retry; 21*, 22*, 23*, 44*, P0*: some message's
 * fault; anything else, and NULL or "": 42* and the rest need an operator (fatal); "" means no answer at all: retry. */
enum pw_disp pw_sqlstate_disp(const char *sqlstate);

#endif
