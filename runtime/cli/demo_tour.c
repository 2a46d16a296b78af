#include "cli/demo_tour.h"

#include <stdio.h>
#include <stdlib.h>

/* The act with the most lines, as arguments of tools/act. */
static void find_act(struct pw_world *w, char *ret, size_t cap)
{
    PGresult     *res;
    struct pw_err err;

    (void)snprintf(ret, cap, "AGENT YYYY-MM");
    if (pw_world_query(w,
                       "SELECT agent_id, to_char(month, 'YYYY-MM') FROM billing.act WHERE agent_id <> ''"
                       " ORDER BY documents DESC LIMIT 1",
                       &res, &err) < 0)
        return; /* then the words above have to do */
    if (PQntuples(res) == 1)
        (void)snprintf(ret, cap, "%s %s", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
    PQclear(res);
}

void pw_demo_tour_print(struct pw_world *w)
{
    const char *dsn = getenv("PAWL_DEMO_DSN"), *id = w->topic;
    char        act[96];

    find_act(w, act, sizeof(act));

    (void)printf("\nEverything runs on until Ctrl-C. pawl:     http://127.0.0.1:%d/metrics  /healthz  /readyz\n"
                 "                                the gateway: http://127.0.0.1:%d/metrics  /healthz  /readyz\n",
                 w->http_port, w->gateway.http_port);
    (void)printf("More events:      %s/auto-events produce --gateway 127.0.0.1:%d --count 1000 --seed 7 --rate 500\n", w->bin,
                 w->gateway.port);
    (void)printf("The acts' topic:  %s/auto-books acts --bootstrap %s --topic %s\n", w->bin, w->bootstrap, w->acts);
    (void)printf("An act, to read:  %s/tools/act \"%s\" %s\n", w->share, dsn, act);
    (void)printf("The tables:       psql \"%s\"\n", dsn);
    (void)printf("  SELECT * FROM billing.trial_balance;\n"
                 "  SELECT * FROM billing.act ORDER BY month, agent_id;\n"
                 "  SELECT * FROM underwriting.premium ORDER BY policy_id, policy_version LIMIT 20;\n"
                 "  SELECT topic, code, count(*) FROM pawl.dead_letters WHERE topic LIKE '%s%%' GROUP BY 1, 2;\n"
                 "  SELECT * FROM pawl.offsets ORDER BY topic, partition;\n\n",
                 id);
}
