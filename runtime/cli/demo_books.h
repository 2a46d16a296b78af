/* demo_books: the end of the demo's business: accounting closes the months that have documents, and billing issues their acts. */
#ifndef PW_CLI_DEMO_BOOKS_H
#define PW_CLI_DEMO_BOOKS_H

#include "cli/world.h"

/* When all is booked. Returns when the acts are there. */
int pw_demo_books_close(struct pw_world *w, struct pw_err *err) PW_MUST_CHECK;

#endif
