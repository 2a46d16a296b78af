#include "cli/gap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pw_gap pw_gap_of(int64_t next_offset, int64_t low, int64_t end)
{
    if (next_offset < low)
        return (struct pw_gap){ PW_GAP_CUT, next_offset, low - 1, low };
    if (next_offset > end)
        return (struct pw_gap){ PW_GAP_SHORT, end, next_offset - 1, end };
    return (struct pw_gap){ PW_GAP_NONE, 1, 0, next_offset };
}

/* Digits only: no sign, no blank, and within the type. */
static bool number(const char *text, int64_t max, int64_t *ret)
{
    size_t n = strlen(text);

    if (n == 0 || strspn(text, "0123456789") != n)
        return false;
    errno = 0;
    *ret  = strtoll(text, NULL, 10);
    return errno == 0 && *ret <= max;
}

bool pw_gap_target(const char *text, int64_t low, int64_t end, int64_t *ret_offset)
{
    if (strcmp(text, "earliest") == 0) {
        *ret_offset = low;
        return true;
    }
    if (strcmp(text, "latest") == 0) {
        *ret_offset = end;
        return true;
    }
    return number(text, INT64_MAX, ret_offset);
}

bool pw_gap_partition(const char *text, int32_t *ret_partition)
{
    int64_t n;

    if (!number(text, INT32_MAX, &n))
        return false;
    *ret_partition = (int32_t)n;
    return true;
}
