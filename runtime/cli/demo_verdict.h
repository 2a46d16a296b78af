/* demo_verdict: what independent oracles say of a demo. They are programs of tools/ that share nothing with the product, and see the topics, the
 * tables and what the gateway acknowledged. */
#ifndef PW_CLI_DEMO_VERDICT_H
#define PW_CLI_DEMO_VERDICT_H

#include "cli/world.h"

struct pw_demo_verdict {
    bool  good;
    char *problems;  /* lines; "" if there are none */
    char  line[512]; /* "audit sent=... ledger=balanced premiums=match acts=match" */
};

/* When pawl has ended. p95: in ms, only printed. */
int  pw_demo_verdict_find(struct pw_demo_verdict *ve, struct pw_world *w, const char *p95, struct pw_err *err) PW_MUST_CHECK;
void pw_demo_verdict_done(struct pw_demo_verdict *ve);

#endif
