/* proc: child processes of a test. They die with the test, whatever happens to it. */
#ifndef KIT_PROC_H
#define KIT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct proc {
    pid_t pid;    /* 0: never started */
    int   status; /* of waitpid, once reaped */
    bool  reaped;
    char  log[512]; /* file with its stdout and stderr */
};

/* env: NULL-terminated "NAME=value" on top of the test's own; may be NULL. log is appended to. */
void proc_start(struct proc *p, const char *log, char *const argv[], char *const env[]);
bool proc_running(struct proc *p);
/* True if it ended within that time; p->status then says how. */
bool proc_wait(struct proc *p, int timeout_ms);
void proc_signal(struct proc *p, int sig);
void proc_end(struct proc *p); /* SIGKILL and reaped; no-op if it is gone */
bool proc_says(const struct proc *p, const char *text);
/* How many lines of the log hold the text. */
int proc_says_n(const struct proc *p, const char *text);
/* The log's last n bytes, malloc'ed. */
char *proc_tail(const struct proc *p, size_t n);

/* Runs a command to its end. Returns its exit status (128 + signal if it was killed, -1: timeout); *ret_out, if not
 * NULL, is its output (stdout and stderr), malloc'ed. */
int proc_run(char *const argv[], int timeout_ms, char **ret_out);

/* The child of `parent` whose command line has `option value` next to each other, 0 if there is none. */
pid_t proc_child(pid_t parent, const char *option, const char *value);
/* To every child of `parent`; how many there are. */
int proc_signal_children(pid_t parent, int sig);
/* State letter of /proc/PID/stat: R, S, D, T, Z; 0 if there is no such process. */
char proc_state(pid_t pid);

char *kit_read_file(const char *path, size_t *ret_n); /* malloc'ed, NUL-terminated; NULL if it cannot be read */
void  kit_write_file(const char *path, const char *text);

#endif
