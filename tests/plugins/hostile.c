/* hostile: what a bad plugin does, one command each. Some break the process, some break the contract. */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is(const struct order *o, const char *command)
{
    return strcmp(o->command, command) == 0;
}

/* Each frame is touched, so the compiler cannot make a loop of it. */
static int eat_stack(volatile char *from, long depth)
{
    volatile char frame[4096];

    frame[0]    = from ? from[0] : 1;
    frame[4095] = (char)depth;
    return depth == 0 ? frame[0] : eat_stack(frame, depth - 1) + frame[4095];
}

static pawl_rc write_state(pawl_ctx *c, const pawl_msg *m, uint32_t stmt, size_t n)
{
    pawl_value args[3] = { pawl_text(m->key), pawl_i64(1), pawl_i64(1) };

    return c->host->write(c, stmt, args, n);
}

pawl_rc hostile_plan(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    pawl_value key = pawl_text(m->key);

    if (is(o, "plan_writes"))
        return write_state(c, m, SAVE_STATE, 3);
    if (is(o, "plan_emits")) {
        pawl_out out = { .size = sizeof(out), .key = m->key, .value = m->value };

        return c->host->emit(c, &out);
    }
    if (is(o, "plan_asks_cells")) { /* nothing has been fetched yet */
        pawl_value v;

        return (void)c->host->cell(c, FIND_STATE, 0, 0, &v), PAWL_OK;
    }
    if (is(o, "bad_slot"))
        return c->host->read(c, FIND_STATE, &key, 1, PAWL_SLOTS);
    if (is(o, "slot_twice")) {
        (void)c->host->read(c, FIND_STATE, &key, 1, FIND_STATE);
        return c->host->read(c, FIND_STATE, &key, 1, FIND_STATE);
    }
    if (is(o, "read_of_a_write"))
        return c->host->read(c, SAVE_STATE, &key, 1, 0);
    if (is(o, "plan_segv"))
        (void)raise(SIGSEGV);
    if (is(o, "plan_more_forever"))
        return PAWL_MORE;
    return PAWL_SKIP;
}

/* Things that the runtime must notice and answer with a fatal stop, whatever this returns. */
static pawl_rc break_contract(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    pawl_value v;

    if (is(o, "handle_reads")) {
        v = pawl_text(m->key);
        return (void)c->host->read(c, FIND_STATE, &v, 1, 1), PAWL_OK;
    }
    if (is(o, "bad_stmt"))
        return (void)write_state(c, m, 4711, 3), PAWL_OK;
    if (is(o, "write_of_a_read"))
        return (void)write_state(c, m, FIND_STATE, 1), PAWL_OK;
    if (is(o, "few_args"))
        return (void)write_state(c, m, SAVE_STATE, 2), PAWL_OK;
    if (is(o, "many_args")) {
        pawl_value args[4] = { pawl_text(m->key), pawl_i64(1), pawl_i64(1), pawl_i64(1) };

        return (void)c->host->write(c, SAVE_STATE, args, 4), PAWL_OK;
    }
    if (is(o, "wrong_type")) {
        pawl_value args[3] = { pawl_i64(1), pawl_i64(1), pawl_i64(1) };

        return (void)c->host->write(c, SAVE_STATE, args, 3), PAWL_OK;
    }
    if (is(o, "unknown_type")) {
        pawl_value args[3] = { { 77, 0, 0, 0, { 0, 0 } }, pawl_i64(1), pawl_i64(1) };

        return (void)c->host->write(c, SAVE_STATE, args, 3), PAWL_OK;
    }
    if (is(o, "huge_length")) {
        pawl_bytes b       = { m->key.p, (size_t)1 << 62 };
        pawl_value args[3] = { pawl_text(b), pawl_i64(1), pawl_i64(1) };

        return (void)c->host->write(c, SAVE_STATE, args, 3), PAWL_OK;
    }
    if (is(o, "bad_cell_slot"))
        return (void)c->host->cell(c, PAWL_SLOTS, 0, 0, &v), PAWL_OK;
    if (is(o, "bad_cell_row"))
        return (void)c->host->cell(c, FIND_STATE, 1000000, 0, &v), PAWL_OK;
    if (is(o, "bad_cell_col"))
        return (void)c->host->cell(c, FIND_STATE, 0, 99, &v), PAWL_OK;
    if (is(o, "bad_output")) {
        pawl_out out = { .size = sizeof(out), .output = 9, .key = m->key, .value = m->value };

        return (void)c->host->emit(c, &out), PAWL_OK;
    }
    if (is(o, "bad_code"))
        return 1234;
    if (is(o, "handle_more"))
        return PAWL_MORE;
    return PAWL_SKIP;
}

