#include "kafka/conf.h"

int pw_kafka_set(rd_kafka_conf_t *conf, const char *key, const char *value, struct pw_err *err)
{
    char why[256];

    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return pw_err_set(err, PW_D_FATAL, "kafka property %s: %s", key, why);
}
