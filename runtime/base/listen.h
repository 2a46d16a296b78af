/* listen: a listening TCP socket from what a configuration says. */
#ifndef PW_BASE_LISTEN_H
#define PW_BASE_LISTEN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* listen: "127.0.0.1:9464", "[::1]:0", "localhost:9464". Returns the descriptor, which does not block, or -1. */
int pw_listen_open(const char *listen, struct pw_err *err) PW_MUST_CHECK;
/* Its address, with the port that was found if 0 was asked for. */
void pw_listen_name(int fd, char *ret, size_t cap);
/* Does it say 127.x.x.x, [::1] or localhost? No name is looked up. */
bool pw_listen_is_loopback(const char *listen);

#endif
