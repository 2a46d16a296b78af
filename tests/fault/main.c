/* Three real brokers, RF 3: what must hold while processes die, freeze and move. */
#include "run.h"

/* Criterion looks main up by its name to run tests in processes of their own. */
__attribute__((visibility("default"))) int main(int argc, char **argv)
{
    return kit_main(argc, argv, 3);
}
