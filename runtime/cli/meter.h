/* meter: what the demo reads off a running pawl from outside: a quantile from /metrics, process numbers from its status. */
#ifndef PW_CLI_METER_H
#define PW_CLI_METER_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

/* The q-quantile (0..1) of a Prometheus histogram, over all its label sets with this text in them (NULL: all), as histogram_quantile() computes it: linear
 * inside a bucket. -1: no such histogram, or nothing observed. In the last bucket: the last finite limit. */
double pw_meter_quantile(const char *metrics, const char *name, const char *label, double q);

/* The value of every "pid" in a JSON text, in order; returns how many were stored. */
size_t pw_meter_pids(const char *json, pid_t *ret, size_t max);

/* GET http://127.0.0.1:port/path; the body, malloc'ed, and the status code. */
int pw_meter_get(int port, const char *path, int *ret_code, char **ret_body, struct pw_err *err) PW_MUST_CHECK;

/* A port of 127.0.0.1 that nobody listens on right now; -1 with errno. */
int pw_meter_free_port(void);

#endif
