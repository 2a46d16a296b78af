#include "observe/blackbox.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pw_blackbox *page(void)
{
    struct pw_blackbox *bb;
    struct pw_err       err;
    int                 fd;

    cr_assert_eq(pw_blackbox_create(&bb, &fd, &err), 0);
    strcpy(bb->topics[0], "auto.events");
    strcpy(bb->topics[1], "other");
    atomic_store(&bb->topics_n, 2);
    (void)close(fd);
    return bb;
}

/* ---- the page ---- */

Test(blackbox, a_worker_follows_the_level_in_its_page_and_no_nonsense)
{
    struct pw_blackbox *bb;
    struct pw_err       err;
    int                 fd;

    cr_assert_eq(pw_blackbox_create(&bb, &fd, &err), 0);
    pw_log_set_level(PW_LOG_WARN);
    pw_bb_log_follow(bb);
    cr_assert_eq(pw_log_level(), PW_LOG_WARN, "nothing is wanted");
    pw_bb_log_want(bb, PW_LOG_DEBUG);
    pw_bb_log_follow(bb);
    cr_assert_eq(pw_log_level(), PW_LOG_DEBUG);
    pw_bb_log_want(bb, PW_LOG_ERROR);
    pw_bb_log_follow(bb);
    cr_assert_eq(pw_log_level(), PW_LOG_ERROR);
    atomic_store(&bb->log_level, 77);
    pw_bb_log_follow(bb);
    cr_assert_eq(pw_log_level(), PW_LOG_ERROR);
    pw_blackbox_close(bb);
    (void)close(fd);
}

Test(blackbox, another_process_sees_what_was_written_before_a_crash)
{
    struct pw_blackbox    *bb, *theirs;
    struct pw_bb_mark_view v;
    struct pw_err          err;
    int                    fd, status;
    pid_t                  pid;

    cr_assert_eq(pw_blackbox_create(&bb, &fd, &err), 0);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    pid = fork();
    if (pid == 0) {
        if (pw_blackbox_attach(fd, &theirs, &err) < 0)
            _exit(1);
        strcpy(theirs->topics[0], "auto.events");
        atomic_store(&theirs->topics_n, 1);
        pw_bb_mark_set(theirs, PW_BB_HANDLE, 0, 3, 18211, 2);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    cr_assert(pw_bb_mark_read(bb, &v));
    cr_assert_eq(v.phase, PW_BB_HANDLE);
    cr_assert_str_eq(v.topic, "auto.events");
    cr_assert(v.partition == 3 && v.offset == 18211 && v.attempt == 2 && v.since_ns > 0);
}

Test(blackbox, a_worker_cannot_shorten_the_page_under_the_supervisor)
{
    struct pw_blackbox *bb;
    struct pw_err       err;
    int                 fd;

    cr_assert_eq(pw_blackbox_create(&bb, &fd, &err), 0);
    cr_assert_eq(ftruncate(fd, 0), -1);
    cr_assert_eq(ftruncate(fd, 1 << 24), -1);
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1, "nor make it read-only");
    bb->text[0] = 'x'; /* still there */
}

Test(blackbox, anything_else_than_a_page_is_refused)
{
    struct pw_blackbox *bb;
    struct pw_err       err;
    int                 fd = memfd_create("x", 0);

    cr_assert_eq(pw_blackbox_attach(fd, &bb, &err), -1);
    cr_assert(strstr(err.text, "0 bytes"), "%s", err.text);
    cr_assert_eq(ftruncate(fd, sizeof(*bb)), 0);
    cr_assert_eq(pw_blackbox_attach(fd, &bb, &err), -1);
    cr_assert(strstr(err.text, "magic"), "%s", err.text);
    cr_assert_eq(ftruncate(fd, sizeof(*bb) + 1), 0);
    cr_assert_eq(pw_blackbox_attach(fd, &bb, &err), -1);
    cr_assert_eq(pw_blackbox_attach(9999, &bb, &err), -1);
}

/* ---- mark ---- */

Test(blackbox, a_cleared_mark_says_nothing_in_hand)
{
    struct pw_blackbox    *bb = page();
    struct pw_bb_mark_view v;

    cr_assert_not(pw_bb_mark_read(bb, &v));
    pw_bb_mark_set(bb, PW_BB_PLAN, 1, 0, 0, 1);
    cr_assert(pw_bb_mark_read(bb, &v));
    cr_assert_str_eq(v.topic, "other");
    pw_bb_mark_clear(bb);
    cr_assert_not(pw_bb_mark_read(bb, &v));
}

