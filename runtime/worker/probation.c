/* A new version on probation: rejections beyond what is allowed are not committed. Whoever goes on then decides about them. */
#include "worker/internal.h"

#include <stdio.h>

#define MILLION UINT64_C(1000000)

static bool is_rejected(const struct pw_item *it)
{
    return it->verdict == PAWL_REJECT && !it->parked && !it->duplicate;
}

static uint64_t rejected_in(const struct pw_batch *ba, const struct pw_item **ret_first)
{
    uint64_t n = 0;

    *ret_first = NULL;
    for (size_t i = 0; i < ba->n; i++)
        if (is_rejected(ba->items[i])) {
            *ret_first = n ? *ret_first : ba->items[i];
            n++;
        }
    return n;
}

bool pw_probation_allows(const struct pw_worker *w, const struct pw_batch *ba, struct pw_err *err)
{
    const struct pw_item *first;
    uint64_t              rejected = w->probation.rejected + rejected_in(ba, &first), done = w->probation.done + ba->n;
    uint64_t              allowed = w->args->rejects + done * w->args->reject_share / MILLION;

    if (!first || rejected <= allowed)
        return true;
    (void)pw_err_set(err, PW_D_FATAL, "%llu of %llu messages would be rejected, %llu may be; one is %s[%d]@%lld: %s: %.80s",
                     (unsigned long long)rejected, (unsigned long long)done, (unsigned long long)allowed, first->msg.topic.p,
                     first->msg.partition, (long long)first->msg.offset, first->code ? first->code : "rejected",
                     first->detail ? first->detail : "no reason given");
    return false;
}

void pw_probation_count(struct pw_worker *w, const struct pw_batch *ba)
{
    const struct pw_item *first;

    if (!w->probation.on)
        return;
    w->probation.done += ba->n;
    w->probation.rejected += rejected_in(ba, &first);
}
