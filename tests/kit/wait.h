/* wait: time in tests. Nothing sleeps for a fixed time and hopes; everything waits for a condition with a deadline. */
#ifndef KIT_WAIT_H
#define KIT_WAIT_H

#include <stdint.h>

int64_t kit_now_ms(void); /* monotonic */
void    kit_nap(int ms);

/* Prints what was waited for and what the cluster's processes said last, then fails the test. */
_Noreturn void kit_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define KIT_WAIT_S 40

/* Polls until the condition holds; the test fails after that many seconds. */
#define wait_until_s(seconds, cond)                                                                 \
    do {                                                                                            \
        int64_t kit_end_ = kit_now_ms() + (int64_t)(seconds)*1000;                                  \
        while (!(cond)) {                                                                           \
            if (kit_now_ms() > kit_end_)                                                            \
                kit_fail(__FILE__, __LINE__, "waited %d s in vain for: %s", (int)(seconds), #cond); \
            kit_nap(15);                                                                            \
        }                                                                                           \
    } while (0)
#define wait_until(cond) wait_until_s(KIT_WAIT_S, cond)

/* True as soon as the condition holds, false when it did not within that many milliseconds. */
#define holds_within_ms(ms, cond)                                 \
    ({                                                            \
        int64_t kit_end_ = kit_now_ms() + (ms);                   \
        int     kit_ok_;                                          \
        while (!(kit_ok_ = !!(cond)) && kit_now_ms() <= kit_end_) \
            kit_nap(15);                                          \
        kit_ok_;                                                  \
    })

#endif
