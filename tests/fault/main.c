/* Three real brokers, RF 3: what must hold while processes die, freeze and move. */
#include "run.h"

#include <stdlib.h>

/* Criterion looks main up by its name to run tests in processes of their own. */
__attribute__((visibility("default"))) int main(int argc, char **argv)
{
    /* transactions that nobody ends are noticed after 1 s instead of 10 */
    (void)setenv("KAFKA_EXTRA", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000", 1);
    return kit_main(argc, argv, 3);
}
