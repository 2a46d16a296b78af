/* Prints docs/metrics.md. */
#include "observe/metrics.h"

#include <stdio.h>

int main(void)
{
    struct pw_buf out = { 0 };
    int           rc;

    pw_metrics_manual(&out);
    rc = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0 ? 0 : 1;
    pw_buf_done(&out);
    return rc;
}
