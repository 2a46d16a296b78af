/* names: what pipelines, ports, topics, groups and addresses may be called. */
#ifndef PW_TOPOLOGY_NAMES_H
#define PW_TOPOLOGY_NAMES_H

#include "base/landlock.h"

#include <stddef.h>

/* Each returns NULL if the name is right, else what it must be: "must be ...". */
const char *pw_name_check(const char *name); /* pipelines, instance */
const char *pw_name_check_port(const char *name);
const char *pw_name_check_topic(const char *name);
const char *pw_name_check_group(const char *name);
const char *pw_name_check_sha256(const char *digits);
const char *pw_name_check_listen(const char *address);
const char *pw_name_check_ports(const char *ports);

#define PW_NAME_PORTS 32 /* ranges in one text */
/* "443,30000-30100". Returns how many ranges there are, 0: it is no such text. */
size_t pw_name_ports(const char *text, struct pw_port_range ret[PW_NAME_PORTS]);

#endif
