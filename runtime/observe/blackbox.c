#include "observe/blackbox.h"

#include "base/clock.h"
#include "observe/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a reader tries for a view without tearing. A writer that died, or a page full of nonsense, never gives one. */
#define TRIES 200

#define GET(field)        atomic_load_explicit(&(field), memory_order_relaxed)
#define PUT(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

const uint64_t pw_bb_limits_us[PW_BB_BUCKETS - 1] = { 10,     50,      100,     250,     500,      1000,     2000,    3000,
                                                      5000,   7500,    10000,   15000,   25000,    50000,    100000,  250000,
                                                      500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000 };
const uint64_t pw_bb_limits_n[PW_BB_BUCKETS - 1]  = { 1,   2,   3,   5,   8,   10,   15,   20,   30,   50,   75,   100,
                                                      150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000 };

/* ---- the page ---- */

static int map(int fd, struct pw_blackbox **ret_bb, struct pw_err *err)
{
    void *p = mmap(NULL, sizeof(struct pw_blackbox), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return pw_err_sys(err, PW_D_FATAL, "map the black box");
    *ret_bb = p;
    return 0;
}

int pw_blackbox_create(struct pw_blackbox **ret_bb, int *ret_fd, struct pw_err *err)
{
    int fd = memfd_create("pawl-blackbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "make the black box");
    /* Sealed, or a worker that shortens the file would kill the supervisor with SIGBUS. */
    if (ftruncate(fd, sizeof(struct pw_blackbox)) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        (void)pw_err_sys(err, PW_D_FATAL, "size the black box");
    else if (map(fd, ret_bb, err) == 0) {
        (*ret_bb)->magic = PW_BB_MAGIC;
        *ret_fd          = fd;
        return 0;
    }
    (void)close(fd); /* the first error counts */
    return -1;
}

int pw_blackbox_attach(int fd, struct pw_blackbox **ret_bb, struct pw_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return pw_err_sys(err, PW_D_FATAL, "black box, descriptor %d", fd);
    if (st.st_size != (off_t)sizeof(struct pw_blackbox))
        return pw_err_set(err, PW_D_FATAL,
                          "descriptor %d is no black box of this version: %lld bytes, not %zu; it is made by `pawl run`", fd,
                          (long long)st.st_size, sizeof(struct pw_blackbox));
    if (map(fd, ret_bb, err) < 0)
        return -1;
    if ((*ret_bb)->magic != PW_BB_MAGIC) {
        pw_blackbox_close(*ret_bb);
        *ret_bb = NULL;
        return pw_err_set(err, PW_D_FATAL, "descriptor %d is no black box: wrong magic number", fd);
    }
    return 0;
}

void pw_blackbox_close(struct pw_blackbox *bb)
{
    if (bb)
        (void)munmap(bb, sizeof(*bb)); /* cannot fail for a mapping of ours */
}

void pw_blackbox_recycle(struct pw_blackbox *bb, const struct pw_blackbox *ledger)
{
    bb->magic = PW_BB_MAGIC;
    PUT(bb->pid, 0);
    PUT(bb->state, (uint32_t)PW_BB_EMPTY);
    PUT(bb->text_seq, 0);
    PUT(bb->alive_ns, 0);
    memset(&bb->mark, 0, sizeof(bb->mark));
    PUT(bb->layer, 0);
    memset(bb->text, 0, sizeof(bb->text));
    memset(bb->plugin, 0, sizeof(bb->plugin));
    memset(&bb->last, 0, sizeof(bb->last));
    PUT(bb->struck, 0);
    PUT(bb->state_version, 0);
    memcpy(bb->strikes, ledger->strikes, sizeof(bb->strikes));
    memcpy(bb->traces, ledger->traces, sizeof(bb->traces));
    for (size_t i = 0; i < PW_BB_PARTITIONS; i++) /* half-written ones would never be read again */
        PUT(bb->partitions[i].seq, GET(bb->partitions[i].seq) & ~1u);
}

/* ---- the sequence counters: odd while the fields change ---- */

static uint32_t write_begin(pw_bb_u32 *seq)
{
    uint32_t odd = GET(*seq) | 1u;

    PUT(*seq, odd);
    atomic_thread_fence(memory_order_release);
    return odd;
}

static void write_end(pw_bb_u32 *seq, uint32_t odd)
{
    atomic_store_explicit(seq, odd + 1, memory_order_release);
}

static uint32_t read_begin(const pw_bb_u32 *seq)
{
    return atomic_load_explicit(seq, memory_order_acquire);
}

static bool read_ok(const pw_bb_u32 *seq, uint32_t began)
{
    atomic_thread_fence(memory_order_acquire);
    return !(began & 1u) && GET(*seq) == began;
}

/* ---- mark ---- */

/* The phase goes first to idle and is last to be set: a worker killed in between has nothing in its hands yet. */
void pw_bb_mark_set(struct pw_blackbox *bb, enum pw_bb_phase phase, uint32_t topic, int32_t partition, int64_t offset,
                    int32_t attempt)
{
    struct pw_bb_mark *m   = &bb->mark;
    uint32_t           odd = write_begin(&m->seq);

    PUT(m->phase, (uint32_t)PW_BB_IDLE);
    atomic_thread_fence(memory_order_release);
    PUT(m->topic, topic);
    PUT(m->partition, partition);
    PUT(m->offset, offset);
    PUT(m->attempt, attempt);
    PUT(m->since_ns, pw_clock_coarse_ns());
    atomic_store_explicit(&m->phase, (uint32_t)phase, memory_order_release);
    write_end(&m->seq, odd);
}

void pw_bb_mark_clear(struct pw_blackbox *bb)
{
    struct pw_bb_mark *m   = &bb->mark;
    uint32_t           odd = write_begin(&m->seq);

    PUT(m->phase, (uint32_t)PW_BB_IDLE);
    PUT(m->since_ns, 0);
    write_end(&m->seq, odd);
}

uint32_t pw_bb_mark_seq(const struct pw_blackbox *bb)
{
    return GET(bb->mark.seq);
}

/* "" unless the worker has named that topic. */
static void topic_copy(const struct pw_blackbox *bb, uint32_t index, char *ret)
{
    ret[0] = 0;
    if (index < PW_BB_TOPICS && index < atomic_load_explicit(&bb->topics_n, memory_order_acquire))
        pw_text_copy(ret, PW_BB_NAME, bb->topics[index], PW_BB_NAME);
}

bool pw_bb_mark_read(const struct pw_blackbox *bb, struct pw_bb_mark_view *ret)
{
    const struct pw_bb_mark *m     = &bb->mark;
    uint32_t                 topic = 0, phase = PW_BB_IDLE, began;
    bool                     moved = false;

    for (int i = 0; i < TRIES; i++) {
        began          = read_begin(&m->seq);
        phase          = atomic_load_explicit(&m->phase, memory_order_acquire);
        topic          = GET(m->topic);
        ret->partition = GET(m->partition);
        ret->offset    = GET(m->offset);
        ret->attempt   = GET(m->attempt);
        ret->since_ns  = GET(m->since_ns);
        if (read_ok(&m->seq, began)) {
            moved = false;
            break;
        }
        moved = GET(m->seq) != began || GET(m->phase) != phase;
    }
    /* A dead worker's stands still. One that marks faster than we read has nothing in hand for long. */
    ret->phase = !moved && phase <= PW_BB_DONE ? (enum pw_bb_phase)phase : PW_BB_IDLE;
    ret->layer = GET(bb->layer);
    topic_copy(bb, topic, ret->topic);
    return ret->phase != PW_BB_IDLE;
}

/* ---- text and state ---- */

void pw_bb_text(struct pw_blackbox *bb, const char *text)
{
    uint32_t odd = write_begin(&bb->text_seq);

    pw_text_copy(bb->text, sizeof(bb->text), text, strlen(text));
    write_end(&bb->text_seq, odd);
}

void pw_bb_text_read(const struct pw_blackbox *bb, char *ret)
{
    for (int i = 0; i < TRIES; i++) {
        uint32_t began = read_begin(&bb->text_seq);

        pw_text_copy(ret, sizeof(bb->text), bb->text, sizeof(bb->text));
        if (read_ok(&bb->text_seq, began))
            break;
    }
}

enum pw_bb_state pw_bb_state_read(const struct pw_blackbox *bb)
{
    uint32_t state = GET(bb->state);

    return state <= PW_BB_FAILED ? (enum pw_bb_state)state : PW_BB_EMPTY;
}

/* ---- histograms ---- */

void pw_bb_observe(struct pw_bb_histogram *h, const uint64_t *limits, uint64_t value)
{
    size_t lo = 0, hi = PW_BB_BUCKETS - 1; /* the first limit that is not below the value */

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (limits[mid] < value)
            lo = mid + 1;
        else
            hi = mid;
    }
    pw_bb_add(&h->bucket[lo], 1);
    pw_bb_add(&h->count, 1);
    pw_bb_add(&h->sum, value);
}

/* ---- partitions ---- */

bool pw_bb_partition_read(const struct pw_blackbox *bb, uint32_t slot, struct pw_bb_partition_view *ret)
{
    const struct pw_bb_partition *p;
    uint32_t                      topic = 0, state = PW_BB_P_NONE, began;

    if (slot >= PW_BB_PARTITIONS)
        return false;
    p = &bb->partitions[slot];
    if (GET(p->state) == PW_BB_P_NONE) /* most are empty */
        return false;
    for (int i = 0; i < TRIES; i++) {
        began                = read_begin(&p->seq);
        state                = GET(p->state);
        topic                = GET(p->topic);
        ret->partition       = GET(p->partition);
        ret->next_offset     = GET(p->next_offset);
        ret->end_offset      = GET(p->end_offset);
        ret->halt_from       = GET(p->halt_from);
        ret->halt_to         = GET(p->halt_to);
        ret->writer          = GET(p->writer);
        ret->parked          = GET(p->parked);
        ret->parked_since_us = GET(p->parked_since_us);
        ret->unpublished     = GET(p->unpublished);
        ret->oldest_ms       = GET(p->oldest_ms);
        pw_text_copy(ret->reason, sizeof(ret->reason), p->reason, sizeof(p->reason));
        if (read_ok(&p->seq, began))
            break;
    }
    ret->state = state <= PW_BB_P_HALTED ? (enum pw_bb_pstate)state : PW_BB_P_NONE;
    topic_copy(bb, topic, ret->topic);
    return ret->state != PW_BB_P_NONE;
}

void pw_bb_partition_write(struct pw_blackbox *bb, uint32_t slot, const struct pw_bb_partition_view *v, uint32_t topic_index)
{
    struct pw_bb_partition *p;
    uint32_t                odd;

    if (slot >= PW_BB_PARTITIONS) /* more than the page shows */
        return;
    p   = &bb->partitions[slot];
    odd = write_begin(&p->seq);
    PUT(p->state, (uint32_t)v->state);
    PUT(p->topic, topic_index);
    PUT(p->partition, v->partition);
    PUT(p->next_offset, v->next_offset);
    PUT(p->end_offset, v->end_offset);
    PUT(p->halt_from, v->halt_from);
    PUT(p->halt_to, v->halt_to);
    PUT(p->writer, GET(bb->pid));
    PUT(p->parked, v->parked);
    PUT(p->parked_since_us, v->parked_since_us);
    PUT(p->unpublished, v->unpublished);
    PUT(p->oldest_ms, v->oldest_ms);
    pw_text_copy(p->reason, sizeof(p->reason), v->reason, sizeof(v->reason));
    write_end(&p->seq, odd);
    if (slot >= GET(bb->partitions_n))
        PUT(bb->partitions_n, slot + 1);
}

/* ---- strikes ---- */

/* Lines that may go anywhere: into PostgreSQL, a header, a terminal. */
static void copy_lines(char *to, size_t cap, const char *from, size_t n)
{
    pw_text_copy(to, cap, from, n);
    for (char *c = to; *c; c++)
        if (*c != '\n' && (*c < ' ' || *c > '~'))
            *c = '?';
}

/* Is the entry of that message? Its count if so, else 0. */
static uint32_t strike_count(const struct pw_blackbox *bb, size_t nth, const char *topic, int32_t partition, int64_t offset,
                             struct pw_bb_death *ret)
{
    const struct pw_bb_strike *st    = &bb->strikes[nth];
    uint32_t                   count = 0;

    for (int i = 0; i < TRIES; i++) {
        uint32_t began = read_begin(&st->seq);

        count = GET(st->count);
        if (count &&
            (GET(st->offset) != offset || GET(st->partition) != partition || strncmp(st->topic, topic, sizeof(st->topic)) != 0))
            count = 0;
        if (count && ret) {
            copy_lines(ret->how, sizeof(ret->how), st->how, sizeof(st->how));
            copy_lines(ret->signal, sizeof(ret->signal), st->signal, sizeof(st->signal));
            copy_lines(ret->by, sizeof(ret->by), st->by, sizeof(st->by));
            copy_lines(ret->trace, sizeof(ret->trace), bb->traces[nth], sizeof(bb->traces[nth]));
        }
        if (read_ok(&st->seq, began))
            break;
    }
    return count;
}

uint32_t pw_bb_strike_find(const struct pw_blackbox *bb, const char *topic, int32_t partition, int64_t offset,
                           struct pw_bb_death *ret)
{
    for (size_t i = 0; i < PW_BB_STRIKES; i++) {
        uint32_t count = strike_count(bb, i, topic, partition, offset, ret);

        if (count)
            return count;
    }
    if (ret)
        *ret = (struct pw_bb_death){ "", "", "", "" };
    return 0;
}

void pw_bb_log_want(struct pw_blackbox *bb, enum pw_log_level level)
{
    atomic_store_explicit(&bb->log_level, (uint32_t)level + 1, memory_order_relaxed);
}

void pw_bb_log_follow(const struct pw_blackbox *bb)
{
    uint32_t wanted = GET(bb->log_level);

    if (wanted >= 1 && wanted <= PW_LOG_ERROR + 1)
        pw_log_set_level((enum pw_log_level)(wanted - 1));
}

bool pw_bb_strikes_any(const struct pw_blackbox *bb)
{
    for (size_t i = 0; i < PW_BB_STRIKES; i++)
        if (GET(bb->strikes[i].count))
            return true;
    return false;
}

bool pw_bb_strike_at(const struct pw_blackbox *bb, size_t nth, char *topic, int32_t *ret_partition, int64_t *ret_offset)
{
    const struct pw_bb_strike *st    = &bb->strikes[nth];
    uint32_t                   count = 0;

    PW_ASSERT(nth < PW_BB_STRIKES);
    for (int i = 0; i < TRIES; i++) {
        uint32_t began = read_begin(&st->seq);

        count          = GET(st->count);
        *ret_partition = GET(st->partition);
        *ret_offset    = GET(st->offset);
        pw_text_copy(topic, PW_BB_NAME, st->topic, sizeof(st->topic));
        if (read_ok(&st->seq, began))
            break;
    }
    return count > 0;
}

/* That message's entry, else an empty one, else the oldest. */
static size_t strike_slot(const struct pw_blackbox *bb, const char *topic, int32_t partition, int64_t offset)
{
    const struct pw_bb_strike *best = &bb->strikes[0];

    for (size_t i = 0; i < PW_BB_STRIKES; i++) {
        const struct pw_bb_strike *st = &bb->strikes[i];

        if (strike_count(bb, i, topic, partition, offset, NULL))
            return i;
        if (GET(best->count) && (!GET(st->count) || GET(st->seq) < GET(best->seq)))
            best = st;
    }
    return (size_t)(best - bb->strikes);
}

void pw_bb_strike_put(struct pw_blackbox *bb, const char *topic, int32_t partition, int64_t offset, uint32_t count,
                      const struct pw_bb_death *de)
{
    size_t               nth = strike_slot(bb, topic, partition, offset);
    struct pw_bb_strike *st  = &bb->strikes[nth];
    uint32_t             top = 0;

    for (size_t i = 0; i < PW_BB_STRIKES; i++)
        top = GET(bb->strikes[i].seq) > top ? GET(bb->strikes[i].seq) : top;
    top |= 1u;
    PUT(st->seq, top);
    atomic_thread_fence(memory_order_release);
    PUT(st->count, count);
    PUT(st->partition, partition);
    PUT(st->offset, offset);
    pw_text_copy(st->topic, sizeof(st->topic), topic, strlen(topic));
    pw_text_copy(st->how, sizeof(st->how), de->how, sizeof(de->how));
    pw_text_copy(st->signal, sizeof(st->signal), de->signal, sizeof(de->signal));
    pw_text_copy(st->by, sizeof(st->by), de->by, sizeof(de->by));
    pw_text_copy(bb->traces[nth], sizeof(bb->traces[nth]), de->trace, sizeof(de->trace));
    write_end(&st->seq, top);
}

/* ---- last words of a signal ---- */

void pw_bb_last_read(const struct pw_blackbox *bb, int signal, char ret[PW_BB_TRACE])
{
    ret[0] = 0;
    if (GET(bb->last.signal) != signal)
        return;
    copy_lines(ret, PW_BB_TRACE, bb->last.trace, sizeof(bb->last.trace));
}

/* ---- differences of a candidate ---- */

void pw_bb_difference_put(struct pw_blackbox *bb, const struct pw_bb_difference *df)
{
    struct pw_bb_difference *to   = &bb->differences[0];
    uint32_t                 most = 0, odd;

    for (size_t i = 0; i < PW_BB_DIFFERENCES; i++) {
        uint32_t writings = GET(bb->differences[i].writings);

        most = writings > most ? writings : most;
        if (writings < GET(to->writings))
            to = &bb->differences[i];
    }
    odd = write_begin(&to->seq);
    PUT(to->writings, most + 1);
    PUT(to->partition, GET(df->partition));
    PUT(to->offset, GET(df->offset));
    PUT(to->at_us, GET(df->at_us));
    memcpy(to->topic, df->topic, sizeof(to->topic));
    memcpy(to->text, df->text, sizeof(to->text));
    memcpy(to->recording, df->recording, sizeof(to->recording));
    write_end(&to->seq, odd);
}

/* How many entries are newer. */
static size_t newer(const struct pw_blackbox *bb, size_t i)
{
    size_t n = 0;

    for (size_t k = 0; k < PW_BB_DIFFERENCES; k++)
        n += GET(bb->differences[k].writings) > GET(bb->differences[i].writings);
    return n;
}

bool pw_bb_difference_read(const struct pw_blackbox *bb, size_t nth, struct pw_bb_difference *ret)
{
    for (size_t i = 0; i < PW_BB_DIFFERENCES; i++) {
        const struct pw_bb_difference *df = &bb->differences[i];
        uint32_t                       began;

        if (!GET(df->writings) || newer(bb, i) != nth)
            continue;
        began = read_begin(&df->seq);
        PUT(ret->partition, GET(df->partition));
        PUT(ret->offset, GET(df->offset));
        PUT(ret->at_us, GET(df->at_us));
        pw_text_copy(ret->topic, sizeof(ret->topic), df->topic, sizeof(df->topic));
        pw_text_copy(ret->text, sizeof(ret->text), df->text, sizeof(df->text));
        pw_text_copy(ret->recording, sizeof(ret->recording), df->recording, sizeof(df->recording));
        return read_ok(&df->seq, began); /* else it is being written, or its writer died of it */
    }
    return false;
}

void pw_bb_shadow_clear(struct pw_blackbox *bb)
{
    PUT(bb->shadow_same, 0);
    PUT(bb->shadow_differs, 0);
    PUT(bb->shadow_unknown, 0);
    memset(bb->differences, 0, sizeof(bb->differences));
}
