/* The web page of a running pawl; what is done with it is in tests/web/page.py. */
#include "load.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_MS 300000

/* Of its admin port; malloc'ed. */
static char *page_address(const struct worker *w)
{
    static const char key[] = "\"admin\":\"";
    char             *status, *at, *address;

    wait_until(worker_says(w, "admin.listening"));
    status = worker_status(w);
    at     = strstr(status, key);
    cr_assert_not_null(at, "%s", status);
    at += sizeof(key) - 1;
    address = strndup(at, strcspn(at, "\""));
    free(status);
    return address;
}

static char *token_file(void)
{
    static char path[] = "/tmp/pawl-admin-token-XXXXXX";
    int         fd     = mkstemp(path); /* mode 0600 */
    const char  text[] = "a-token-for-a-test-of-the-page\n";

    cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
    cr_assert_eq(close(fd), 0);
    return path;
}

Test(page, it_shows_what_runs_and_does_what_the_token_allows)
{
    char           *token = token_file(), *out = NULL;
    struct cluster *k =
        cluster_up(.partitions = 2, .plugin = "emitter", .dlq = "there", .deployed = true, .admin_token = token);
    struct worker *a       = worker_start(k, "a");
    char          *address = page_address(a);
    char *argv[] = { WEB_RUN, "page.py", address, token, (char *)kafka_bootstrap(), k->topic, (char *)kit_postgres_dsn(k->pg),
                     NULL };
    struct load *l;
    int          rc;

    wait_until(worker_says(a, "group.assigned"));
    l  = load_start(k, 40);
    rc = proc_run(argv, PAGE_MS, &out);
    (void)load_stop(l);
    (void)unlink(token);
    cr_assert_eq(rc, 0, "%s", out);
    if (getenv("SCREENSHOT"))
        (void)fputs(out, stderr);
    free(out);
    free(address);
    cluster_down(k);
}
