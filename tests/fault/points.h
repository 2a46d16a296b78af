/* points: the fault points of the binary, as parameters of a test. The list is the binary's own, so that a new one cannot be forgotten. */
#ifndef FAULT_POINTS_H
#define FAULT_POINTS_H

#include <criterion/criterion.h> /* before the next one */
#include <criterion/parameterized.h>
#include <stdbool.h>

struct point {
    char name[48];
};

bool point_begins(const char *name, const char *with);
/* Those that are taken; none if the binary does not answer. */
struct criterion_test_params points_of(bool (*take)(const char *name));

#endif
