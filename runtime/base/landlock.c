/* Raw system calls: the C library has none for them, and the headers of Debian 12 are older than the kernels it runs on. */
#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/landlock.h */
#define ASK_VERSION   1U
#define RULE_PATH     1
#define RULE_PORT     2
#define WRITE_FILE    (UINT64_C(1) << 1)
#define READ_FILE     (UINT64_C(1) << 2)
#define READ_DIR      (UINT64_C(1) << 3)
#define REMOVE_FILE   (UINT64_C(1) << 5)
#define TRUNCATE      (UINT64_C(1) << 14)
#define CONNECT_TCP   (UINT64_C(1) << 1)
#define SCOPES        UINT64_C(3) /* abstract Unix sockets, signals */
#define FS_BITS_1     13          /* all that version 1 knows */
#define VERSION_PORTS 4
#define VERSION_SCOPE 6

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_rule {
    uint64_t access;
    int32_t  parent;
} __attribute__((packed));
struct port_rule {
    uint64_t access, port;
};

static const char *const readable[] = {
    /* libraries, time zones, locales, certificates */
    "/usr", "/opt", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime",
    "/etc/timezone", "/etc/locale.alias", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/gss",
    "/etc/krb5.conf", "/etc/krb5.conf.d",
    /* names of hosts, services and users */
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf", "/etc/services",
    "/etc/protocols", "/etc/passwd", "/etc/group", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf",
    "/run/nscd",
    /* how large the machine is */
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/sys/vm", "/proc/sys/kernel/random",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup", "/sys/kernel/mm"
};
static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" };
/* Files of libpq and OpenSSL: named by the environment, or in the user's folder. */
static const char *const variables[] = { "PGPASSFILE",    "PGSERVICEFILE", "PGSYSCONFDIR", "PGSSLCERT",
                                         "PGSSLKEY",      "PGSSLROOTCERT", "PGSSLCRL",     "PGSSLCRLDIR",
                                         "SSL_CERT_FILE", "SSL_CERT_DIR",  "OPENSSL_CONF", "KRB5_CONFIG" };
static const char *const of_user[]   = { ".pgpass", ".pg_service.conf", ".postgresql" };

/* The rights of the file system that a version knows: 2 adds one, 3 another, 5 a third. */
static uint64_t all_rights(long version)
{
    int bits = FS_BITS_1 + (version >= 2) + (version >= 3) + (version >= 5);

    return (UINT64_C(1) << bits) - 1;
}

static int allow(int rules, const char *path, uint64_t rights, struct pw_err *err)
{
    struct path_rule rule = { 0, open(path, O_PATH | O_CLOEXEC) };
    struct stat      st;
    long             rc;

    if (rule.parent < 0 || fstat(rule.parent, &st) < 0) { /* not there, or not for us: so there is nothing to allow */
        if (rule.parent >= 0)
            (void)close(rule.parent);
        return 0;
    }
    rule.access = S_ISDIR(st.st_mode) ? rights : rights & (READ_FILE | WRITE_FILE | TRUNCATE);
    rc          = syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0U);
    (void)close(rule.parent);
    return rc < 0 ? pw_err_sys(err, PW_D_FATAL, "sandbox: allow %s", path) : 0;
}

static int allow_user(int rules, uint64_t rights, struct pw_err *err)
{
    const struct passwd *pw      = getpwuid(geteuid());
    const char          *homes[] = { pw ? pw->pw_dir : NULL, getenv("HOME") };
    char                 path[4200];

    for (size_t h = 0; h < sizeof(homes) / sizeof(homes[0]); h++)
        for (size_t i = 0; homes[h] && homes[h][0] == '/' && i < sizeof(of_user) / sizeof(of_user[0]); i++) {
            int n = snprintf(path, sizeof(path), "%s/%s", homes[h], of_user[i]);

            if (n > 0 && (size_t)n < sizeof(path) && allow(rules, path, rights, err) < 0)
                return -1;
        }
    return 0;
}

/* A fault point's token is taken by removing it. */
static int allow_token(int rules, struct pw_err *err)
{
#ifdef PW_FAULTS
    const char *token = getenv("PAWL_FAILPOINT_TOKEN"), *slash = token ? strrchr(token, '/') : NULL;
    char        dir[4200];

    if (slash && snprintf(dir, sizeof(dir), "%.*s", (int)(slash - token), token) > 0)
        return allow(rules, dir, REMOVE_FILE, err);
#endif
    (void)rules;
    (void)err;
    return 0;
}

static int allow_files(int rules, const struct pw_confine *cf, uint64_t known, struct pw_err *err)
{
    const uint64_t read = READ_FILE | READ_DIR, use = (READ_FILE | WRITE_FILE | TRUNCATE) & known;

    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
        if (allow(rules, readable[i], read, err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        if (allow(rules, devices[i], use, err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *path = getenv(variables[i]);

        if (path && allow(rules, path, read, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < cf->files_n; i++)
        if (allow(rules, cf->files[i], read, err) < 0)
            return -1;
    return allow_user(rules, read, err) < 0 || allow_token(rules, err) < 0 ? -1 : 0;
}

static int allow_ports(int rules, const struct pw_confine *cf, struct pw_err *err)
{
    for (size_t i = 0; i < cf->ports_n; i++)
        for (uint32_t port = cf->ports[i].from; port <= cf->ports[i].to; port++) {
            struct port_rule rule = { CONNECT_TCP, port };

            if (syscall(SYS_landlock_add_rule, rules, RULE_PORT, &rule, 0U) < 0)
                return pw_err_sys(err, PW_D_FATAL, "sandbox: allow port %u", port);
        }
    return 0;
}

static int restrict_to(int rules, const struct pw_confine *cf, const struct ruleset *held, struct pw_err *err)
{
    if (allow_files(rules, cf, held->fs, err) < 0 || (held->net && allow_ports(rules, cf, err) < 0))
        return -1;
    return syscall(SYS_landlock_restrict_self, rules, 0U) < 0 ? pw_err_sys(err, PW_D_FATAL, "sandbox: hold files and ports") :
                                                                0;
}

int pw_landlock_enter(const struct pw_confine *cf, int *ret_version, struct pw_err *err)
{
    long           version = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
    struct ruleset held    = { 0 };
    size_t         size    = sizeof(held.fs);
    int            rules, rc;

    *ret_version = 0;
#ifdef PW_COVERAGE
    version = 0; /* what was covered is written to files at the end */
#endif
    if (version < 1) /* an older kernel, or one that was started without it */
        return 0;
    held.fs = all_rights(version);
    if (version >= VERSION_PORTS) {
        held.net = cf->any_port ? 0 : CONNECT_TCP;
        size += sizeof(held.net);
    }
    if (version >= VERSION_SCOPE) {
        held.scoped = SCOPES;
        size += sizeof(held.scoped);
    }
    rules = (int)syscall(SYS_landlock_create_ruleset, &held, size, 0U);
    if (rules < 0)
        return pw_err_sys(err, PW_D_FATAL, "sandbox: make a ruleset of Landlock %ld", version);
    rc = restrict_to(rules, cf, &held, err);
    (void)close(rules);
    *ret_version = rc == 0 ? (int)version : 0;
    return rc;
}
