/* The plugin as the runtime sees it: the built library, its descriptor, plan() and handle(). */
#include "fake_host.h"
#include "uw_draft.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <string.h>

enum { FIND_POLICY, SAVE_POLICY, ADD_PREMIUM };

static struct uw_draft    d;
static struct fake_host  *fh;
static const pawl_plugin *pl;

static void setup(void)
{
    pl = fake_host_open(UNDERWRITING_SO);
    fh = fake_host_new(pl, UNDERWRITING_CFG);
    cr_assert_not_null(fh);
    cr_assert_eq(fake_host_create(fh), PAWL_OK, "%s", fake_host_log(fh));
}

static void teardown(void)
{
    fake_host_free(fh);
}

TestSuite(underwriting, .init = setup, .fini = teardown);

/* POL-1 as a row of find_policy, as version 1.1 wrote it. */
static pawl_value row[9];

static void policy(const char *status, int64_t version)
{
    row[0] = pawl_text(pawl_cstr(status));
    row[1] = pawl_i64(version);
    row[2] = pawl_date(20089); /* 2025-01-01 */
    row[3] = pawl_date(20453); /* 2025-12-31 */
    row[4] = pawl_text(pawl_cstr("3"));
    row[5] = pawl_i64(1368446);
    row[6] = pawl_text(pawl_cstr("RUB"));
    row[7] = row[8] = pawl_null();
}

static pawl_rc run(size_t rows)
{
    const pawl_msg *m = uw_draft_msg(&d);

    cr_assert_eq(fake_host_plan(fh, m), PAWL_OK);
    if (fake_host_read(fh, FIND_POLICY)->asked)
        fake_host_feed(fh, FIND_POLICY, rows, 9, row);
    return fake_host_handle(fh, m);
}

static bool text_is(pawl_value v, const char *s)
{
    return v.type == PAWL_V_TEXT && v.b.n == strlen(s) && memcmp(v.b.p, s, v.b.n) == 0;
}

static void saved(const char *status, int64_t version, int64_t starts_on, int64_t ends_on, const char *class_name,
                  int64_t premium)
{
    const struct fake_write *w = fake_host_write(fh, 0);

    cr_assert_eq(fake_host_writes(fh), 2);
    cr_assert_eq(w->stmt, SAVE_POLICY);
    cr_assert(text_is(w->args[0], "POL-1"));
    cr_assert(text_is(w->args[1], status));
    cr_assert_eq(w->args[2].i, version);
    cr_assert_eq(w->args[3].i, starts_on);
    cr_assert_eq(w->args[4].i, ends_on);
    cr_assert(text_is(w->args[5], class_name));
    cr_assert_eq(w->args[6].i, premium);
    cr_assert(text_is(w->args[7], "RUB"));
}

static void charged(const char *event_id, int64_t version, const char *kind, int64_t amount, const char *breakdown)
{
    const struct fake_write *w = fake_host_write(fh, 1);

    cr_assert_eq(w->stmt, ADD_PREMIUM);
    cr_assert(text_is(w->args[0], "auto.events"));
    cr_assert_eq(w->args[1].i, 2, "partition");
    cr_assert_eq(w->args[2].i, 77, "offset");
    cr_assert(text_is(w->args[3], event_id));
    cr_assert(text_is(w->args[4], "POL-1"));
    cr_assert_eq(w->args[5].i, version);
    cr_assert(text_is(w->args[6], kind));
    cr_assert_eq(w->args[7].i, amount);
    cr_assert(text_is(w->args[8], "RUB"));
    cr_assert(text_is(w->args[9], breakdown), "%.*s", (int)w->args[9].b.n, (const char *)w->args[9].b.p);
    cr_assert_eq(w->args[10].i, INT64_C(1735689600000000));
}

static void rejected(pawl_rc rc, const char *code)
{
    cr_assert_eq(rc, PAWL_REJECT);
    cr_assert_str_eq(fake_host_code(fh), code, "%s", fake_host_detail(fh));
    cr_assert_eq(fake_host_writes(fh), 0, "a refusal writes nothing");
}

