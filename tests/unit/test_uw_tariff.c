/* The shipped tariff, with cases worked by hand from the tables of plugins/underwriting/README.md, and what a tariff must not be. */
#include "fake_host.h"
#include "premium.h"
#include "tariff.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tariff *shipped(void)
{
    static struct tariff *t;

    if (!t) {
        struct fake_host *fh       = fake_host_new(fake_host_open(UNDERWRITING_SO), UNDERWRITING_CFG);
        char              why[256] = "";

        cr_assert_not_null(fh);
        t = tariff_load(fake_host_creating(fh), why, sizeof(why));
        cr_assert_not_null(t, "%s", why);
        fake_host_free(fh);
    }
    return t;
}

static struct premium_price priced(const struct event_risk *risk, const char *class_name)
{
    struct premium_price       p;
    struct event_fault         fault;
    const struct tariff_class *cl = tariff_class(shipped(), class_name, strlen(class_name));

    cr_assert_not_null(cl);
    cr_assert(premium_of_risk(shipped(), risk, 365, cl, &p, &fault), "%s", fault.text);
    return p;
}

static const char *said(const struct premium_price *p)
{
    static struct premium_text text;

    text.n = 0;
    premium_put_price(&text, shipped(), p);
    text.p[text.n] = '\0';
    return text.p;
}

Test(tariff, a_private_car_in_moscow)
{
    /* 5760.50 x 1.8 x 1.17 x 0.94 x 1 x 1.2 x 1 = 13684.459464 */
    struct event_risk    risk = { "car_private", "moscow", 120, 12, false, false, false, 1, { { 35, 10 } } };
    struct premium_price p    = priced(&risk, "3");

    cr_assert_eq(p.premium_minor, 1368446);
    cr_assert_str_eq(said(&p), "base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.2 use=1");
}

Test(tariff, a_taxi_that_anybody_may_drive_for_half_a_year)
{
    /* 9860.00 x 1.64 x 0.46 x 1 x 1.97 x 1.6 x 0.7 = 16412.0504576 */
    struct event_risk    risk = { "taxi", "saint_petersburg", 151, 6, true, false, false, 0, { { 0, 0 } } };
    struct premium_price p    = priced(&risk, "13");

    cr_assert_eq(p.premium_minor, 1641205);
    cr_assert_str_eq(said(&p), "base=986000 territory=1.64 bonus_malus=0.46 drivers=1 unlimited=1.97 power=1.6 use=0.7");
}

Test(tariff, a_motorcycle_of_the_dearest_class_and_the_youngest_driver)
{
    /* 1548.00 x 1 x 3.92 x 2.27 x 1 x 1 x 0.5 = 6887.3616 */
    struct event_risk risk = { "motorcycle", "other", 200, 3, false, false, false, 1, { { 18, 0 } } };

    cr_assert_eq(priced(&risk, "M").premium_minor, 688736);
}

Test(tariff, a_truck_with_a_trailer)
{
    /* 6340.00 x 1 x 1 x 0.95 x 1 x 1 x 1 x 1.4 = 8432.2 */
    struct event_risk    risk = { "truck_16t", "other", 200, 12, false, true, false, 1, { { 30, 15 } } };
    struct premium_price p    = priced(&risk, "4");

    cr_assert_eq(p.premium_minor, 843220);
    cr_assert_str_eq(said(&p), "base=634000 territory=1 bonus_malus=1 drivers=0.95 unlimited=1 power=1 use=1 trailer=1.4");
    risk.vehicle_class = "car_private";
    cr_assert_null(strstr((p = priced(&risk, "4"), said(&p)), "trailer"), "a factor of 1 is not said");
}

