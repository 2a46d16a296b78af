/* children: the processes and the folder of one demo. They are gone when it ends, however it ends: a janitor process holds
 * the read end of a pipe and cleans up when the last writer is no more, also after SIGKILL. */
#ifndef PW_CLI_CHILDREN_H
#define PW_CLI_CHILDREN_H

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Set by SIGINT, SIGTERM and SIGHUP to their number; everything here that waits then returns at once. */
extern volatile sig_atomic_t pw_children_stop;

struct pw_child {
    const char *name; /* static; its log is <dir>/<name>.log */
    pid_t       pid;  /* and process group; 0: not started */
    int         status;
    bool        reaped;
};

/* Starts the janitor for this folder and takes over the signals. Call it before any thread and any other child.
 * keep: the folder stays. */
int pw_children_begin(const char *dir, bool keep, struct pw_err *err) PW_MUST_CHECK;
/* Everything ends, now; returns when the janitor is done. */
void pw_children_end(void);

/* Commands that the janitor runs before the folder goes, last added first; "script verb argument...", at most 8 words. */
void pw_children_at_end(const char *const words[]);

/* A process in a group of its own; its output goes to its log. */
int pw_child_start(struct pw_child *ch, const char *name, char *const argv[], struct pw_err *err) PW_MUST_CHECK;
/* The same without exec: fn runs in the child, its result is the exit code. fd stays open in the child; -1: none. */
int  pw_child_fork(struct pw_child *ch, const char *name, int (*fn)(void *arg), void *arg, struct pw_err *err) PW_MUST_CHECK;
bool pw_child_running(struct pw_child *ch);
/* Sends sig, waits, and after grace_ms kills. Returns the exit code, 128 + signal, or 0 if it never ran. */
int pw_child_stop(struct pw_child *ch, int sig, int grace_ms);

/* Runs a program to its end. *ret_out is what it wrote to stdout, malloc'ed (NULL: not wanted, it goes to the log). An exit
 * code other than 0 is an error that carries the last line of its log. */
int pw_child_run(const char *name, char *const argv[], int timeout_ms, char **ret_out, struct pw_err *err) PW_MUST_CHECK;
/* The same with stdout into that file. */
int pw_child_run_into(const char *name, char *const argv[], int timeout_ms, const char *file, struct pw_err *err) PW_MUST_CHECK;

/* The last line of <dir>/<name>.log that is not blank; false if there is none. */
bool pw_children_last_line(const char *name, char *ret, size_t cap);
/* The last lines of <dir>/<name>.log, to stderr. */
void pw_children_tail(const char *name, int lines);

/* Sleeps; returns early, with false, when asked to stop. */
bool pw_children_nap(int ms);

#endif
