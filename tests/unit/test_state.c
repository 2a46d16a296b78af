/* A cache on its way to a successor. What cannot be taken is refused before load() sees it; the reason says why. */
#include "plugin/state.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX ((uint64_t)1 << 20)

static struct pw_arena *ar;
static int              fd;

/* ---- a plugin ---- */

static const char *content;
static size_t      content_n, piece;
static pawl_rc     save_answers, load_answers, put_answered, config_answered;
static int64_t     config_len_answered;
static char        got[64];
static size_t      got_n;
static uint32_t    got_version;
static int         loads;

static const pawl_host *host;

static pawl_rc create(const pawl_host *h, void **inst)
{
    host  = h;
    *inst = NULL;
    return PAWL_OK;
}

static pawl_rc handle(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    (void)inst;
    (void)c;
    (void)m;
    return PAWL_OK;
}

static void try_config(void)
{
    pawl_value v;

    config_answered     = host->config(host, "anything", &v);
    config_len_answered = host->config_len(host, "anything");
}

static pawl_rc save(void *inst, const pawl_sink *sink)
{
    (void)inst;
    try_config();
    for (size_t at = 0; at < content_n; at += piece)
        put_answered = sink->put(sink->impl, content ? content + at : NULL, content_n - at < piece ? content_n - at : piece);
    return save_answers;
}

static pawl_rc load(void *inst, uint32_t version, const void *p, size_t n)
{
    (void)inst;
    try_config();
    loads++;
    cr_assert_not_null(p);
    got_version = version;
    got_n       = n;
    memcpy(got, p, n < sizeof(got) ? n : sizeof(got));
    return load_answers;
}

/* An instance of a build with that id and format. */
static struct pw_inst *build(const char *id, uint32_t version)
{
    pawl_plugin      *d    = pw_arena_alloc(ar, sizeof(*d));
    struct pw_plugin *pl   = pw_arena_alloc(ar, sizeof(*pl));
    struct pw_inst   *inst = NULL;
    struct pw_err     err;

    *d  = (pawl_plugin){ .size          = sizeof(*d),
                         .id            = { id, strlen(id) },
                         .state_version = version,
                         .create        = create,
                         .handle        = handle,
                         .save          = save,
                         .load          = load };
    *pl = (struct pw_plugin){ .desc = d, .name = "p/1" };
    (void)snprintf(pl->meta.id, sizeof(pl->meta.id), "%s", id);
    cr_assert_eq(pw_inst_new(ar, pl, NULL, NULL, &inst, &err), 0);
    return inst;
}

static void set_up(void)
{
    ar        = pw_arena_new(4096);
    fd        = memfd_create("test", MFD_CLOEXEC);
    content   = "a cache";
    content_n = 7;
    piece     = 3;
}

static void tear_down(void)
{
    (void)close(fd);
    ar = pw_arena_free(ar);
}

TestSuite(state, .init = set_up, .fini = tear_down);

static void save_it(void)
{
    uint64_t      n = 0;
    struct pw_err err;

    cr_assert_eq(pw_state_save(build("org.example.a", 3), fd, MAX, &n, &err), 0);
    cr_assert_eq(n, content_n);
}

static void expect_refused(const char *id, uint32_t version, uint64_t max, const char *says)
{
    uint64_t      n = 0;
    struct pw_err err;

    cr_assert_eq(pw_state_load(build(id, version), fd, max, &n, &err), -1);
    cr_assert(strstr(err.text, says), "'%s' does not say '%s'", err.text, says);
}

Test(state, load_is_given_what_save_wrote)
{
    uint64_t      n = 0;
    struct pw_err err;

    save_it();
    cr_assert_eq(pw_state_load(build("org.example.a", 3), fd, MAX, &n, &err), 0);
    cr_assert(n == 7 && got_n == 7 && memcmp(got, "a cache", 7) == 0);
    cr_assert_eq(got_version, 3);
}

Test(state, an_empty_cache_is_one)
{
    uint64_t      n = 9;
    struct pw_err err;

    content_n = 0;
    save_it();
    cr_assert_eq(pw_state_load(build("org.example.a", 3), fd, MAX, &n, &err), 0);
    cr_assert(n == 0 && got_n == 0 && loads == 1);
}

