/* cloud: CloudEvents in the binary mode for Kafka, as all records of the business have it: ids, and the headers of an output. */
#ifndef COMMON_CLOUD_H
#define COMMON_CLOUD_H

#include <pawl/plugin.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#define CLOUD_ID_MAX          64
#define CLOUD_TIME_MIN_US     INT64_C(946684800000000)  /* 2000-01-01: no event of the business is older */
#define CLOUD_TIME_MAX_US     INT64_C(7258118400000000) /* 2200-01-01 */
#define CLOUD_TRACEPARENT_MAX 256                       /* bytes; a longer one is not passed on */

/* 1 to max of A-Z a-z 0-9 . _ - */
bool cloud_id_valid(pawl_bytes id, size_t max);

/* For protobuf-c: allocates from the message's batch, frees nothing. Lives as long as c. */
ProtobufCAllocator cloud_allocator(pawl_ctx *c);

/* One output. Strings are NUL-terminated and not empty. */
struct cloud_event {
    uint32_t                port; /* index of the output */
    const char             *id, *type, *source;
    int64_t                 time_us; /* CLOUD_TIME_MIN_US to CLOUD_TIME_MAX_US */
    pawl_bytes              key;     /* of the record, and ce_subject */
    const ProtobufCMessage *body;
};

/* Emits it; traceparent is taken over from `cause`, the message in hand. */
pawl_rc cloud_emit(pawl_ctx *c, const pawl_msg *cause, const struct cloud_event *ev);

#define CLOUD_TIME_TEXT_MAX 32
/* RFC 3339 with six digits of the second: "2025-01-31T08:00:00.000000Z", and a NUL. */
void cloud_time_text(int64_t us, char out[CLOUD_TIME_TEXT_MAX]);

#endif
