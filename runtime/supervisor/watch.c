#include "supervisor/watch.h"

#define NS_PER_MS INT64_C(1000000)

/* How long the call in the mark has been going on. The page's own time counts if it is possible; a mark that has not moved
 * since we saw it first has been there at least that long. */
static int64_t call_age_ns(const struct pw_watch *wa, const struct pw_bb_mark_view *v, int64_t now_ns)
{
    int64_t seen = now_ns - wa->mark_seen_ns;

    if (v->since_ns < wa->began_ns || v->since_ns > now_ns)
        return seen;
    return now_ns - v->since_ns > seen ? now_ns - v->since_ns : seen;
}

static enum pw_watch_act abort_for(struct pw_watch *wa, enum pw_watch_why why, int64_t now_ns)
{
    wa->why      = why;
    wa->abort_ns = now_ns;
    return PW_WATCH_ABORT;
}

static enum pw_watch_act look_at_loop(struct pw_watch *wa, int64_t now_ns)
{
    int64_t age_ns = now_ns - wa->alive_seen_ns;

    if (age_ns > PW_WATCH_KILL_MS * NS_PER_MS) {
        wa->why = PW_WATCH_LOOP;
        return PW_WATCH_KILL;
    }
    if (age_ns > PW_WATCH_STUCK_MS * NS_PER_MS && !wa->warned) {
        wa->warned = true;
        return PW_WATCH_WARN;
    }
    return PW_WATCH_FINE;
}

enum pw_watch_act pw_watch_look(struct pw_watch *wa, const struct pw_blackbox *bb, uint32_t handler_timeout_ms, int64_t now_ns)
{
    int64_t                alive = atomic_load_explicit(&bb->alive_ns, memory_order_relaxed);
    uint32_t               seq   = pw_bb_mark_seq(bb);
    struct pw_bb_mark_view v;

    if (wa->mark_seen_ns == 0 || seq != wa->mark_seq) {
        wa->mark_seq     = seq;
        wa->mark_seen_ns = now_ns;
    }
    if (wa->alive_seen_ns == 0 || alive != wa->alive_ns) {
        wa->alive_ns      = alive;
        wa->alive_seen_ns = now_ns;
        wa->warned        = false;
    }
    if (wa->abort_ns)
        return now_ns - wa->abort_ns > PW_WATCH_GRACE_MS * NS_PER_MS ? PW_WATCH_KILL : PW_WATCH_FINE;
    if (!pw_bb_mark_read(bb, &v))
        return look_at_loop(wa, now_ns);
    wa->alive_seen_ns = now_ns; /* the loop cannot turn while the plugin has the thread */
    if (v.phase == PW_BB_CREATE)
        return call_age_ns(wa, &v, now_ns) > PW_WATCH_CREATE_MS * NS_PER_MS ? abort_for(wa, PW_WATCH_CREATE, now_ns) :
                                                                              PW_WATCH_FINE;
    return call_age_ns(wa, &v, now_ns) > handler_timeout_ms * NS_PER_MS ? abort_for(wa, PW_WATCH_HANDLER, now_ns) :
                                                                          PW_WATCH_FINE;
}
