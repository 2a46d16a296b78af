/* Runs a fuzz target on the files named: what the fuzzer starts from, and what it once found. */
#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct pw_buf text = { 0 };
        FILE         *f    = fopen(argv[i], "re");
        size_t        got;

        PW_ASSERT(f != NULL);
        do {
            got = fread(pw_buf_room(&text, 4096), 1, 4096, f);
            text.n += got;
        } while (got > 0);
        (void)fclose(f); /* read only */
        (void)LLVMFuzzerTestOneInput((const uint8_t *)text.p, text.n);
        pw_buf_done(&text);
    }
    printf("%d files\n", argc - 1);
    return argc > 1 ? 0 : 1;
}
