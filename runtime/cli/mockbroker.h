/* mockbroker: librdkafka's in-process cluster in a process of its own, for a demo without Java. */
#ifndef PW_CLI_MOCKBROKER_H
#define PW_CLI_MOCKBROKER_H

struct pw_mockbroker_topic {
    const char *name;
    int         partitions;
};

struct pw_mockbroker_args {
    int                               out_fd; /* the bootstrap list and a newline go here, then it is closed */
    const struct pw_mockbroker_topic *topics; /* up to one without a name */
};

/* Runs until it is killed; arg is a struct pw_mockbroker_args. Returns an exit code if it could not start. */
int pw_mockbroker_run(void *arg);

#endif
