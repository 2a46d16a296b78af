/* tls: the server's side of TLS: certificate, clients' CA, reload. TLS 1.2 at least, HTTP/2 only. */
#ifndef GW_TLS_H
#define GW_TLS_H

#include "base/err.h"

#include <openssl/ssl.h>
#include <stddef.h>

struct gw_tls_settings {
    const char *certificate, *key; /* PEM files; the certificate with its chain */
    const char *client_ca;         /* PEM file; NULL: clients need no certificate */
};

/* A new context from the files as they are now. Connections keep the one they began with. If it fails, *ret_key is the key of
 * the configuration that names the file: "certificate", "key" or "client_ca". */
int gw_tls_load(const struct gw_tls_settings *se, SSL_CTX **ret, const char **ret_key, struct pw_err *err) PW_MUST_CHECK;
/* Who the client is, by its verified certificate: the first URI of its alternative names, else the first DNS name, else the
 * common name of its subject; "" without a certificate, or when the name does not fit or holds a NUL. */
void gw_tls_identity(SSL *ssl, char *ret, size_t cap);

#endif
