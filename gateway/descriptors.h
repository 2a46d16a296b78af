/* descriptors: a serialised google.protobuf.FileDescriptorSet of all that is served here, made by protoc. */
#ifndef GW_DESCRIPTORS_H
#define GW_DESCRIPTORS_H

#include <stddef.h>

extern const unsigned char gw_descriptors[];
extern const size_t        gw_descriptors_n;

#endif
