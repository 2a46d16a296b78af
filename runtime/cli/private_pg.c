#include "cli/private_pg.h"

#include "cli/children.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS 60000

/* kit/pg of the installation, else of the source tree. */
static int find_script(char *script, size_t cap, struct pw_err *err)
{
    const char *share = getenv("PAWL_SHARE");
    char        self[PATH_MAX], *slash;
    ssize_t     n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return pw_err_sys(err, PW_D_FATAL, "find this program");
    self[n] = 0;
    slash   = strrchr(self, '/');
    *slash  = 0;
    if (share && *share)
        (void)snprintf(script, cap, "%s/kit/pg", share);
    else
        (void)snprintf(script, cap, "%s/../libexec/pawl/kit/pg", self);
    if (access(script, X_OK) < 0 && !(share && *share))
        (void)snprintf(script, cap, "%s/kit/pg", PW_SHARE_DIR);
    return access(script, X_OK) < 0 ? pw_err_sys(err, PW_D_FATAL, "%s; name the folder that holds kit/ in PAWL_SHARE", script) :
                                      0;
}

int pw_private_pg_start(char *dsn, size_t cap, struct pw_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char        dir[256], data[300], script[PATH_MAX + 32], *out = NULL, *last;
    char       *argv[] = { script, "start", data, NULL };
    size_t      n;

    if (find_script(script, sizeof(script), err) < 0)
        return -1;
    if ((size_t)snprintf(dir, sizeof(dir), "%s/pawl-test-XXXXXX", tmp && *tmp == '/' && strlen(tmp) < 60 ? tmp : "/tmp") >=
            sizeof(dir) ||
        !mkdtemp(dir))
        return pw_err_sys(err, PW_D_FATAL, "make a folder for PostgreSQL");
    if (chmod(dir, 0711) < 0) /* the server's own user must pass through it */
        return pw_err_sys(err, PW_D_FATAL, "chmod %s", dir);
    if (pw_children_begin(dir, false, err) < 0)
        return -1;
    (void)snprintf(data, sizeof(data), "%s/pg", dir);
    (void)setenv("PG_FSYNC", "off", 1); /* nothing in it outlives us */
    pw_children_at_end((const char *const[]){ script, "stop", data, "immediate", NULL });
    if (pw_child_run("postgres", argv, START_MS, &out, err) < 0)
        return pw_err_wrap(err, "start a private PostgreSQL");
    for (n = strlen(out); n && (out[n - 1] == '\n' || out[n - 1] == ' '); n--)
        out[n - 1] = 0;
    last = strrchr(out, '\n');
    (void)snprintf(dsn, cap, "%s", last ? last + 1 : out);
    free(out);
    return 0;
}
