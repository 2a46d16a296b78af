/* draft_msg: a record of a topic of the business, made of a Protobuf message and headers, for tests. */
#ifndef UNIT_DRAFT_MSG_H
#define UNIT_DRAFT_MSG_H

#include <pawl/plugin.h>
#include <protobuf-c/protobuf-c.h>

/* protobuf-c's strings are not const, but are not written either. */
#define TEXT(s) ((char *)(uintptr_t)(s))

/* Points into itself: do not copy. */
struct draft_msg {
    const char *key, *ce_id, *ce_type, *traceparent; /* NULL: absent */
    int64_t     offset;
    pawl_header headers[3];
    uint8_t     bytes[4096];
    pawl_msg    msg;
};

/* The message with this value at topic[2]@offset. Lives in d. */
const pawl_msg *draft_msg(struct draft_msg *d, const char *topic, const ProtobufCMessage *value);

#endif
