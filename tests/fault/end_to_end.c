/* The whole chain on three brokers: client, gateway, underwriting, billing. Every process of it is killed in turn while events come. At the end every
 * event that was acknowledged to the client has one premium, one invoice or credit note, and one line of an act. */
#include "business.h"
#include "kafka.h"
#include "proc.h"
#include "run.h"
#include "wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 400 /* of each client */
#define RATE   "200"

/* A client sends; when a quarter of its events has had its effect, something happens to somebody. All of them must be acknowledged. */
static void events_come_while(void (*something)(int), int arg)
{
    long before = business_count("underwriting.premium");

    business_client_start(EVENTS, RATE);
    wait_until_s(60, business_count("underwriting.premium") >= before + EVENTS / 4);
    something(arg);
    business_client_wait(120);
}

static void kill_gateway(int times)
{
    for (int i = 0; i < times; i++) {
        proc_end(&business.gateway);
        business_gateway_start();
    }
}

static void kill_worker(int of_billing)
{
    struct proc *run = of_billing ? &business.billing : &business.underwriting;
    const char  *pl  = of_billing ? "billing" : "underwriting";
    pid_t        pid = 0;

    wait_until((pid = proc_child(run->pid, "--pipeline", pl)) > 0);
    cr_assert_eq(kill(pid, SIGKILL), 0);
}

/* Its workers go with it. */
static void kill_supervisor(int of_billing)
{
    proc_end(of_billing ? &business.billing : &business.underwriting);
    if (of_billing)
        business_billing_start();
    else
        business_underwriting_start();
}

static void kill_broker(int broker)
{
    kafka_broker_kill(broker);
}

static void kill_postgres(int arg)
{
    (void)arg;
    kit_postgres_stop(business.pg, "immediate");
    kit_postgres_start(business.pg);
    business_connect();
}

static void each_broker_dies(void)
{
    for (int broker = 1; broker <= 3; broker++) {
        events_come_while(kill_broker, broker); /* all is acknowledged with two of them */
        kafka_broker_up(broker);
        business_wait_in_sync();
    }
}

static void clean(const char *what, long n)
{
    cr_expect_eq(n, 0, "%ld acknowledged events do not have exactly one %s", n, what);
}

TestSuite(end_to_end, .init = business_up, .fini = business_down);

Test(end_to_end, what_was_acknowledged_is_charged_booked_and_in_an_act_once)
{
    events_come_while(kill_gateway, 1);
    events_come_while(kill_worker, false);
    events_come_while(kill_supervisor, false);
    events_come_while(kill_worker, true);
    events_come_while(kill_supervisor, true);
    each_broker_dies();
    events_come_while(kill_postgres, 0);
    events_come_while(kill_gateway, 3);

    business_settle();
    business_close_months();
    cr_expect_eq(business_acked(), 10 * EVENTS, "each event of each client, once");
    clean("premium", business_not_once("SELECT event_id FROM underwriting.premium"));
    clean("invoice or credit note", business_not_once("SELECT p.event_id FROM billing.document d"
                                                      " JOIN underwriting.premium p USING (policy_id, policy_version)"));
    clean("line of an act", business_not_once("SELECT p.event_id FROM billing.act_line l JOIN underwriting.premium p"
                                              " ON l.document = p.policy_id || '/' || p.policy_version"));
    cr_expect_eq(business_count("pawl.dead_letters"), 0, "nobody's death is an event's fault");
    cr_expect_eq(business_count("billing.faults"), 0);
    business.well = business_judge();
}
