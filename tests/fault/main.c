/* Three real brokers, RF 3: what must hold while processes die, freeze and move. */
#include "run.h"

int main(int argc, char **argv)
{
    return kit_main(argc, argv, 3);
}
