/* crash: what a worker still says while a signal ends it: which one, the fault's address and a backtrace, into the last field of
 * its page. Then the signal does what it would have done, so core dumps and the exit status stay as they are. */
#ifndef PW_WORKER_CRASH_H
#define PW_WORKER_CRASH_H

#include "observe/blackbox.h"

/* Handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT and SIGSYS, for the whole process; the stack they run on is the calling
 * thread's: of another thread a stack overflow ends the process without a word. Before foreign code is loaded; once. A plugin
 * may replace them, and is then without backtrace. */
int pw_crash_install(struct pw_blackbox *bb, struct pw_err *err) PW_MUST_CHECK;
/* Notes what is mapped where, to be called again when something was loaded; after a crash nobody may ask for it. plugin: path of
 * the file whose build id is told; NULL: none yet. */
void pw_crash_note_modules(const char *plugin);

#endif