Test(underwriting, its_descriptor_is_sound)
{
    const pawl_migration *mig = pl->migrations.items;

    cr_assert_eq(pl->size, sizeof(*pl));
    cr_assert(pl->abi_major == 1 && pl->abi_minor == 0);
    cr_assert_eq(pl->statements.count, 3);
    cr_assert_eq(pl->outputs.count, 1);
    cr_assert_eq(pl->db_version, mig[pl->migrations.count - 1].version);
    cr_assert_not_null(strstr(mig[0].up_sql.p, "CREATE TABLE underwriting.premium"));
    cr_assert_eq(strlen(mig[0].up_sql.p), mig[0].up_sql.n, "the runtime hands it to libpq");
    for (uint32_t i = 0; i < pl->options.count; i++) {
        const pawl_option *op = (const pawl_option *)pl->options.items + i;

        cr_assert(op->path.n > 0 && op->doc.n > 0);
        cr_assert((op->flags & PAWL_OPT_REQUIRED) != 0 || op->dflt.p, "%s is required or has a default", op->path.p);
    }
}

Test(underwriting, a_plan_asks_for_the_policy_of_the_key_and_nothing_else)
{
    uw_draft_issued(&d);
    cr_assert_eq(fake_host_plan(fh, uw_draft_msg(&d)), PAWL_OK);
    cr_assert(fake_host_read(fh, FIND_POLICY)->asked);
    cr_assert(text_is(fake_host_read(fh, FIND_POLICY)->args[0], "POL-1"));
    for (uint32_t slot = 1; slot < PAWL_SLOTS; slot++)
        cr_assert_not(fake_host_read(fh, slot)->asked);
}

Test(underwriting, a_key_that_is_no_id_never_reaches_the_database)
{
    uw_draft_issued(&d);
    d.rec.key = "\xff\xfe";
    rejected(run(0), "event.invalid");
    cr_assert_not(fake_host_read(fh, FIND_POLICY)->asked);
    d.rec.key = NULL;
    rejected(run(0), "event.invalid");
}

Test(underwriting, an_unknown_policy_is_issued)
{
    uw_draft_issued(&d);
    cr_assert_eq(run(0), PAWL_OK);
    saved("active", 1, 20089, 20453, "3", 1368446);
    charged("EV-1", 1, "issued", 1368446,
            "base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.2 use=1");
}

Test(underwriting, the_same_message_gives_the_same_effects_again)
{
    uw_draft_issued(&d);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(run(0), PAWL_OK);
        saved("active", 1, 20089, 20453, "3", 1368446);
    }
}

Test(underwriting, a_policy_is_not_issued_twice)
{
    uw_draft_issued(&d);
    policy("active", 1);
    rejected(run(1), "policy.exists");
    policy("cancelled", 2);
    rejected(run(1), "policy.exists");
}

Test(underwriting, a_renewal_without_claims_is_one_class_better)
{
    uw_draft_renewed(&d);
    policy("active", 4);
    cr_assert_eq(run(1), PAWL_OK);
    /* 5760.50 x 1.8 x 1 x 0.94 x 1 x 1.2 x 1 = 11696.1192, half up at the second digit */
    saved("active", 5, 20454, 20818, "4", 1169612);
    charged("EV-2", 5, "renewed", 1169612, "base=576050 territory=1.8 bonus_malus=1 drivers=0.94 unlimited=1 power=1.2 use=1");
}

Test(underwriting, a_renewal_after_claims_is_as_many_classes_worse_as_the_table_says)
{
    uw_draft_renewed(&d);
    d.renewed.claims = 1;
    policy("active", 1);
    cr_assert_eq(run(1), PAWL_OK);
    /* 5760.50 x 1.8 x 2.25 x 0.94 x 1 x 1.2 x 1 = 26316.2682 */
    saved("active", 2, 20454, 20818, "1", 2631627);
}

