#include "worker/confine.h"

#include "topology/names.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#define FILES      64
#define PORTS      128
#define DNS_PORT   53
#define KAFKA_PORT 9092
#define PG_PORT    5432
#define HTTP_PORT  80
#define HTTPS_PORT 443

struct needs {
    struct pw_arena     *ar;
    const char          *files[FILES];
    size_t               files_n;
    struct pw_port_range ports[PORTS];
    size_t               ports_n;
};

static void add_file(struct needs *ne, const char *path)
{
    if (path && *path && ne->files_n < FILES)
        ne->files[ne->files_n++] = path;
}

/* And what will be in its place. */
static void add_folder_of(struct needs *ne, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    add_file(ne, slash && slash != path ? pw_arena_printf(ne->ar, "%.*s", (int)(slash - path), path) : path);
}

static void add_port(struct needs *ne, unsigned long port)
{
    if (port > 0 && port <= UINT16_MAX && ne->ports_n < PORTS)
        ne->ports[ne->ports_n++] = (struct pw_port_range){ (uint16_t)port, (uint16_t)port };
}

/* Of n bytes: host, host:port or [host]:port. */
static unsigned long port_of(const char *host, size_t n, unsigned long dflt)
{
    const char *colon = memrchr(host, ':', n), *bracket = memrchr(host, ']', n);

    return colon && (!bracket || bracket < colon) ? strtoul(colon + 1, NULL, 10) : dflt;
}

/* "one:9092,[::1]:9093,three" */
static void add_brokers(struct needs *ne, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");

        add_port(ne, port_of(list, n, KAFKA_PORT));
        list += n + (list[n] == ',');
    }
}

/* "5432,5433"; a part that is empty is the default. */
static void add_pg_ports(struct needs *ne, const char *list)
{
    const char *dflt = getenv("PGPORT");

    do {
        unsigned long port = strtoul(list, NULL, 10);

        add_port(ne, port ? port : dflt ? strtoul(dflt, NULL, 10) : PG_PORT);
        list += strcspn(list, ",");
    } while (*list++ == ',');
}

/* A service names hosts and ports in a file that is read later. */
static int add_dsn(struct needs *ne, const char *dsn, bool *ret_any_port, struct pw_err *err)
{
    static const char *const files[] = { "passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl" };
    const char              *ports   = "";
    char                    *why     = NULL;
    PQconninfoOption        *options = PQconninfoParse(dsn, &why);

    if (!options) {
        (void)pw_err_set(err, PW_D_FATAL, "postgres.dsn: %s", why ? why : "out of memory");
        PQfreemem(why);
        return -1;
    }
    *ret_any_port = getenv("PGSERVICE") != NULL;
    for (const PQconninfoOption *op = options; op->keyword; op++) {
        if (!op->val)
            continue;
        *ret_any_port = *ret_any_port || strcmp(op->keyword, "service") == 0;
        if (strcmp(op->keyword, "port") == 0)
            ports = pw_arena_strdup(ne->ar, op->val);
        if (strcmp(op->keyword, "sslcrldir") == 0)
            add_file(ne, pw_arena_strdup(ne->ar, op->val));
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
            if (strcmp(op->keyword, files[i]) == 0)
                add_folder_of(ne, pw_arena_strdup(ne->ar, op->val));
    }
    add_pg_ports(ne, ports);
    PQconninfoFree(options);
    return 0;
}

static void add_kafka(struct needs *ne, const struct pw_topology *tp)
{
    for (size_t i = 0; i < tp->kafka_n; i++) {
        const char *key = tp->kafka[i].key, *dot = strrchr(key, '.');

        if (strcmp(key, "bootstrap.servers") == 0)
            add_brokers(ne, tp->kafka[i].value);
        else if (strcmp(key, "ssl.ca.location") == 0) /* may be a folder itself */
            add_file(ne, tp->kafka[i].value);
        if (dot && strcmp(dot, ".location") == 0)
            add_folder_of(ne, tp->kafka[i].value);
    }
}

/* "https://host:port/path" */
static void add_url(struct needs *ne, const char *url)
{
    const char *host = url ? strstr(url, "://") : NULL;
    bool        tls  = url && strncmp(url, "https", strlen("https")) == 0;

    if (host)
        add_port(ne, port_of(host + 3, strcspn(host + 3, "/?#"), tls ? HTTPS_PORT : HTTP_PORT));
}

int pw_worker_confine(struct pw_arena *ar, const struct pw_worker_args *args, struct pw_confine *ret, struct pw_err *err)
{
    struct needs        *ne = pw_arena_alloc(ar, sizeof(*ne));
    struct pw_port_range more[PW_NAME_PORTS];
    size_t               n = args->pipeline->connect ? pw_name_ports(args->pipeline->connect, more) : 0;
    bool                 any_port;

    *ne = (struct needs){ .ar = ar };
    add_file(ne, args->plugin_path);
    add_file(ne, args->config_path);
    for (size_t i = 0; i < args->layers_n; i++) {
        add_file(ne, args->layers[i][0]);
        add_file(ne, args->layers[i][1]);
    }
    add_file(ne, args->pipeline->plugin_files);
    add_kafka(ne, args->topology);
    if (add_dsn(ne, args->topology->postgres_dsn, &any_port, err) < 0)
        return -1;
    add_url(ne, args->topology->trace.endpoint);
    add_folder_of(ne, args->topology->trace.ca);
    add_port(ne, DNS_PORT);
    for (size_t i = 0; i < n && ne->ports_n < PORTS; i++)
        ne->ports[ne->ports_n++] = more[i];
    *ret = (struct pw_confine){ ne->files, ne->files_n, ne->ports, ne->ports_n, any_port };
    return 0;
}
