/* One real broker, a private PostgreSQL for each test, the pawl binary with fault points. */
#include "run.h"

/* Criterion looks main up by its name to run tests in processes of their own. */
__attribute__((visibility("default"))) int main(int argc, char **argv)
{
    return kit_main(argc, argv, 1);
}
