/* demo_tour: how to look around in a demo that is left running. */
#ifndef PW_CLI_DEMO_TOUR_H
#define PW_CLI_DEMO_TOUR_H

#include "cli/world.h"

void pw_demo_tour_print(struct pw_world *w); /* to stdout */

#endif