Test(tariff, a_car_from_abroad_for_two_weeks)
{
    struct event_risk    risk = { "car_private", "other", 100, 12, false, false, true, 1, { { 35, 3 } } };
    struct premium_price p;
    struct event_fault   fault;
    const struct {
        int64_t     days;
        const char *factor;
    } t[] = { { 5, "0.2" },  { 15, "0.2" }, { 16, "0.3" },   { 31, "0.3" }, { 32, "0.4" },
              { 62, "0.4" }, { 63, "0.5" }, { 276, "0.95" }, { 277, "1" },  { 366, "1" } };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        cr_assert_str_eq(tariff_term(shipped(), t[i].days)->text, t[i].factor, "%d days", (int)t[i].days);
    /* 5760.50 x 1 x 1 x 1 x 1 x 1.1 x 0.2 = 1267.31: the term, and not the months of use */
    cr_assert(premium_of_risk(shipped(), &risk, 14, tariff_class(shipped(), "4", 1), &p, &fault));
    cr_assert_eq(p.premium_minor, 126731);
    cr_assert_not(premium_of_risk(shipped(), &risk, 4, tariff_class(shipped(), "4", 1), &p, &fault));
    cr_assert_str_eq(fault.code, "tariff.no_factor");
}

Test(tariff, the_dearest_driver_decides)
{
    struct event_risk one   = { "car_private", "kazan", 90, 12, false, false, false, 1, { { 22, 0 } } };
    struct event_risk three = { "car_private", "kazan", 90, 12, false, false, false, 3, { { 45, 20 }, { 22, 0 }, { 60, 40 } } };

    cr_assert_eq(priced(&one, "5").premium_minor, priced(&three, "5").premium_minor);
}

Test(tariff, a_band_of_power_ends_with_its_last_horsepower)
{
    struct {
        int32_t     hp;
        const char *factor;
    } t[] = {
        { 1, "0.6" },   { 50, "0.6" },  { 51, "1" },    { 70, "1" },    { 71, "1.1" },  { 100, "1.1" },
        { 101, "1.2" }, { 120, "1.2" }, { 121, "1.4" }, { 150, "1.4" }, { 151, "1.6" }, { 5000, "1.6" },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        cr_assert_str_eq(tariff_power(shipped(), t[i].hp)->text, t[i].factor, "%d hp", t[i].hp);
    cr_assert_null(tariff_power(shipped(), 0));
}

Test(tariff, a_period_of_use_of_ten_months_costs_the_whole_year)
{
    const char *factor[] = { "0.5", "0.6", "0.65", "0.7", "0.8", "0.9", "0.95", "1", "1", "1" };

    for (int32_t m = 3; m <= 12; m++)
        cr_assert_str_eq(tariff_use(shipped(), m)->text, factor[m - 3], "%d months", m);
    cr_assert_null(tariff_use(shipped(), 2));
}

Test(tariff, age_and_experience_pick_a_cell)
{
    struct {
        int32_t     age, experience;
        const char *factor;
    } t[] = {
        { 16, 0, "2.27" },  { 21, 5, "1.62" }, { 22, 7, "1.09" }, { 24, 8, "1.09" }, { 29, 13, "1.02" }, { 30, 14, "0.97" },
        { 30, 15, "0.95" }, { 39, 3, "1" },    { 40, 4, "0.96" }, { 59, 2, "1.39" }, { 60, 1, "1.36" },  { 100, 60, "0.83" },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        cr_assert_str_eq(tariff_driver(shipped(), t[i].age, t[i].experience)->text, t[i].factor, "age %d, %d years", t[i].age,
                         t[i].experience);
    cr_assert_null(tariff_driver(shipped(), 21, 7), "nobody can have driven that long");
    cr_assert_null(tariff_driver(shipped(), 15, 0));
}

static const char *after(const char *class_name, int32_t claims)
{
    return tariff_class_after(shipped(), tariff_class(shipped(), class_name, strlen(class_name)), claims)->name.p;
}

Test(tariff, a_class_steps_down_without_claims_and_up_with_them)
{
    cr_assert_str_eq(after("3", 0), "4");
    cr_assert_str_eq(after("M", 0), "0");
    cr_assert_str_eq(after("13", 0), "13", "there is none better");
    cr_assert_str_eq(after("13", 1), "7");
    cr_assert_str_eq(after("9", 3), "1");
    cr_assert_str_eq(after("9", 4), "M");
    cr_assert_str_eq(after("9", 100), "M", "the last column also holds for more");
}

Test(tariff, what_it_does_not_know_has_a_code)
{
    struct event_risk          risk = { "spaceship", "moscow", 120, 12, false, false, false, 1, { { 35, 10 } } };
    const struct tariff_class *cl   = tariff_class(shipped(), "3", 1);
    struct premium_price       p;
    struct event_fault         fault;

    cr_assert_not(premium_of_risk(shipped(), &risk, 365, cl, &p, &fault));
    cr_assert_str_eq(fault.code, "tariff.unknown_class");
    risk.vehicle_class = "taxi";
    risk.territory     = "atlantis";
    cr_assert_not(premium_of_risk(shipped(), &risk, 365, cl, &p, &fault));
    cr_assert_str_eq(fault.code, "tariff.unknown_territory");
    risk.territory             = "moscow";
    risk.drivers[0].age        = 20;
    risk.drivers[0].experience = 9;
    cr_assert_not(premium_of_risk(shipped(), &risk, 365, cl, &p, &fault));
    cr_assert_str_eq(fault.code, "tariff.no_factor");
}

/* A small whole tariff, one part of which a test replaces. */
static const char small[] = "rounding = \"half-even\"; tariff = {"
                            " vehicle = ( { class = \"car\"; base_rate = \"1.00\"; unlimited = \"2\"; } );"
                            " territory = ( { name = \"here\"; factor = \"1\"; }, { name = \"there\"; factor = \"2\"; } );"
                            " bonus_malus = ( { class = \"3\"; factor = \"1\"; next = [ \"3\" ]; } );"
                            " experience = [ 0, 5 ];"
                            " driver = ( { age = 16; factor = [ \"1\", \"0.5\" ]; }, { age = 30; factor = [ \"1\" ]; } );"
                            " power = ( { over_hp = 0; factor = \"1\"; } );"
                            " use = ( { months = 3; factor = \"1\"; } ); };";

static const char *why_not(const char *was, const char *is)
{
    static char       why[256];
    char              text[2048];
    const char       *at = strstr(small, was);
    struct fake_host *fh;
    struct tariff    *t;

    cr_assert_not_null(at, "%s", was);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - small), small, is, at + strlen(was));
    fh = fake_host_new_text(fake_host_open(UNDERWRITING_SO), text);
    cr_assert_not_null(fh);
    why[0] = '\0';
    t      = tariff_load(fake_host_creating(fh), why, sizeof(why));
    fake_host_free(fh);
    tariff_free(t);
    return t ? NULL : why;
}