Test(underwriting, an_expired_policy_may_be_renewed_later)
{
    uw_draft_renewed(&d);
    d.period.starts_on = TEXT("2028-03-01");
    d.period.ends_on   = TEXT("2029-02-28");
    policy("active", 1);
    cr_assert_eq(run(1), PAWL_OK);
}

Test(underwriting, a_renewal_must_begin_after_the_last_period)
{
    uw_draft_renewed(&d);
    d.period.starts_on = TEXT("2025-12-31");
    d.period.ends_on   = TEXT("2026-12-30");
    policy("active", 1);
    rejected(run(1), "date.out_of_period");
    cr_assert_not_null(strstr(fake_host_detail(fh), "ends on 2025-12-31"));
}

Test(underwriting, a_cancellation_pays_the_unused_days_back)
{
    uw_draft_cancelled(&d);
    policy("active", 1);
    cr_assert_eq(run(1), PAWL_OK);
    saved("cancelled", 2, 20089, 20453, "3", 1368446);
    charged("EV-3", 2, "cancelled", -346423, "premium=1368446 unused_days=120 days=365 returned=0.77");
}

Test(underwriting, a_cancellation_lies_inside_the_period)
{
    uw_draft_cancelled(&d);
    policy("active", 1);
    d.cancelled.cancelled_on = TEXT("2024-12-31");
    rejected(run(1), "date.out_of_period");
    d.cancelled.cancelled_on = TEXT("2025-01-01");
    cr_assert_eq(run(1), PAWL_OK);
    d.cancelled.cancelled_on = TEXT("2025-12-31");
    cr_assert_eq(run(1), PAWL_OK);
    d.cancelled.cancelled_on = TEXT("2026-01-01");
    rejected(run(1), "date.out_of_period");
}

Test(underwriting, what_is_not_there_or_is_over_cannot_change)
{
    uw_draft_renewed(&d);
    rejected(run(0), "policy.unknown");
    policy("cancelled", 2);
    rejected(run(1), "policy.cancelled");
    uw_draft_cancelled(&d);
    rejected(run(0), "policy.unknown");
    rejected(run(1), "policy.cancelled");
}

Test(underwriting, what_the_tariff_does_not_know_is_rejected)
{
    uw_draft_issued(&d);
    d.issued.bonus_malus_class = TEXT("14");
    rejected(run(0), "tariff.unknown_bonus_malus");
    uw_draft_issued(&d);
    d.risk.vehicle_class = TEXT("spaceship");
    rejected(run(0), "tariff.unknown_class");
    uw_draft_issued(&d);
    d.risk.territory = TEXT("atlantis");
    rejected(run(0), "tariff.unknown_territory");
    uw_draft_renewed(&d);
    policy("active", 1);
    row[4] = pawl_text(pawl_cstr("gone"));
    rejected(run(1), "tariff.unknown_bonus_malus");
}

Test(underwriting, a_newer_kind_of_event_is_skipped)
{
    uw_draft_issued(&d);
    d.rec.ce_type = "auto.policy.suspended.v1";
    cr_assert_eq(run(0), PAWL_SKIP);
    cr_assert_eq(fake_host_writes(fh), 0);
}

Test(underwriting, a_broken_event_is_rejected_with_its_code)
{
    uw_draft_issued(&d);
    d.rec.ce_type = NULL;
    rejected(run(0), "event.missing_header");
    uw_draft_issued(&d);
    d.period.ends_on = TEXT("2024-01-01");
    rejected(run(0), "event.invalid");
    cr_assert_not_null(strstr(fake_host_detail(fh), "period.ends_on"));
}

Test(underwriting, it_does_not_start_with_a_tariff_that_contradicts_itself)
{
    struct fake_host *bad = fake_host_new_text(pl, "rounding = \"sometimes\";");

    cr_assert_eq(fake_host_create(bad), PAWL_FATAL);
    cr_assert_str_eq(fake_host_log(bad), "rounding must be half-up, half-even or down");
    fake_host_free(bad);
}
