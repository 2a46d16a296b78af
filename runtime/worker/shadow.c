/* What a candidate is given to be compared: samples of what was committed. Nothing here waits, and nothing here fails. */
#include "plugin/desk.h"
#include "worker/internal.h"
#include "worker/sample.h"

#include <sys/socket.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define WHOLE 100000u /* thousandths of a percent */

struct pw_shadow {
    int           fd;
    uint32_t      share;
    uint64_t     *hashes; /* of the plugin's statements */
    struct pw_buf buf;
};

void pw_worker_shadow_open(struct pw_worker *w)
{
    struct pw_shadow *sh;

    if (w->args->shadow_fd < 0 || !w->pipe->shadow_path)
        return;
    sh         = pw_arena_alloc(w->life, sizeof(*sh));
    sh->fd     = w->args->shadow_fd;
    sh->share  = w->pipe->shadow_sample;
    sh->hashes = pw_arena_array(w->life, w->plugin->n_stmts, sizeof(*sh->hashes));
    for (uint32_t s = 0; s < w->plugin->n_stmts; s++)
        sh->hashes[s] = pw_desk_stmt_hash(&w->plugin->stmts[s]);
    w->shadow = sh;
}

/* All messages of a key, or none: so that what a candidate is given does not depend on who has the partition. */
static bool is_chosen(const struct pw_shadow *sh, const struct pw_item *it)
{
    uint64_t hash = it->key_hash;

    if (!hash)
        hash = XXH3_64bits_withSeed(&it->msg.offset, sizeof(it->msg.offset), (uint64_t)it->msg.partition);
    return hash % WHOLE < sh->share;
}

/* Did the plugin decide, and is it done? */
static bool is_the_plugins(const struct pw_item *it)
{
    return it->done && !it->by && !it->forced && !it->crashed && !it->duplicate && !it->parked && !it->behind && !it->foreign;
}

void pw_worker_shadow_batch(struct pw_worker *w, const struct pw_batch *ba)
{
    struct pw_shadow *sh = w->shadow;

    for (size_t i = 0; sh && i < ba->n; i++) {
        const struct pw_item *it = ba->items[i];

        if (!is_the_plugins(it) || !is_chosen(sh, it))
            continue;
        pw_bb_add(&w->bb->shadow_samples, 1);
        if (!pw_sample_put(&ba->calls, it, sh->hashes, &sh->buf) ||
            send(sh->fd, sh->buf.p, sh->buf.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) /* the queue is full, or it is too large */
            pw_bb_add(&w->bb->shadow_dropped, 1);
    }
}
