#include "kafka/ask.h"

#include "kafka/conf.h"

#include <stdio.h>
#include <string.h>

int pw_ask_open(const char *const *keys, const char *const *values, size_t n, rd_kafka_t **ret_rk, struct pw_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char             why[256];

    for (size_t i = 0; i < n; i++)
        if (pw_kafka_set(conf, keys[i], values[i], err) < 0) {
            rd_kafka_conf_destroy(conf);
            return -1;
        }
    rd_kafka_conf_set_log_cb(conf, NULL); /* an answer that does not come says enough */
    *ret_rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (*ret_rk)
        return 0;
    rd_kafka_conf_destroy(conf);
    return pw_err_set(err, PW_D_FATAL, "Kafka client: %s", why);
}

void pw_ask_close(rd_kafka_t *rk)
{
    if (rk)
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static int refused(rd_kafka_resp_err_t code, struct pw_err *err, const char *topic, int32_t partition)
{
    char where[300];

    if (partition < 0)
        (void)snprintf(where, sizeof(where), "topic %s", topic);
    else
        (void)snprintf(where, sizeof(where), "%s[%d]", topic, partition);
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return pw_err_set(err, PW_D_REJECT, "Kafka has no %s", where);
    default: return pw_err_set(err, PW_D_RETRY, "ask Kafka about %s: %s", where, rd_kafka_err2str(code));
    }
}

int pw_ask_bounds(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms, int64_t *ret_low, int64_t *ret_end,
                  struct pw_err *err)
{
    rd_kafka_resp_err_t rc = rd_kafka_query_watermark_offsets(rk, topic, partition, ret_low, ret_end, timeout_ms);

    return rc ? refused(rc, err, topic, partition) : 0;
}

int pw_ask_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *ret_n, struct pw_err *err)
{
    const struct rd_kafka_metadata *md  = NULL;
    rd_kafka_topic_t               *rkt = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t rc = rkt ? rd_kafka_metadata(rk, 0, rkt, &md, timeout_ms) : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;

    if (!rc && (!md || md->topic_cnt != 1))
        rc = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (!rc)
        rc = md->topics[0].err;
    if (!rc)
        *ret_n = md->topics[0].partition_cnt;
    if (md)
        rd_kafka_metadata_destroy(md);
    if (rkt)
        rd_kafka_topic_destroy(rkt);
    return rc ? refused(rc, err, topic, -1) : 0;
}

int pw_ask_position(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms, int64_t *ret_offset,
                    char *ret_metadata, size_t cap, size_t *ret_n, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t  *list = rd_kafka_topic_partition_list_new(1);
    const rd_kafka_topic_partition_t *tp   = rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t               rc   = rd_kafka_committed(rk, list, timeout_ms);

    if (!rc)
        rc = tp->err;
    if (!rc) {
        *ret_offset = tp->offset < 0 ? -1 : tp->offset;
        *ret_n      = !tp->metadata ? 0 : tp->metadata_size < cap ? tp->metadata_size : cap;
        if (*ret_n)
            memcpy(ret_metadata, tp->metadata, *ret_n);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc ? refused(rc, err, topic, partition) : 0;
}

void pw_ask_cluster_id(rd_kafka_t *rk, int timeout_ms, char ret_id[PW_ASK_CLUSTER_ID])
{
    char *id = rd_kafka_clusterid(rk, timeout_ms);

    (void)snprintf(ret_id, PW_ASK_CLUSTER_ID, "%s", id ? id : "");
    if (id)
        rd_kafka_mem_free(rk, id);
}
