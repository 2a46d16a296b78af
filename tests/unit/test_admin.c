#include "supervisor_kit.h"

#include "supervisor/admin_call.h"
#include "supervisor/door.h"

#define TOKEN "0123456789abcdefghij"

TestSuite(admin, .init = setup, .fini = teardown, .timeout = 120);

/* With this in the topology, and a pipeline `steady`. */
static void start_admin(const char *admin)
{
    FILE *f;

    write_topology((const struct pipeline[]){ { "steady", 1, NULL }, { NULL, 0, NULL } }, "10s");
    f = fopen(topology, "a");
    cr_assert_not_null(f);
    (void)fprintf(f, "admin: { listen: \"127.0.0.1:0\"%s }\n", admin);
    cr_assert_eq(fclose(f), 0);
    sup = launch(FAKE_WORKER, log_file);
    wait_for(logged("supervisor.started"));
}

#define WITH_TOKEN ", token: " TOKEN

static int admin_client(void)
{
    static const char  key[] = "\"admin\":\"http://";
    struct sockaddr_in at    = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char        *s     = strstr(ask("status json\n"), key);
    int                fd    = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_not_null(s);
    at.sin_port = htons((uint16_t)atoi(strchr(s + sizeof(key), ':') + 1));
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* Answer to a whole request; the connection is closed. */
static const char *send_admin(const char *request)
{
    static char text[1 << 17];
    int         fd = admin_client();
    size_t      n  = 0;
    ssize_t     got;

    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    while ((got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
        n += (size_t)got;
    text[n] = 0;
    (void)close(fd);
    return text;
}

/* headers: each with its line break. form NULL: GET. */
static const char *call(const char *path, const char *headers, const char *form)
{
    static char request[40000];
    int         n = snprintf(request, sizeof(request),
                             "%s %s HTTP/1.1\r\nConnection: close\r\n%s%sContent-Type: application/x-www-form-urlencoded\r\n"
                                     "Content-Length: %zu\r\n\r\n%s",
                     form ? "POST" : "GET", path, strstr(headers, "Host: ") ? "" : "Host: 127.0.0.1\r\n", headers,
                     form ? strlen(form) : 0, form ? form : "");

    cr_assert_lt((size_t)n, sizeof(request));
    return send_admin(request);
}

#define BEARER "Authorization: Bearer " TOKEN "\r\n"

static bool is(const char *answer, int status, const char *text)
{
    char want[32];

    (void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
    if (strncmp(answer, want, strlen(want)) == 0 && strstr(answer, text))
        return true;
    (void)fprintf(stderr, "wanted %d with %s, got %s\n", status, text, answer);
    return false;
}

static const char *body(const char *answer)
{
    const char *at = strstr(answer, "\r\n\r\n");

    cr_assert_not_null(at, "%s", answer);
    return at + 4;
}

static double metric_of(const char *series)
{
    const char *at = strstr(http("/metrics"), series);

    cr_assert_not_null(at, "%s", series);
    return strtod(at + strlen(series), NULL);
}

Test(admin, without_it_in_the_topology_nothing_listens)
{
    start({ "steady", 1, NULL });
    cr_expect(status_has("\"admin\":null"));
    cr_expect_eq(metric_of("pawl_admin_refused_total{reason=\"token\"}"), 0);
    cr_expect_eq(stop(), 0);
}

Test(admin, what_can_be_seen_is_seen_without_a_token_on_loopback)
{
    start_admin(WITH_TOKEN);
    wait_for(status_has("\"state\":\"running\""));
    cr_expect(is(call("/api/v1/access", "", NULL), 200, "\"token\":true,\"read\":true,\"write\":false}"));
    cr_expect(is(call("/api/v1/status", "", NULL), 200, "\"pipelines\":[{\"name\":\"steady\""));
    cr_expect(json_is_line(body(call("/api/v1/status", "", NULL))));
    wait_for(strstr(call("/api/v1/history", "", NULL), "{\"name\":\"steady\",\"lag\":[") &&
             strstr(call("/api/v1/history", "", NULL), ",5],\"events\":["));
    cr_expect(json_is_line(body(call("/api/v1/history", "", NULL))));
    cr_expect(is(call("/api/v1/dlq?pipeline=steady&limit=7&newest=1", "", NULL), 200, "\r\n\r\n[\"dlq\",\"list\",\""));
    cr_expect(strstr(call("/api/v1/dlq?pipeline=steady&limit=7&newest=1", "", NULL),
                     "\",\"steady\",\"--json\",\"--limit=7\",\"--newest\",\"--bare\"]"));
    cr_expect(is(call("/api/v1/nothing", "", NULL), 404, "error"));
    cr_expect(is(call("/api/v1/status", "", ""), 405, "Allow: GET, HEAD\r\n"));
    cr_expect_eq(stop(), 0);
}

Test(admin, the_page_is_there_and_names_only_its_own_files)
{
    const char *s;

    start_admin("");
    s = call("/", "", NULL);
    cr_expect(is(s, 200, "Content-Type: text/html; charset=utf-8\r\n") && strstr(s, "<script src=\"page.js\""));
    cr_expect_null(strstr(s, "//"), "it names no other host: %s", strstr(s, "//"));
    cr_expect(is(call("/page.js", "", NULL), 200, "Content-Type: text/javascript; charset=utf-8\r\n"));
    cr_expect(is(call("/page.css", "", NULL), 200, "Content-Type: text/css; charset=utf-8\r\n"));
    cr_expect(is(call("/icon.svg", "", NULL), 200, "Content-Type: image/svg+xml\r\n"));
    cr_expect(is(call("/index.html", "", NULL), 404, "error"));
    cr_expect(is(call("/../page.js", "", NULL), 404, "error"));
    cr_expect(is(call("/", "", ""), 405, "Allow: GET, HEAD\r\n"));
    cr_expect_eq(stop(), 0);
}

Test(admin, every_answer_tells_the_browser_to_be_careful)
{
    const char *s;

    start_admin("");
    s = call("/api/v1/status", "", NULL);
    cr_expect(strstr(s, "X-Content-Type-Options: nosniff\r\n"));
    cr_expect(strstr(s, "Cache-Control: no-store\r\n"));
    cr_expect(strstr(s, "Content-Security-Policy: default-src 'none'; script-src 'self';"));
    cr_expect(strstr(s, "frame-ancestors 'none'"));
    cr_expect_null(strstr(s, "Access-Control-"), "%s", s);
    cr_expect_null(strstr(s, "Set-Cookie"), "%s", s);
    cr_expect_eq(stop(), 0);
}

Test(admin, nothing_is_done_without_the_token)
{
    static const char *const doings[] = { "redrive", "reload", "pause", "resume", "drain", "log-level" };

    start_admin(WITH_TOKEN);
    for (size_t i = 0; i < sizeof(doings) / sizeof(doings[0]); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/api/v1/%s", doings[i]);
        cr_expect(is(call(path, "", "pipeline=steady"), 401, "WWW-Authenticate: Bearer\r\n"));
        cr_expect(
            is(call(path, "Authorization: Bearer 0123456789abcdefghiX\r\n", "pipeline=steady"), 401, "the token is wrong"));
        cr_expect(is(call(path, BEARER, NULL), 405, "Allow: POST\r\n"), "not by a link");
    }
    cr_expect(is(call("/api/v1/pause?token=" TOKEN, "Cookie: token=" TOKEN "\r\n", "pipeline=steady"), 401, "needed"));
    cr_expect_eq(metric_of("pawl_admin_refused_total{reason=\"token\"}"), 6);
    wait_for(logged("admin.refused"));
    cr_expect_not(logged("0123456789"), "no token is logged");
    cr_expect_not(logged("admin.called"));
    cr_expect_eq(stop(), 0);
}

Test(admin, without_a_token_in_the_topology_nobody_does_anything)
{
    start_admin("");
    cr_expect(is(call("/api/v1/access", "", NULL), 200, "\"token\":false,\"read\":true,\"write\":false}"));
    cr_expect(is(call("/api/v1/reload", "", ""), 403, "read-only"));
    cr_expect(is(call("/api/v1/reload", "Authorization: Bearer \r\n", ""), 401, "wrong"));
    cr_expect_eq(stop(), 0);
}

Test(admin, with_the_token_the_command_is_run_and_its_words_are_the_answer)
{
    const char *s;

    start_admin(WITH_TOKEN);
    cr_expect(is(call("/api/v1/access", BEARER, NULL), 200, "\"write\":true}"));
    s = call("/api/v1/redrive", BEARER, "pipeline=steady&code=a%2Cb+c&limit=5&out-of-order=1&reason=it+is+mended");
    cr_expect(is(s, 200, "{\"exit\":0,\"text\":\"[\\\"dlq\\\",\\\"redrive\\\","), "%s", s);
    cr_expect(strstr(s, "\\\"steady\\\",\\\"--code=a,b c\\\",\\\"--limit=5\\\",\\\"--out-of-order\\\","
                        "\\\"--reason=admin port, from 127.0.0.1: it is mended\\\"]"),
              "%s", s);
    cr_expect(is(call("/api/v1/drain", BEARER, "pipeline=steady"), 200, "\\\"drain\\\""));
    cr_expect(is(call("/api/v1/log-level", BEARER, "level=debug&pipeline=steady&for=5m"), 200,
                 "\\\"debug\\\",\\\"--pipeline=steady\\\",\\\"--for=5m\\\"]"));
    cr_expect(is(call("/api/v1/log-level", BEARER, "level=--help"), 400, "cannot be"));
    cr_expect(is(call("/api/v1/reload", BEARER, "plugin=steady"), 200, "\\\"--plugin=steady\\\"]"));
    s = call("/api/v1/redrive", BEARER, "pipeline=steady&code=refuse");
    cr_expect(is(s, 503, "{\"exit\":75,\"error\":") && strstr(s, "pawl: no <b>such</b> thing\\n\"}"), "%s", s);
    wait_for(logged("127.0.0.1: redrive steady"));
    cr_expect_eq(stop(), 0);
}

Test(admin, an_argument_that_is_not_known_is_no_filter_that_is_forgotten)
{
    start_admin(WITH_TOKEN);
    cr_expect(is(call("/api/v1/redrive", BEARER, "pipeline=steady&cod=x"), 400, "unknown argument 'cod'"));
    cr_expect(is(call("/api/v1/redrive", BEARER, "pipeline=steady&code=x&code=y"), 400, "given twice"));
    cr_expect(is(call("/api/v1/redrive", BEARER, "pipeline=steady&code=x%00y"), 400, "NUL"));
    cr_expect(is(call("/api/v1/redrive", BEARER, "pipeline=steady&out-of-order=no"), 400, "given as 1"));
    cr_expect(is(call("/api/v1/redrive", BEARER, "code=x"), 400, "'pipeline' is missing"));
    cr_expect(is(call("/api/v1/redrive", BEARER, "pipeline=--help"), 400, "no pipeline"));
    cr_expect(is(call("/api/v1/reload", BEARER, "pipeline=steady"), 400, "unknown argument"));
    cr_expect(is(call("/api/v1/redrive", BEARER "Content-Type: application/json\r\n", "{}"), 400, "is application/x-www"));
    cr_expect_not(logged("admin.called"));
    cr_expect_eq(stop(), 0);
}

Test(admin, a_form_that_is_too_large_is_refused)
{
    static char form[PW_WEB_BODY + 64];

    start_admin(WITH_TOKEN);
    memset(form, 'x', sizeof(form) - 1);
    memcpy(form, "pipeline=steady&reason=", 23);
    cr_expect(is(call("/api/v1/pause", BEARER, form), 400, "too large"));
    form[PW_WEB_BODY] = 0;
    cr_expect(is(call("/api/v1/pause", BEARER, form), 200, "xxx"));
    cr_expect_eq(stop(), 0);
}

Test(admin, other_hosts_and_pages_of_other_origins_are_refused)
{
    start_admin(WITH_TOKEN ", name: pawl.example.org");
    cr_expect(is(call("/api/v1/status", "Host: evil.example\r\n", NULL), 403, "host name"));
    cr_expect(is(call("/", "Host: evil.example\r\n", NULL), 403, "host name"));
    cr_expect(is(call("/api/v1/status", "Host: pawl.example.org:1\r\n", NULL), 200, "pipelines"));
    cr_expect(is(call("/api/v1/reload", BEARER "Origin: http://evil.example\r\n", ""), 403, "another origin"));
    cr_expect(is(call("/api/v1/reload", BEARER "Origin: http://127.0.0.1\r\n", ""), 200, "reload"));
    cr_expect_eq(metric_of("pawl_admin_refused_total{reason=\"host\"}"), 3);
    cr_expect_eq(stop(), 0);
}

Test(admin, who_tries_tokens_is_locked_out)
{
    start_admin(WITH_TOKEN);
    for (int i = 0; i < PW_DOOR_TRIES; i++)
        cr_expect(is(call("/api/v1/reload", "Authorization: Bearer x\r\n", ""), 401, "wrong"));
    cr_expect(is(call("/api/v1/reload", BEARER, ""), 429, "Retry-After: 60\r\n"));
    cr_expect(is(call("/api/v1/status", "", NULL), 200, "pipelines"));
    cr_expect_eq(metric_of("pawl_admin_refused_total{reason=\"locked\"}"), 1);
    cr_expect_eq(stop(), 0);
}

/* Asks, and goes away. */
static void hang_up(const char *path)
{
    char request[512];
    int  fd = admin_client();

    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    (void)close(fd);
}

/* How many commands with --code=hang run. */
static int hanging(void)
{
    FILE *p = popen("grep -lsa -e '--code=han[g]' /proc/[0-9]*/cmdline | wc -l", "r");
    int   n = -1;

    cr_assert_not_null(p);
    cr_assert_eq(fscanf(p, "%d", &n), 1);
    (void)pclose(p);
    return n;
}

Test(admin, commands_that_hang_hold_nobody_up_and_end_with_the_supervisor)
{
    start_admin(WITH_TOKEN);
    for (int i = 0; i < PW_ERRAND_READS; i++)
        hang_up("/api/v1/dlq?code=hang");
    wait_for(strstr(call("/api/v1/dlq", "", NULL), "too many commands are running"));
    cr_expect(is(call("/api/v1/status", "", NULL), 200, "pipelines"));
    cr_expect(is(call("/api/v1/reload", BEARER, ""), 200, "reload"));
    cr_expect_eq(stop(), 0);
    cr_expect_eq(hanging(), 0);
}

Test(admin, the_token_is_another_one_after_a_reload)
{
    char  secret[96], more[160];
    FILE *f;

    (void)snprintf(secret, sizeof(secret), "%s/token", dir);
    f = fopen(secret, "w");
    cr_assert(f && fputs(TOKEN "\n", f) >= 0 && fclose(f) == 0 && chmod(secret, 0600) == 0);
    (void)snprintf(more, sizeof(more), ", token: \"${file:%s}\"", secret);
    start_admin(more);
    wait_for(status_has("\"state\":\"running\""));
    cr_expect(is(call("/api/v1/access", BEARER, NULL), 200, "\"write\":true}"));
    f = fopen(secret, "w");
    cr_assert(f && fputs("another-token-of-20-bytes\n", f) >= 0 && fclose(f) == 0);
    cr_expect(strstr(ask("reload\n"), "unchanged"));
    cr_expect(is(call("/api/v1/access", BEARER, NULL), 401, "wrong"));
    cr_expect(is(call("/api/v1/access", "Authorization: Bearer another-token-of-20-bytes\r\n", NULL), 200, "\"write\":true}"));
    cr_expect(is(call("/api/v1/history", "", NULL), 200, "\"pipeline\":\"steady\",\"outcome\":\"unchanged\""));
    cr_expect_eq(stop(), 0);
}

Test(admin, beyond_loopback_nothing_is_seen_without_the_token)
{
    FILE *f;

    write_topology((const struct pipeline[]){ { "steady", 1, NULL }, { NULL, 0, NULL } }, "10s");
    f = fopen(topology, "a");
    cr_assert(f && fputs("admin: { listen: \"0.0.0.0:0\", plain: true" WITH_TOKEN " }\n", f) >= 0 && fclose(f) == 0);
    sup = launch(FAKE_WORKER, log_file);
    wait_for(logged("supervisor.started"));
    cr_expect(is(call("/api/v1/access", "", NULL), 200, "\"token\":true,\"read\":false,\"write\":false}"));
    cr_expect(is(call("/api/v1/status", "", NULL), 401, "a token is needed"));
    cr_expect(is(call("/api/v1/history", "", NULL), 401, "a token is needed"));
    cr_expect(is(call("/api/v1/dlq", "", NULL), 401, "a token is needed"));
    cr_expect(is(call("/api/v1/status", BEARER, NULL), 200, "pipelines"));
    cr_expect_eq(stop(), 0);
}
