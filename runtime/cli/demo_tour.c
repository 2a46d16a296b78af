#include "cli/demo_tour.h"

#include <stdio.h>
#include <stdlib.h>

void pw_demo_tour_print(const struct pw_world *w)
{
    const char *dsn = getenv("PAWL_DEMO_DSN"), *id = w->topic;

    (void)printf("\nEverything runs on until Ctrl-C. pawl:     http://127.0.0.1:%d/metrics  /healthz  /readyz\n"
                 "                                the gateway: http://127.0.0.1:%d/metrics  /healthz  /readyz\n",
                 w->http_port, w->gateway.http_port);
    (void)printf("More events:      %s/auto-events produce --gateway 127.0.0.1:%d --count 1000 --seed 7 --rate 500\n", w->bin,
                 w->gateway.port);
    (void)printf("The acts' topic:  %s/auto-books acts --bootstrap %s --topic %s\n", w->bin, w->bootstrap, w->acts);
    (void)printf("An act, to read:  %s/tools/act \"%s\" AG-07 MONTH        a month of billing.period, such as 2025-01\n",
                 w->share, dsn);
    (void)printf("The tables:       psql \"%s\"\n", dsn);
    (void)printf("  SELECT * FROM billing.trial_balance;\n"
                 "  SELECT * FROM billing.act ORDER BY month, agent_id;\n"
                 "  SELECT * FROM underwriting.premium ORDER BY policy_id, policy_version LIMIT 20;\n"
                 "  SELECT topic, code, count(*) FROM pawl.dead_letters WHERE topic LIKE '%s%%' GROUP BY 1, 2;\n"
                 "  SELECT * FROM pawl.offsets ORDER BY topic, partition;\n\n",
                 id);
}
