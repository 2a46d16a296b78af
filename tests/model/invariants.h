/* What both models share.
 *
 * INV(name, condition) is an assertion that carries its name into the verifier's message:
 *     pan:1: assertion violated ((...)||I7_Published) (at depth 31)
 * so that the runner can tell by which invariant a mutant was caught. The name is a variable that is never written. -DWITHOUT_I8=1 switches one assertion off: the runner does so to see whether a mutant does real damage further on,
 * or only breaks the rule that was meant to prevent it. */
#define INV(name, condition) assert((condition) || name)

#ifndef WITHOUT_I4
#define WITHOUT_I4 0
#endif
#ifndef WITHOUT_I6
#define WITHOUT_I6 0
#endif
#ifndef WITHOUT_I8
#define WITHOUT_I8 0
#endif
#ifndef WITHOUT_I10
#define WITHOUT_I10 0
#endif
#ifndef WITHOUT_L1
#define WITHOUT_L1 0
#endif
#ifndef WITHOUT_L3
#define WITHOUT_L3 0
#endif
#ifndef WITHOUT_I13
#define WITHOUT_I13 0
#endif

#define BELOW(n)  ((1 << (n)) - 1)  /* the offsets below n, as a set of bits */
#define LOWEST(s) ((s) & (0 - (s))) /* the lowest offset of a set */