Test(tariff, a_whole_tariff_is_taken)
{
    cr_assert_null(why_not("1.00", "2.00"));
}

Test(tariff, a_contradiction_is_refused_and_named)
{
    struct {
        const char *was, *is, *why;
    } t[] = {
        { "half-even", "nearest", "rounding must be half-up, half-even or down" },
        { "there", "here", "tariff.territory has the name 'here' twice" },
        { "[ \"3\" ]", "[ \"4\" ]", "tariff.bonus_malus.[0].next.[0] is no class of tariff.bonus_malus" },
        { "[ \"3\" ]", "[ ]", "tariff.bonus_malus.[0].next is missing or empty" },
        { "[ 0, 5 ]", "[ 1, 5 ]", "tariff.experience.[0]: the first must be 0, and each above the one before" },
        { "[ 0, 5 ]", "[ 0, 0 ]", "tariff.experience.[1]: the first must be 0, and each above the one before" },
        { "age = 30", "age = 16", "tariff.driver.[1].age: the first may be at most 16, and each must be above the one before" },
        { "age = 16", "age = 17", "tariff.driver.[0].age: the first may be at most 16, and each must be above the one before" },
        { "[ \"1\", \"0.5\" ]", "[ \"1\", \"1\", \"1\" ]", "tariff.driver.[0].factor has 3 entries; at most 2 are possible" },
        { "months = 3", "months = 4",
          "tariff.use.[0].months: the first may be at most 3, and each must be above the one before" },
        { "over_hp = 0", "over_hp = 1",
          "tariff.power.[0].over_hp: the first may be at most 0, and each must be above the one before" },
        { "1.00", "1.001", "tariff.vehicle.[0].base_rate must be a positive amount with at most 2 digits after the point" },
        { "unlimited = \"2\"", "unlimited = \"0\"", "tariff.vehicle.[0].unlimited must be a positive decimal" },
        { "unlimited = \"2\"", "unlimited = \"1.00001\"",
          "tariff.vehicle.[0].unlimited has more than 4 digits after the point" },
        { "class = \"car\";", "", "tariff.vehicle.[0].class is missing" },
        { "class = \"3\"", "class = \"3 \"", "tariff.bonus_malus.[0].class must have no space and no semicolon" },
        { "class = \"3\"", "class = \"3;\"", "tariff.bonus_malus.[0].class must have no space and no semicolon" },
        { "rounding", "currency = \"RUR\"; rounding",
          "currency 'RUR' is not in the list of ISO 4217 (plugins/common/currency.c)" },
        { "rounding", "currency = \"rub\"; rounding", "currency must be an ISO 4217 code of three letters" },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        const char *why = why_not(t[i].was, t[i].is);

        cr_assert_not_null(why, "%s", t[i].why);
        cr_assert_str_eq(why, t[i].why);
    }
}

