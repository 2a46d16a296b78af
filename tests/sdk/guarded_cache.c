/* guarded_cache FILE.so: its cache goes to a successor, and what it throws in load() is a refusal. */
#include <pawl/sugar.h>
#include <pawl/test.h>

#undef NDEBUG
#include <assert.h>
#include <string.h>

static pawl_test *t;

static const pawl_out *deliver(const char *what)
{
    const pawl_msg m = { .topic = PAWL_STR("t"), .key = pawl_cstr("K-1"), .value = pawl_cstr(what) };

    assert(pawl_test_deliver(t, &m) == PAWL_OK);
    assert(pawl_test_emits(t) == 1);
    return pawl_test_emitted(t, 0);
}

int main(int argc, char **argv)
{
    size_t n = 0;

    assert(argc == 2);
    t = pawl_test_open(argv[1], NULL);
    assert(t != NULL);
    (void)deliver("remember");
    assert(pawl_test_hand_over(t, &n) == PAWL_OK && n == 3);
    assert(deliver("recall")->value.n == 3 && memcmp(deliver("recall")->value.p, "K-1", 3) == 0);
    assert(pawl_test_load(t, 1, "throw", 5) != PAWL_OK && strcmp(pawl_test_why(), "load() answered 4") == 0);
    assert(deliver("recall")->value.n == 0);
    assert(pawl_test_load(t, 1, "", 0) != PAWL_OK && strcmp(pawl_test_why(), "load() answered 3") == 0);
    assert(pawl_test_load(t, 1, "K-2", 3) == PAWL_OK);
    assert(memcmp(deliver("recall")->value.p, "K-2", 3) == 0);
    pawl_test_close(t);
    return 0;
}