Test(state, a_build_is_given_an_older_format_and_never_a_newer_one)
{
    uint64_t      n = 0;
    struct pw_err err;

    save_it();
    cr_assert_eq(pw_state_load(build("org.example.a", 4), fd, MAX, &n, &err), 0);
    cr_assert_eq(got_version, 3);
    expect_refused("org.example.a", 2, MAX, "the state has format 3, this build knows 2 at most");
    cr_assert_eq(loads, 1);
}

Test(state, one_of_another_plugin_is_refused)
{
    save_it();
    expect_refused("org.example.b", 3, MAX, "of another plugin, org.example.a");
    cr_assert_eq(loads, 0);
}

Test(state, wherever_it_is_cut_it_is_refused)
{
    for (off_t n = 0; n < 7; n++) {
        save_it();
        cr_assert_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) - 7 + n), 0);
        expect_refused("org.example.a", 3, MAX, "cut short");
    }
    for (off_t n = 0; n < 100; n += 9) {
        save_it();
        cr_assert_eq(ftruncate(fd, n), 0);
        expect_refused("org.example.a", 3, MAX, "there is no state");
    }
    save_it();
    cr_assert_eq(pwrite(fd, "x", 1, lseek(fd, 0, SEEK_END)), 1);
    expect_refused("org.example.a", 3, MAX, "cut short");
    cr_assert_eq(loads, 0);
}

Test(state, another_checksum_is_refused)
{
    save_it();
    cr_assert_eq(pwrite(fd, "A", 1, lseek(fd, -7, SEEK_END)), 1);
    expect_refused("org.example.a", 3, MAX, "another checksum");
    cr_assert_eq(loads, 0);
}

Test(state, what_is_allowed_is_taken_and_one_byte_more_is_not)
{
    static char   large[MAX + 1];
    uint64_t      n = 0;
    struct pw_err err;

    content   = large;
    content_n = MAX;
    piece     = 1000;
    save_it();
    cr_assert_eq(pw_state_load(build("org.example.a", 3), fd, MAX, &n, &err), 0);
    expect_refused("org.example.a", 3, MAX - 1, "more than the 0 MiB");
    content_n = MAX + 1;
    cr_assert_eq(pw_state_save(build("org.example.a", 3), fd, MAX, &n, &err), -1);
    cr_assert_str_eq(err.text, "save() wrote more than the 1 MiB that are allowed");
    cr_assert_eq(put_answered, PAWL_FATAL, "it is told");
    expect_refused("org.example.a", 3, MAX, "there is no state");
    cr_assert_eq(loads, 1);
}

Test(state, a_save_that_does_not_answer_ok_leaves_nothing)
{
    uint64_t      n = 0;
    struct pw_err err;

    save_it();
    save_answers = PAWL_RETRY;
    cr_assert_eq(pw_state_save(build("org.example.a", 3), fd, MAX, &n, &err), -1);
    cr_assert_str_eq(err.text, "save() answered 2");
    expect_refused("org.example.a", 3, MAX, "there is no state");
}

Test(state, bytes_that_are_nowhere_are_refused)
{
    uint64_t      n = 0;
    struct pw_err err;

    content = NULL;
    cr_assert_eq(pw_state_save(build("org.example.a", 3), fd, MAX, &n, &err), -1);
    cr_assert_str_eq(err.text, "save() gave bytes that are nowhere");
}

Test(state, a_load_that_does_not_answer_ok_is_a_refusal)
{
    save_it();
    load_answers = PAWL_REJECT;
    expect_refused("org.example.a", 3, MAX, "load() answered 3");
    load_answers = 77;
    expect_refused("org.example.a", 3, MAX, "load() answered 77");
}

/* The rest of the host's table wants a message, and there is none. */
Test(state, the_configuration_is_not_to_be_read_meanwhile)
{
    uint64_t      n = 0;
    struct pw_err err;

    save_it();
    cr_assert(config_answered == PAWL_FATAL && config_len_answered == -1);
    config_answered     = PAWL_OK;
    config_len_answered = 0;
    cr_assert_eq(pw_state_load(build("org.example.a", 3), fd, MAX, &n, &err), 0);
    cr_assert(config_answered == PAWL_FATAL && config_len_answered == -1);
}
