/* admin_call: which paths of the API there are, and the commands behind them. */
#ifndef PW_SUPERVISOR_ADMIN_CALL_H
#define PW_SUPERVISOR_ADMIN_CALL_H

#include "observe/web.h"
#include "supervisor/errand.h"

#define PW_ADMIN_API "/api/v1/"

struct pw_admin_call;

/* NULL: there is none. path: behind PW_ADMIN_API. */
const struct pw_admin_call *pw_admin_call_find(const char *path);
bool                        pw_admin_call_reads(const struct pw_admin_call *call); /* GET; else POST */
/* Starts its command; granted: the token was shown. false: the answer comes later; true: rq has it already, since something is wrong. */
bool pw_admin_call_start(const struct pw_admin_call *call, struct pw_supervisor *sup, struct pw_errands *es, bool granted,
                         struct pw_web_request *rq);
/* {"error":"text"} */
void pw_admin_error(struct pw_web_request *rq, unsigned status, const char *fmt, ...) PW_PRINTF(3, 4);

#endif