/* Two states whose fields belong together; a reader must never see a mixture. */
static void *write_marks(void *arg)
{
    struct pw_blackbox *bb = arg;

    for (int i = 0; i < 300000; i++) {
        pw_bb_mark_set(bb, PW_BB_HANDLE, 0, 1, 1001, 11);
        pw_bb_mark_set(bb, PW_BB_PLAN, 1, 2, 2002, 22);
    }
    return NULL;
}

Test(blackbox, a_reader_never_sees_half_of_two_marks)
{
    struct pw_blackbox *bb = page();
    pthread_t           th;
    int                 seen[2] = { 0, 0 };

    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, 1, 1001, 11);
    cr_assert_eq(pthread_create(&th, NULL, write_marks, bb), 0);
    for (int i = 0; i < 100000; i++) {
        struct pw_bb_mark_view v;

        if (!pw_bb_mark_read(bb, &v))
            continue;
        if (v.phase == PW_BB_HANDLE)
            cr_assert(v.partition == 1 && v.offset == 1001 && v.attempt == 11);
        else
            cr_assert(v.partition == 2 && v.offset == 2002 && v.attempt == 22);
        seen[v.phase == PW_BB_PLAN]++;
    }
    cr_assert_eq(pthread_join(th, NULL), 0);
    cr_assert_gt(seen[0] + seen[1], 0);
}

Test(blackbox, a_worker_killed_while_writing_its_mark_has_nothing_in_hand)
{
    struct pw_blackbox    *bb = page();
    struct pw_bb_mark_view v;

    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, 1, 1001, 1);
    atomic_store(&bb->mark.seq, atomic_load(&bb->mark.seq) + 1); /* as pw_bb_mark_set begins */
    atomic_store(&bb->mark.phase, PW_BB_IDLE);
    atomic_store(&bb->mark.offset, 2002);
    cr_assert_not(pw_bb_mark_read(bb, &v));
    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, 1, 3003, 1); /* the next worker finds an odd counter */
    cr_assert(pw_bb_mark_read(bb, &v));
    cr_assert_eq(v.offset, 3003);
    cr_assert_eq(atomic_load(&bb->mark.seq) % 2, 0);
}

Test(blackbox, a_half_written_mark_is_read_as_it_stands)
{
    struct pw_blackbox    *bb = page();
    struct pw_bb_mark_view v;

    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, 1, 1001, 1);
    atomic_store(&bb->mark.seq, 7); /* the plugin scribbled over the counter, then crashed */
    cr_assert(pw_bb_mark_read(bb, &v));
    cr_assert_eq(v.offset, 1001);
}

Test(blackbox, indices_and_strings_of_a_hostile_page_are_bounded)
{
    struct pw_blackbox         *bb = page();
    struct pw_bb_mark_view      m;
    struct pw_bb_partition_view p;
    char                        text[sizeof(bb->text)];

    memset((char *)bb + sizeof(bb->magic), 0xff, sizeof(*bb) - sizeof(bb->magic));
    cr_assert_not(pw_bb_mark_read(bb, &m), "a phase that does not exist");
    cr_assert_eq(pw_bb_state_read(bb), PW_BB_EMPTY);
    atomic_store(&bb->mark.phase, PW_BB_HANDLE);
    cr_assert(pw_bb_mark_read(bb, &m));
    cr_assert_str_eq(m.topic, "", "topic number 2^32 - 1");
    atomic_store(&bb->mark.topic, PW_BB_TOPICS - 1);
    cr_assert(pw_bb_mark_read(bb, &m));
    cr_assert_eq(strlen(m.topic), PW_BB_NAME - 1, "no NUL in it");
    atomic_store(&bb->mark.topic, PW_BB_TOPICS);
    cr_assert(pw_bb_mark_read(bb, &m));
    cr_assert_str_eq(m.topic, "");
    for (uint32_t i = 0; i < PW_BB_PARTITIONS; i++)
        cr_assert_not(pw_bb_partition_read(bb, i, &p));
    atomic_store(&bb->partitions[5].state, PW_BB_P_HALTED);
    cr_assert(pw_bb_partition_read(bb, 5, &p));
    cr_assert_eq(strlen(p.reason), sizeof(p.reason) - 1);
    cr_assert_not(pw_bb_partition_read(bb, PW_BB_PARTITIONS, &p));
    pw_bb_text_read(bb, text);
    cr_assert_eq(strlen(text), sizeof(text) - 1);
}

/* ---- partitions ---- */