static void leave(int sig)
{
    (void)sig;
    _exit(7);
}

static void *fault(void *arg)
{
    static int *volatile there;

    *there = 1; // NOLINT: the point
    return arg;
}

/* What a backtrace would follow leads into nothing. */
static void smash(void)
{
    void *volatile *frame = __builtin_frame_address(0);

    for (int i = 0; i < 64; i++)
        frame[i] = (void *)(uintptr_t)0x4141414141414141; // NOLINT: the point
    (void)fault(NULL);
}

/* All of the page it shares with its supervisor that is about deaths: wherever it is mapped. */
static void scribble(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char  line[400];

    while (f && fgets(line, sizeof(line), f)) {
        char         *end;
        unsigned long from = strtoul(line, &end, 16), to = strtoul(end + 1, NULL, 16);

        if (strstr(line, "pawl-blackbox"))
            memset((void *)(from + (to - from) / 2), 0xee, (to - from) / 2); // NOLINT: the point
    }
    (void)fault(NULL);
}

static int connect_out(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = connect(fd, (struct sockaddr *)&at, sizeof(at));

    (void)close(fd);
    return rc;
}

/* What Landlock keeps from it: everything in its reach is tried before it is made. */
static bool break_out_of_files(const struct order *o, bool *ret_held)
{
    int rc;

    errno = 0;
    if (is(o, "read_secret"))
        rc = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
    else if (is(o, "read_neighbour"))
        rc = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    else if (is(o, "write_file"))
        rc = open("/tmp/pawl-hostile", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    else if (is(o, "connect"))
        rc = connect_out();
    else
        return false;
    *ret_held = rc == -1 && errno == EACCES;
    return true;
}

/* What the sandbox keeps from it. *ret_held: it did. */
static bool break_out(const struct order *o, bool *ret_held)
{
    char *const argv[] = { (char[]){ "true" }, NULL };
    int         rc;

    errno = 0;
    if (is(o, "exec"))
        rc = execv("/bin/true", argv);
    else if (is(o, "fork"))
        rc = fork();
    else if (is(o, "kill_parent"))
        rc = kill(getppid(), 0);
    else if (is(o, "listen"))
        rc = listen(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 1);
    else
        return break_out_of_files(o, ret_held);
    if (rc == 0 && is(o, "fork"))
        _exit(0);
    *ret_held = rc == -1 && errno == EPERM;
    return true;
}

pawl_rc hostile_handle(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    static int *volatile nowhere;
    bool held;

    if (break_out(o, &held))
        return held ? pawl_reject(c, "sandbox.held", "%s", o->command) : pawl_reject(c, "sandbox.open", "%s", o->command);
    if (is(o, "segv"))
        *nowhere = 1; // NOLINT: the point
    if (is(o, "abort"))
        abort();
    if (is(o, "exit0"))
        exit(0); // NOLINT: the point
    if (is(o, "_exit0"))
        _exit(0);
    if (is(o, "sigkill"))
        (void)raise(SIGKILL);
    if (is(o, "stack"))
        return eat_stack(NULL, 1 << 20) ? PAWL_OK : PAWL_SKIP;
    if (is(o, "jump"))
        (*(void (*volatile *)(void)) & nowhere)();
    if (is(o, "deaf_loop"))
        (void)signal(SIGABRT, SIG_IGN);
    if (is(o, "own_handler") || is(o, "own_handler_segv")) {
        (void)signal(SIGSEGV, is(o, "own_handler") ? leave : SIG_DFL);
        *nowhere = 1; // NOLINT: the point
    }
    if (is(o, "thread_segv")) {
        pthread_t th;

        (void)pthread_create(&th, NULL, fault, NULL);
        (void)pthread_join(th, NULL);
    }
    if (is(o, "smash"))
        smash();
    if (is(o, "scribble"))
        scribble();
    if (is(o, "loop") || is(o, "deaf_loop"))
        for (volatile unsigned long turns = 0;; turns++)
            ;
    return break_contract(c, m, o);
}
