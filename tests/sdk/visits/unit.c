#include <pawl/sugar.h>
#include <pawl/test.h>

int main(int argc, char **argv)
{
    pawl_test     *t = pawl_test_open(argc > 1 ? argv[1] : "", NULL);
    const pawl_msg m = { .topic = PAWL_STR("visits"), .key = { "/start", 6 }, .timestamp_ms = 1000 };

    if (!t) {
        (void)fprintf(stderr, "%s\n", pawl_test_why());
        return 1;
    }
    if (pawl_test_deliver(t, &m) != PAWL_OK || pawl_test_writes(t) != 1 || pawl_test_written(t, 0, "at").i != 1000000)
        return 1;
    pawl_test_close(t);
    return 0;
}