Test(blackbox, partitions_are_read_back_with_their_writer)
{
    struct pw_blackbox         *bb = page();
    struct pw_bb_partition_view v  = { .state       = PW_BB_P_HALTED,
                                       .partition   = 7,
                                       .next_offset = 10,
                                       .end_offset  = -1,
                                       .halt_from   = 3,
                                       .halt_to     = 9 },
                                r;

    atomic_store(&bb->pid, 4711);
    strcpy(v.reason, "gone");
    pw_bb_partition_write(bb, PW_BB_PARTITIONS - 1, &v, 1);
    pw_bb_partition_write(bb, PW_BB_PARTITIONS, &v, 1); /* one more than there are: ignored */
    cr_assert(pw_bb_partition_read(bb, PW_BB_PARTITIONS - 1, &r));
    cr_assert_str_eq(r.topic, "other");
    cr_assert_str_eq(r.reason, "gone");
    cr_assert(r.state == PW_BB_P_HALTED && r.partition == 7 && r.next_offset == 10 && r.end_offset == -1 && r.halt_from == 3 &&
              r.halt_to == 9);
    cr_assert_eq(r.writer, 4711);
    cr_assert_eq(atomic_load(&bb->partitions_n), PW_BB_PARTITIONS);
    v.state = PW_BB_P_NONE;
    pw_bb_partition_write(bb, PW_BB_PARTITIONS - 1, &v, 1);
    cr_assert_not(pw_bb_partition_read(bb, PW_BB_PARTITIONS - 1, &r));
}

/* ---- histograms ---- */

Test(blackbox, a_value_goes_into_the_first_bucket_whose_limit_it_does_not_exceed)
{
    static struct pw_bb_histogram h;
    uint64_t                      last = pw_bb_limits_n[PW_BB_BUCKETS - 2];

    pw_bb_observe(&h, pw_bb_limits_n, 0);
    pw_bb_observe(&h, pw_bb_limits_n, 1);
    pw_bb_observe(&h, pw_bb_limits_n, 2);
    pw_bb_observe(&h, pw_bb_limits_n, last);
    pw_bb_observe(&h, pw_bb_limits_n, last + 1);
    cr_assert_eq(h.bucket[0], 2);
    cr_assert_eq(h.bucket[1], 1);
    cr_assert_eq(h.bucket[PW_BB_BUCKETS - 2], 1);
    cr_assert_eq(h.bucket[PW_BB_BUCKETS - 1], 1);
    cr_assert_eq(h.count, 5);
    cr_assert_eq(h.sum, 3 + 2 * last + 1);
}

Test(blackbox, limits_ascend)
{
    for (size_t i = 1; i < PW_BB_BUCKETS - 1; i++) {
        cr_assert_gt(pw_bb_limits_us[i], pw_bb_limits_us[i - 1]);
        cr_assert_gt(pw_bb_limits_n[i], pw_bb_limits_n[i - 1]);
    }
}

/* ---- strikes ---- */

static uint32_t strike(struct pw_blackbox *bb, const char *topic, int32_t partition, int64_t offset, const char *how)
{
    struct pw_bb_death de    = { "", "SIGBUS", "ledger.so+0x10 handle+0x4\n", "org.example.check/1.0.0" };
    uint32_t           count = pw_bb_strike_find(bb, topic, partition, offset, NULL) + 1;

    (void)snprintf(de.how, sizeof(de.how), "%s", how);
    pw_bb_strike_put(bb, topic, partition, offset, count, &de);
    return count;
}

Test(blackbox, strikes_count_per_message)
{
    struct pw_blackbox *bb = page();
    struct pw_bb_death  de;

    cr_assert_not(pw_bb_strikes_any(bb));
    cr_assert_eq(pw_bb_strike_find(bb, "t", 1, 5, &de), 0);
    cr_assert_str_eq(de.how, "");
    cr_assert_str_eq(de.trace, "");
    cr_assert_eq(strike(bb, "t", 1, 5, "SIGSEGV"), 1);
    cr_assert_eq(strike(bb, "t", 1, 5, "exit 0"), 2);
    cr_assert_eq(strike(bb, "t", 2, 5, "SIGBUS"), 1);
    cr_assert(pw_bb_strikes_any(bb));
    cr_assert_eq(pw_bb_strike_find(bb, "t", 1, 5, &de), 2);
    cr_assert_str_eq(de.how, "exit 0");
    cr_assert_str_eq(de.signal, "SIGBUS");
    cr_assert_str_eq(de.trace, "ledger.so+0x10 handle+0x4\n");
    cr_assert_eq(pw_bb_strike_find(bb, "t", 1, 6, NULL), 0);
    cr_assert_eq(pw_bb_strike_find(bb, "u", 1, 5, NULL), 0);
}

