/* secret: what must not be shown. Names and shapes are judged generously: a value hidden without need costs little. */
#ifndef PW_TOPOLOGY_SECRET_H
#define PW_TOPOLOGY_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* A key called so, or nearly so ("pasword", "dns" for "dsn"), holds a credential. */
bool pw_secret_name(const char *name, size_t n);
/* The text carries a credential whatever its key is called: user:password@host, or password=... */
bool pw_secret_text(const char *text, size_t n);
/* In raw YAML: where the first value begins that a secret name or shape announces; n if there is none. */
size_t pw_secret_scan(const char *text, size_t n);

#endif
