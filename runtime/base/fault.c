#include "base/fault.h"

#ifdef PW_FAULTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const points[][2] = {
#define X(name, text) { #name, text },
    PW_FAULT_POINTS(X)
#undef X
};
static const char *const guards[] = {
#define X(name, text) #name,
    PW_GUARDS(X)
#undef X
};

static void act(const char *action)
{
    if (strcmp(action, "kill") == 0) {
        (void)kill(getpid(), SIGKILL);
    } else if (strcmp(action, "stop") == 0) {
        (void)kill(getpid(), SIGSTOP);
    } else if (strcmp(action, "exit") == 0) {
        _exit(0);
    } else if (strncmp(action, "sleep_ms(", 9) == 0) {
        long ms = strtol(action + 9, NULL, 10);

        (void)nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
    } else {
        (void)fprintf(stderr, "pawl: PAWL_FAILPOINT: unknown action '%s'\n", action);
        abort();
    }
}

/* With PAWL_FAILPOINT_TOKEN=file only the process that removes the file acts: once, however often workers are started. */
static bool take_token(void)
{
    const char *token = getenv("PAWL_FAILPOINT_TOKEN");

    return !token || unlink(token) == 0;
}

/* "name[:nth]=action" */
void pw_fault_hit(enum pw_fault_point point)
{
    static unsigned long passed[PW_FAULT_N];
    const char          *spec = getenv("PAWL_FAILPOINT");
    const char          *name = points[point][0];
    size_t               n    = strlen(name);
    unsigned long        nth  = 1;

    passed[point]++;
    if (!spec || strncmp(spec, name, n) != 0)
        return;
    spec += n;
    if (*spec == ':') {
        char *end;

        nth  = strtoul(spec + 1, &end, 10);
        spec = end;
    }
    /* With a token a process that came too early for it acts at a later passing: which one takes it is a matter of timing. */
    if (*spec == '=' && (getenv("PAWL_FAILPOINT_TOKEN") ? passed[point] >= nth && take_token() : passed[point] == nth))
        act(spec + 1);
}

bool pw_guard_on(enum pw_guard guard)
{
    const char *off = getenv("PAWL_GUARD_OFF");
    size_t      n   = strlen(guards[guard]);

    for (const char *at = off; at && (at = strstr(at, guards[guard])); at += n)
        if ((at == off || at[-1] == ',') && (at[n] == 0 || at[n] == ','))
            return false;
    return true;
}

void pw_fault_list(void)
{
    for (size_t i = 0; i < PW_FAULT_N; i++)
        printf("%s\t%s\n", points[i][0], points[i][1]);
}

#else
typedef int pw_fault_is_empty_in_release;
#endif
