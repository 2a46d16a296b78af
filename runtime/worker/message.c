#include "worker/message.h"

#include <string.h>

static void fill_headers(struct pw_arena *ar, const rd_kafka_message_t *m, pawl_msg *msg)
{
    rd_kafka_headers_t *hdrs;
    pawl_header        *out;
    size_t              n;

    if (rd_kafka_message_headers(m, &hdrs) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    n   = rd_kafka_header_cnt(hdrs);
    out = pw_arena_array(ar, n, sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        const char *name  = NULL;
        const void *value = NULL;
        size_t      len   = 0;

        if (rd_kafka_header_get_all(hdrs, i, &name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        out[i].name  = (pawl_str){ name, strlen(name) };
        out[i].value = (pawl_bytes){ value, len };
        msg->n_headers++;
    }
    msg->headers = out;
}

void pw_message_of(struct pw_arena *ar, const char *topic, const rd_kafka_message_t *m, int32_t attempt, pawl_msg *ret)
{
    rd_kafka_timestamp_type_t kind;

    *ret                = (pawl_msg){ .size = sizeof(*ret) };
    ret->topic          = (pawl_str){ topic, strlen(topic) };
    ret->partition      = m->partition;
    ret->attempt        = attempt;
    ret->offset         = m->offset;
    ret->timestamp_ms   = rd_kafka_message_timestamp(m, &kind);
    ret->timestamp_type = kind == RD_KAFKA_TIMESTAMP_CREATE_TIME ? 1 : kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? 2 : 0;
    ret->key            = (pawl_bytes){ m->key, m->key_len };
    ret->value          = (pawl_bytes){ m->payload, m->len };
    fill_headers(ar, m, ret);
}
