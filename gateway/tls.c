#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Why OpenSSL could not use a file; of files that cannot be read it only says "system lib". */
static int fail(struct pw_err *err, const char *what, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char   *why  = ERR_reason_error_string(code);
    struct stat   st;

    if (stat(file, &st) < 0 || access(file, R_OK) < 0)
        return pw_err_set(err, PW_D_FATAL, "cannot read %s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return pw_err_set(err, PW_D_FATAL, "%s is not a file", file);
    if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
        why = "nothing of the kind in it";
    return pw_err_set(err, PW_D_FATAL, "%s holds no %s in PEM format that can be used: %s", file, what,
                      why ? why : "OpenSSL does not say why");
}

/* Nobody sits before a service who could be asked for a password. */
static int no_password(char *buf, int cap, int writing, void *arg)
{
    (void)buf;
    (void)cap;
    (void)writing;
    (void)arg;
    return -1;
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n,
                     void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned i = 0; i < in_n; i += 1u + in[i])
        if (in[i] == 2 && i + 2 < in_n && memcmp(&in[i + 1], "h2", 2) == 0) {
            *out   = &in[i + 1];
            *out_n = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A good key, but of another certificate: the check after it says so, too, also when it is of another kind. */
static bool is_other_key(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH;
}

static int fill(SSL_CTX *ctx, const struct gw_tls_settings *se, const char **ret_key, struct pw_err *err)
{
    *ret_key = "certificate";
    if (SSL_CTX_use_certificate_chain_file(ctx, se->certificate) != 1)
        return fail(err, "certificate", se->certificate);
    *ret_key = "key";
    if (SSL_CTX_use_PrivateKey_file(ctx, se->key, SSL_FILETYPE_PEM) != 1 && !is_other_key())
        return fail(err, "private key without a password", se->key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return pw_err_set(err, PW_D_FATAL, "%s is not the key of the certificate %s", se->key, se->certificate);
    *ret_key = "client_ca";
    if (!se->client_ca)
        return 0;
    if (SSL_CTX_load_verify_locations(ctx, se->client_ca, NULL) != 1)
        return fail(err, "certificate", se->client_ca);
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(se->client_ca));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

int gw_tls_load(const struct gw_tls_settings *se, SSL_CTX **ret, const char **ret_key, struct pw_err *err)
{
    static const unsigned char session_id[] = "pawl-gateway";
    SSL_CTX                   *ctx;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    PW_ASSERT(ctx != NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* RFC 9113 section 9.2.2: the other suites of TLS 1.2 are on its list of bad ones */
    (void)SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    (void)SSL_CTX_set_session_id_context(ctx, session_id, sizeof(session_id) - 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
    if (fill(ctx, se, ret_key, err) < 0) {
        SSL_CTX_free(ctx);
        return -1;
    }
    *ret = ctx;
    return 0;
}

static void copy_name(const ASN1_STRING *name, char *ret, size_t cap)
{
    const char *p = (const char *)ASN1_STRING_get0_data(name);
    int         n = ASN1_STRING_length(name);

    if (n > 0 && (size_t)n < cap && !memchr(p, 0, (size_t)n)) {
        memcpy(ret, p, (size_t)n);
        ret[n] = 0;
    }
}

static void alternative_name(X509 *cert, int type, char *ret, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && !ret[0]; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == type)
            copy_name(name->d.ia5, ret, cap);
    }
    GENERAL_NAMES_free(names);
}

void gw_tls_identity(SSL *ssl, char *ret, size_t cap)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    int   at;

    ret[0] = 0;
    if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
        return;
    alternative_name(cert, GEN_URI, ret, cap);
    if (!ret[0])
        alternative_name(cert, GEN_DNS, ret, cap);
    if (ret[0])
        return;
    at = X509_NAME_get_index_by_NID(X509_get_subject_name(cert), NID_commonName, -1);
    if (at >= 0)
        copy_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(cert), at)), ret, cap);
}
