/* One real broker, a private PostgreSQL for each test, the pawl binary with fault points. */
#include "run.h"

int main(int argc, char **argv)
{
    return kit_main(argc, argv, 1);
}
