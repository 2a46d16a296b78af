#include "writer.h"

#include <string.h>

#define WRITE_BYTES 32768

/* The next bytes of the session, of as many frames as fit: an answer is three frames, and a packet each would cost more than all the
 * rest of it. Returns how many, or -1 if the session is beyond help. */
static ssize_t gather(struct gw_conn *cn, uint8_t *block, size_t room)
{
    size_t n = 0;

    while (n < room) {
        size_t k;

        if (cn->chunk_n == 0) {
            ssize_t got = nghttp2_session_mem_send(cn->session, &cn->chunk);

            if (got < 0)
                return -1;
            if (got == 0)
                break;
            cn->chunk_n = (size_t)got;
        }
        k = cn->chunk_n < room - n ? cn->chunk_n : room - n;
        memcpy(block + n, cn->chunk, k);
        cn->chunk += k;
        cn->chunk_n -= k;
        n += k;
    }
    return (ssize_t)n;
}

/* Writes as much as the socket takes. Returns false if it is broken. */
static bool put(struct gw_conn *cn, const uint8_t *p, size_t n, size_t *ret_put)
{
    *ret_put = 0;
    while (*ret_put < n) {
        ssize_t k = gw_link_write(&cn->link, p + *ret_put, n - *ret_put);

        if (k == GW_LINK_AGAIN)
            break;
        cn->broken = k <= 0;
        if (cn->broken)
            return false;
        *ret_put += (size_t)k;
    }
    cn->h2->co.bytes_out += *ret_put;
    return true;
}

bool gw_writer_run(struct gw_conn *cn)
{
    static uint8_t block[WRITE_BYTES]; /* one thread */
    size_t         done;
    ssize_t        n;

    if (cn->unwritten.n) {
        if (!put(cn, (const uint8_t *)cn->unwritten.p, cn->unwritten.n, &done))
            return false;
        cn->unwritten.n -= done;
        memmove(cn->unwritten.p, cn->unwritten.p + done, cn->unwritten.n);
        if (cn->unwritten.n)
            return true;
        pw_buf_done(&cn->unwritten);
    }
    while ((n = gather(cn, block, sizeof(block))) > 0) {
        if (!put(cn, block, (size_t)n, &done))
            return false;
        if (done < (size_t)n) {
            pw_buf_add(&cn->unwritten, block + done, (size_t)n - done);
            return true;
        }
    }
    return n == 0 && !cn->ending && (nghttp2_session_want_read(cn->session) || nghttp2_session_want_write(cn->session));
}
