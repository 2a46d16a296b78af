/* names: what pipelines, ports, topics, groups and addresses may be called. */
#ifndef PW_TOPOLOGY_NAMES_H
#define PW_TOPOLOGY_NAMES_H

/* Each returns NULL if the name is right, else what it must be: "must be ...". */
const char *pw_name_check(const char *name); /* pipelines, instance */
const char *pw_name_check_port(const char *name);
const char *pw_name_check_topic(const char *name);
const char *pw_name_check_group(const char *name);
const char *pw_name_check_sha256(const char *digits);
const char *pw_name_check_listen(const char *address);

#endif
