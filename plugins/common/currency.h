/* currency: the codes of ISO 4217 and how many digits their minor units have. */
#ifndef COMMON_CURRENCY_H
#define COMMON_CURRENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Three capital letters; which ones is not asked. */
bool currency_code_valid(const char *code, size_t n);
/* 0 to 4: the digits after the point of an amount in major units. false: no such currency, or none that is paid with
 * (metals, test codes). code: three letters and a NUL. */
bool currency_digits(const char *code, uint32_t *ret);

#endif