Test(blackbox, a_full_table_of_strikes_forgets_the_oldest)
{
    struct pw_blackbox *bb = page();

    for (int64_t i = 0; i < PW_BB_STRIKES; i++)
        cr_assert_eq(strike(bb, "t", 0, i, "SIGSEGV"), 1);
    for (int64_t i = 0; i < PW_BB_STRIKES; i++)
        cr_assert_eq(pw_bb_strike_find(bb, "t", 0, i, NULL), 1, "the table is full, nothing is lost");
    cr_assert_eq(strike(bb, "t", 0, 0, "SIGSEGV"), 2); /* now the youngest */
    cr_assert_eq(strike(bb, "t", 0, 1000, "SIGSEGV"), 1);
    cr_assert_eq(pw_bb_strike_find(bb, "t", 0, 1, NULL), 0);
    cr_assert_eq(pw_bb_strike_find(bb, "t", 0, 0, NULL), 2);
    cr_assert_eq(pw_bb_strike_find(bb, "t", 0, 2, NULL), 1);
    cr_assert_eq(pw_bb_strike_find(bb, "t", 0, 1000, NULL), 1);
}

Test(blackbox, long_names_are_cut_and_found_again_only_if_they_fit)
{
    struct pw_blackbox *bb = page();
    char                name[PW_BB_NAME];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    cr_assert_eq(strike(bb, name, 0, 1, "a reason that is longer than the sixty-four bytes that there are for it"), 1);
    cr_assert_eq(pw_bb_strike_find(bb, name, 0, 1, NULL), 1);
}

Test(blackbox, recycling_repairs_the_page_and_keeps_counters_and_strikes)
{
    struct pw_blackbox         *bb = page(), *ledger = page();
    struct pw_bb_partition_view v = { .state = PW_BB_P_RUNNING, .next_offset = 8, .end_offset = 9 };
    struct pw_bb_mark_view      m;
    char                        text[sizeof(bb->text)];

    pw_bb_partition_write(bb, 0, &v, 0);
    pw_bb_add(&bb->events_ok, 12);
    (void)strike(ledger, "t", 0, 7, "SIGSEGV");
    memset(bb->strikes, 0xff, sizeof(bb->strikes));
    bb->magic = 1;
    pw_bb_text(bb, "last words");
    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, 0, 7, 1);
    atomic_store(&bb->state, PW_BB_RUNNING);
    atomic_store(&bb->pid, 9);
    pw_blackbox_recycle(bb, ledger);
    cr_assert_eq(bb->magic, PW_BB_MAGIC);
    cr_assert_eq(bb->events_ok, 12);
    cr_assert_eq(pw_bb_strike_find(bb, "t", 0, 7, NULL), 1);
    cr_assert_not(pw_bb_mark_read(bb, &m));
    pw_bb_text_read(bb, text);
    cr_assert_str_eq(text, "");
    cr_assert_eq(bb->pid, 0);
    cr_assert_eq(pw_bb_state_read(bb), PW_BB_EMPTY);
    cr_assert(pw_bb_partition_read(bb, 0, &v), "the last known position stays visible");
}

Test(blackbox, the_last_differences_of_a_candidate_are_kept_newest_first)
{
    struct pw_blackbox     *bb = page();
    struct pw_bb_difference df = { .topic = "t" }, got;

    cr_assert_not(pw_bb_difference_read(bb, 0, &got));
    for (int64_t i = 0; i < PW_BB_DIFFERENCES + 3; i++) {
        atomic_store(&df.offset, i);
        (void)snprintf(df.text, sizeof(df.text), "line\n%d", (int)i);
        pw_bb_difference_put(bb, &df);
    }
    for (size_t i = 0; i < PW_BB_DIFFERENCES; i++) {
        cr_assert(pw_bb_difference_read(bb, i, &got));
        cr_assert_eq(got.offset, (int64_t)(PW_BB_DIFFERENCES + 2 - i));
    }
    cr_assert_str_eq(got.text, "line\n3");
    cr_assert_not(pw_bb_difference_read(bb, PW_BB_DIFFERENCES, &got));
    memset(bb->differences[0].text, 'x', sizeof(bb->differences[0].text) + sizeof(bb->differences[0].recording)); /* no end */
    for (size_t i = 0; i < PW_BB_DIFFERENCES; i++) {
        cr_assert(pw_bb_difference_read(bb, i, &got));
        cr_assert(strlen(got.text) < sizeof(got.text) && strlen(got.recording) < sizeof(got.recording));
    }
    atomic_store(&bb->differences[1].seq, 7); /* its writer has died of it */
    cr_assert_eq(pw_bb_difference_read(bb, 6, &got) + pw_bb_difference_read(bb, 0, &got) + pw_bb_difference_read(bb, 1, &got) +
                     pw_bb_difference_read(bb, 2, &got) + pw_bb_difference_read(bb, 3, &got) +
                     pw_bb_difference_read(bb, 4, &got) + pw_bb_difference_read(bb, 5, &got) +
                     pw_bb_difference_read(bb, 7, &got),
                 PW_BB_DIFFERENCES - 1);
    pw_bb_shadow_clear(bb);
    cr_assert_not(pw_bb_difference_read(bb, 0, &got));
}
