/* conf: one property of a librdkafka client. */
#ifndef PW_KAFKA_CONF_H
#define PW_KAFKA_CONF_H

#include "base/err.h"

#include <librdkafka/rdkafka.h>

/* PW_D_FATAL with the property's name if the library does not take it. */
int pw_kafka_set(rd_kafka_conf_t *conf, const char *key, const char *value, struct pw_err *err) PW_MUST_CHECK;

#endif