/* The same tariff in another currency: base 1.5, so 1.5 yen is refused, and 1.5 dinars are 1500 fils. */
Test(tariff, amounts_have_the_digits_of_their_currency)
{
    char              text[2048], why[256] = "";
    const char       *at = strstr(small, "1.00");
    struct fake_host *fh;
    struct tariff    *t;

    (void)snprintf(text, sizeof(text), "currency = \"JPY\"; %.*s1.5%s", (int)(at - small), small, at + 4);
    fh = fake_host_new_text(fake_host_open(UNDERWRITING_SO), text);
    cr_assert_null(tariff_load(fake_host_creating(fh), why, sizeof(why)));
    cr_assert_str_eq(why, "tariff.vehicle.[0].base_rate must be a positive amount with at most 0 digits after the point");
    fake_host_free(fh);
    (void)snprintf(text, sizeof(text), "currency = \"KWD\"; %.*s1.5%s", (int)(at - small), small, at + 4);
    fh = fake_host_new_text(fake_host_open(UNDERWRITING_SO), text);
    t  = tariff_load(fake_host_creating(fh), why, sizeof(why));
    cr_assert_not_null(t, "%s", why);
    cr_assert_eq(t->vehicles[0].base_minor, 1500);
    fake_host_free(fh);
    tariff_free(t);
}

Test(tariff, a_premium_that_does_not_fit_is_an_overflow)
{
    struct tariff       *t    = calloc(1, sizeof(*t));
    struct event_risk    risk = { "car", "here", 1, 12, true, false, false, 0, { { 0, 0 } } };
    struct premium_price p;
    struct event_fault   fault;

    t->n_vehicles = t->n_territories = t->n_classes = t->n_use = 1;
    strcpy(t->vehicles[0].name.p, "car");
    strcpy(t->territories[0].name.p, "here");
    t->vehicles[0].base_minor = INT64_MAX;
    t->vehicles[0].unlimited  = (struct tariff_factor){ { 1, 0 }, "1" };
    t->vehicles[0].trailer    = t->vehicles[0].unlimited;
    t->territories[0].factor  = t->vehicles[0].unlimited;
    t->classes[0].factor      = t->vehicles[0].unlimited;
    t->use[0].factor          = t->vehicles[0].unlimited;
    cr_assert(premium_of_risk(t, &risk, 365, &t->classes[0], &p, &fault));
    cr_assert_eq(p.premium_minor, INT64_MAX);
    t->territories[0].factor.value = (struct decimal){ 10001, 4 };
    cr_assert_not(premium_of_risk(t, &risk, 365, &t->classes[0], &p, &fault));
    cr_assert_str_eq(fault.code, "premium.overflow");
    free(t);
}
