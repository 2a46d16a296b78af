#include "currency.h"

#include <string.h>

/* ISO 4217, list one, as of 2025: every code with a minor unit, by its number of digits. Four characters a code, so that a code is
 * found only where one begins. */
static const char *const codes[] = {
    /* 0 */
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ",
    /* 1 */
    "",
    /* 2 */
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP "
    "COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD "
    "KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR "
    "NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY "
    "TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ",
    /* 3 */
    "BHD IQD JOD KWD LYD OMR TND ",
    /* 4 */
    "CLF UYW ",
};

bool currency_code_valid(const char *code, size_t n)
{
    if (n != 3)
        return false;
    for (size_t i = 0; i < n; i++)
        if (code[i] < 'A' || code[i] > 'Z')
            return false;
    return true;
}

bool currency_digits(const char *code, uint32_t *ret)
{
    for (uint32_t digits = 0; digits < sizeof(codes) / sizeof(codes[0]); digits++)
        for (const char *p = codes[digits]; *p; p += 4)
            if (strncmp(p, code, 3) == 0 && code[3] == '\0') {
                *ret = digits;
                return true;
            }
    return false;
}
