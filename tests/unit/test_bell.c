#include "kafka/bell.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static rd_kafka_t       *rk;
static rd_kafka_queue_t *queue;
static int               fd;

/* A client whose broker refuses it: its queue gets an error, and later others. */
static void setup(void)
{
    char             why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", why, sizeof(why)), RD_KAFKA_CONF_OK);
    cr_assert_eq(rd_kafka_conf_set(conf, "log_level", "0", why, sizeof(why)), RD_KAFKA_CONF_OK);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    cr_assert_not_null(rk, "%s", why);
    queue = rd_kafka_queue_get_main(rk);
    fd    = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert_geq(fd, 0);
}

static void teardown(void)
{
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    (void)close(fd);
}

TestSuite(bell, .init = setup, .fini = teardown, .timeout = 60);

static bool rings(int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, timeout_ms) == 1;
}

static void answer(void)
{
    rd_kafka_event_t *ev;
    uint64_t          n;

    cr_assert_eq(read(fd, &n, sizeof(n)), (ssize_t)sizeof(n));
    while ((ev = rd_kafka_queue_poll(queue, 0)))
        rd_kafka_event_destroy(ev);
}

Test(bell, rings_for_what_was_there_before_and_for_what_comes_after)
{
    static const uint64_t one = 1;

    while (rd_kafka_queue_length(queue) == 0)
        (void)poll(NULL, 0, 1);
    pw_kafka_bell(queue, fd, &one, sizeof(one));
    cr_assert(rings(0));
    answer();
    cr_assert(rings(30000), "the next refusal did not ring");
    answer();
}
