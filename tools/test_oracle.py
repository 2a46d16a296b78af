#!/usr/bin/env python3
"""Tests of the oracle: what it works out is right, and it turns red for every kind of damage.

Environment: UW_REPLAY, the program that leaves behind what a faultless run would; UW_TARIFF, the shipped tariff.
"""

import contextlib
import csv
import functools
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import oracle  # noqa: E402
import premiums  # noqa: E402

REPLAY, TARIFF = os.environ["UW_REPLAY"], os.environ["UW_TARIFF"]
NAMES = ("partition offset timestamp_ms key ce_id ce_type decode event_id policy_id occurred_at_us body starts_on ends_on bonus_malus_class "
         "claims cancelled_on reason_bytes vehicle_class territory engine_power_hp use_months unlimited_drivers drivers bug redriven effective_on trailer registered_abroad").split()


def shipped():
    return premiums.Tariff(pathlib.Path(TARIFF).read_text(encoding="utf-8"))


def event(offset, kind, **changes):
    """A good event of POL-1: a private car in Moscow with 120 hp, class 3, one driver of 35 with ten years of experience."""
    row = dict.fromkeys(NAMES, "\\N")
    row.update(partition="0", offset=str(offset), timestamp_ms="0", key="POL-1", ce_id=f"EV-{offset}", ce_type=f"auto.policy.{kind}.v1",
               decode="ok", event_id=f"EV-{offset}", policy_id="POL-1", occurred_at_us="1735689600000000", body=kind)
    if kind == "cancelled":
        row.update(cancelled_on="2025-09-02", reason_bytes="4")
    elif kind == "corrected":
        row.update(effective_on="2025-06-01", bonus_malus_class="", reason_bytes="4", vehicle_class="car_private", territory="moscow",
                   engine_power_hp="121", use_months="12", unlimited_drivers="0", drivers="1989-06-15/2014-03-01")
    else:
        row.update(starts_on="2025-01-01", ends_on="2025-12-31", vehicle_class="car_private", territory="moscow", engine_power_hp="120",
                   use_months="12", unlimited_drivers="0", drivers="1989-06-15/2014-03-01")
        row.update({"bonus_malus_class": "3"} if kind == "issued" else {"claims": "0", "starts_on": "2026-01-01", "ends_on": "2026-12-31"})
    row.update(changes)
    return row


def outcome(*rows):
    """What comes of the last of the events: (amount, version, class), a code, or None."""
    expected, policies = premiums.expect(shipped(), list(rows))
    last = expected[max(expected)]
    return (last[0].amount, last[0].version, policies[last[0].policy_id].row()["bonus_malus"]) if isinstance(last, list) else last


def charges(*rows):
    """What the last of the events charges: [(kind, first day of the period, amount, class), ...]"""
    expected, _ = premiums.expect(shipped(), list(rows))
    return [(charge.kind, charge.starts_on, charge.amount, charge.bonus_malus) for charge in expected[max(expected)]]


class Config(unittest.TestCase):
    def test_the_grammar_of_a_tariff_is_read(self):
        text = 'a = "x\\"y" "z"; # one\nb : { c = [ 1, -2L ]; d = ( { e = true; }, { } ) }, // two\n/* three */ f = false'
        self.assertEqual(premiums.parse_config(text), {"a": 'x"yz', "b": {"c": [1, -2], "d": [{"e": True}, {}]}, "f": False})

    def test_what_is_no_configuration_is_refused(self):
        for text in ("a", "a = ", "a = 1.5;", "= 1", "a = { b = 1;", "a = [1;", "a = 1; a = 2;", "a b", "a = @"):
            with self.subTest(text), self.assertRaises(premiums.TariffError):
                premiums.parse_config(text)


class Rules(unittest.TestCase):
    def test_each_rule_rounds_as_its_name_says(self):
        tariff = shipped()
        for rule, results in (("half-up", (1, 2, 3, -1, -3)), ("half-even", (0, 2, 2, 0, -2)), ("down", (0, 1, 2, 0, -2))):
            tariff.rounding = rule
            self.assertEqual(tuple(tariff.round(premiums.Fraction(x, 2)) for x in (1, 3, 5, -1, -5)), results, rule)

    def test_amounts_worked_by_hand(self):
        # 5760.50 x 1.8 x 1.17 x 0.94 x 1 x 1.2 x 1 = 13684.459464
        self.assertEqual(outcome(event(0, "issued")), (1368446, 1, "3"))
        # 9860.00 x 1.64 x 0.46 x 1 x 1.97 x 1.6 x 0.7 = 16412.0504576
        taxi = event(0, "issued", vehicle_class="taxi", territory="saint_petersburg", bonus_malus_class="13", engine_power_hp="151",
                     use_months="6", unlimited_drivers="1", drivers="")
        self.assertEqual(outcome(taxi), (1641205, 1, "13"))
        # 1548.00 x 1 x 3.92 x 2.27 x 1 x 1 x 0.5 = 6887.3616
        self.assertEqual(outcome(event(0, "issued", vehicle_class="motorcycle", territory="other", bonus_malus_class="M", use_months="3",
                                       drivers="2006-06-15/2024-12-01")), (688736, 1, "M"))
        # 6340.00 x 1 x 1 x 0.94 x 1.4 = 8343.44
        self.assertEqual(outcome(event(0, "issued", vehicle_class="truck_16t", territory="other", bonus_malus_class="4", trailer="1")), (834344, 1, "4"))
        # 5760.50 x 1 x 1 x 0.94 x 1.2 x 0.2 = 1299.5688 for two weeks
        self.assertEqual(outcome(event(0, "issued", ends_on="2025-01-14", territory="other", bonus_malus_class="4", registered_abroad="1")), (129957, 1, "4"))
        self.assertEqual(outcome(event(0, "issued", ends_on="2025-01-04", registered_abroad="1")), "tariff.no_factor")
        # 5760.50 x 1.8 x 1 x 0.94 x 1 x 1.2 x 1 = 11696.1192; class 3 without claims is 4
        self.assertEqual(outcome(event(0, "issued"), event(1, "renewed")), (1169612, 2, "4"))
        # 5760.50 x 1.8 x 2.25 x 0.94 x 1 x 1.2 x 1 = 26316.2682; class 3 with one claim is 1
        self.assertEqual(outcome(event(0, "issued"), event(1, "renewed", claims="1")), (2631627, 2, "1"))
        # 13684.46 x 120 / 365 x 0.77 = 3464.230421...
        self.assertEqual(outcome(event(0, "issued"), event(1, "cancelled")), (-346423, 2, "3"))

    def test_refusals(self):
        issued = event(0, "issued")
        for code, rows in (
                ("policy.exists", (issued, event(1, "issued"))),
                ("policy.unknown", (event(0, "renewed"),)),
                ("policy.unknown", (event(0, "cancelled"),)),
                ("policy.cancelled", (issued, event(1, "cancelled"), event(2, "cancelled"))),
                ("policy.cancelled", (issued, event(1, "cancelled"), event(2, "renewed"))),
                ("policy.exists", (issued, event(1, "cancelled"), event(2, "issued"))),
                ("date.out_of_period", (issued, event(1, "renewed", starts_on="2025-12-31", ends_on="2026-06-30"))),
                ("date.out_of_period", (issued, event(1, "cancelled", cancelled_on="2026-01-01"))),
                ("date.out_of_period", (issued, event(1, "cancelled", cancelled_on="2024-12-31"))),
                ("event.missing_header", (event(0, "issued", ce_type="\\N"),)),
                ("event.missing_header", (event(0, "issued", ce_id="\\N"),)),
                ("event.malformed", (event(0, "issued", decode="malformed"),)),
                ("event.invalid", (event(0, "issued", key="\\N"),)),
                ("event.invalid", (event(0, "issued", key="POL\\x00"),)),
                ("event.invalid", (event(0, "issued", ce_id="other"),)),
                ("event.invalid", (event(0, "issued", body="renewed"),)),
                ("event.invalid", (event(0, "issued", starts_on="2025-02-29"),)),
                ("event.invalid", (event(0, "issued", ends_on="2026-01-01"),)),
                ("event.invalid", (event(0, "issued", ends_on="2024-12-31"),)),
                ("event.invalid", (event(0, "issued", starts_on="\\N"),)),
                ("event.invalid", (event(0, "issued", use_months="2"),)),
                ("event.invalid", (event(0, "issued", engine_power_hp="5001"),)),
                ("event.invalid", (event(0, "issued", drivers=""),)),
                ("event.invalid", (event(0, "issued", unlimited_drivers="1"),)),
                ("event.invalid", (event(0, "issued", drivers="1989-06-15/2005-06-14"),)),
                ("event.invalid", (event(0, "issued", drivers="1989-06-15/2025-01-02"),)),
                ("event.invalid", (issued, event(1, "renewed", claims="101"))),
                ("event.invalid", (issued, event(1, "cancelled", reason_bytes="201"))),
                ("tariff.unknown_class", (event(0, "issued", vehicle_class="hovercraft"),)),
                ("tariff.unknown_territory", (event(0, "issued", territory="atlantis"),)),
                ("tariff.unknown_bonus_malus", (event(0, "issued", bonus_malus_class="14"),))):
            with self.subTest(code, rows=rows[-1]):
                self.assertEqual(outcome(*rows), code)
        self.assertIsNone(outcome(event(0, "issued", ce_type="auto.policy.suspended.v1")))

    def test_a_refused_event_changes_nothing(self):
        self.assertEqual(outcome(event(0, "issued"), event(1, "renewed", starts_on="2025-12-31", ends_on="2026-06-30"), event(2, "renewed")), (1169612, 2, "4"))

    def test_corrections_and_late_events_worked_by_hand(self):
        issued, renewed = event(0, "issued"), event(1, "renewed")
        # 121 hp from 2025-06-01: (1368446 x 151 + 1596520 x 214) / 365 = 1502166.09...
        self.assertEqual(charges(issued, event(1, "corrected")), [("corrected", "2025-01-01", 133720, "")])
        # from the start: 1596520 - 1368446
        self.assertEqual(charges(issued, event(1, "corrected", effective_on="2025-01-01")), [("corrected", "2025-01-01", 228074, "3")])
        # before one that was applied: 1368446 x 59 + 1254409 x 92 + 1596520 x 214 = 537777788.., less 1502166 so far
        self.assertEqual(charges(issued, event(1, "corrected"), event(2, "corrected", effective_on="2025-03-01", engine_power_hp="100")),
                         [("corrected", "2025-01-01", -28743, "")])
        # a class, and the next period steps from it: class 2 is 2058517, and 2026 is class 3
        self.assertEqual(charges(issued, renewed, event(2, "corrected", effective_on="2025-01-01", engine_power_hp="120", bonus_malus_class="2")),
                         [("corrected", "2025-01-01", 690071, "2"), ("reclassed", "2026-01-01", 198834, "3")])
        # an end before a correction: (1368446 x 30 + 1596520 x 214) x 0.77 / 365 = 807358.4...
        self.assertEqual(charges(issued, event(1, "corrected"), event(2, "cancelled", cancelled_on="2025-05-01")),
                         [("cancelled", "2025-01-01", -807358, "")])
        # an end before a renewal: 1169612 x 0.77 = 900601.24 come back for 2026
        self.assertEqual(charges(issued, renewed, event(2, "cancelled")), [("cancelled", "2025-01-01", -346423, ""), ("cancelled", "2026-01-01", -900601, "")])
        # a correction of an ended policy: 1502166 - 404160, less 1368446 - 346423
        self.assertEqual(charges(issued, event(1, "cancelled"), event(2, "corrected")), [("corrected", "2025-01-01", 75983, "")])
        # a period in between: class 4; 2027 with a claim is then class 2 and not 1
        late = event(1, "renewed", starts_on="2027-01-01", ends_on="2027-12-31", claims="1")
        self.assertEqual(charges(issued, late, event(2, "renewed")), [("renewed", "2026-01-01", 1169612, "4"), ("reclassed", "2027-01-01", -573110, "2")])

    def test_late_events_that_are_refused(self):
        issued = event(0, "issued")
        for code, rows in (("policy.unknown", (event(0, "corrected"),)),
                           ("date.out_of_period", (issued, event(1, "corrected", effective_on="2026-01-01"))),
                           ("policy.cancelled", (issued, event(1, "cancelled"), event(2, "corrected", effective_on="2025-09-03"))),
                           ("tariff.unknown_bonus_malus", (issued, event(1, "corrected", bonus_malus_class="14"))),
                           ("tariff.unknown_territory", (issued, event(1, "corrected", territory="atlantis"))),
                           ("event.invalid", (issued, event(1, "corrected", effective_on="2025-06-31"))),
                           ("event.invalid", (issued, event(1, "corrected", reason_bytes="201"))),
                           ("event.invalid", (issued, event(1, "corrected", vehicle_class="\\N"))),
                           ("event.invalid", (issued, event(1, "corrected", drivers="1989-06-15/2025-06-02"))),
                           ("date.out_of_period", (issued, event(1, "renewed", starts_on="2024-01-01", ends_on="2024-06-30")))):
            with self.subTest(code, rows=rows[-1]):
                self.assertEqual(outcome(*rows), code)

    def test_a_period_has_room_for_thirty_corrections(self):
        rows = [event(0, "issued")] + [event(n, "corrected", effective_on=f"2025-03-{n:02}") for n in range(1, 31)]
        self.assertEqual(outcome(*rows)[1], 31)
        self.assertEqual(outcome(*rows, event(31, "corrected", effective_on="2025-04-01")), "correction.too_many")
        self.assertEqual(outcome(*rows, event(31, "renewed"), event(32, "corrected", effective_on="2026-02-01"))[1], 33)
        self.assertEqual(outcome(*rows, event(31, "renewed"), event(32, "corrected", effective_on="2026-02-01"), event(33, "corrected")), "date.out_of_period")

    def test_other_currencies_have_other_digits(self):
        for currency, amount in (("JPY", 13684), ("KWD", 13684459), ("RUB", 1368446)):
            text = pathlib.Path(TARIFF).read_text(encoding="utf-8").replace('currency = "RUB"', f'currency = "{currency}"')
            expected, _ = premiums.expect(premiums.Tariff(text), [event(0, "issued")])
            self.assertEqual(expected[(0, 0)][0].amount, amount)

    def test_words_are_worked_out_again(self):
        tariff = shipped()
        for words, amount in (
                ("base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.2 use=1", 1368446),
                ("premium=1368446 unused_days=120 days=365 returned=0.77", -346423),
                ("cost=1368446x151+1596520x214 days=365 charged=1368446", 133720),
                ("cost=1368446x151+1596520x214 unused=1368446x30+1596520x214 days=365 returned=0.77 charged=1502166", -807358),
                ("base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.4 use=1 premium=1596520 cost=1596520x365 days=365 charged=0", 1596520),
                ("base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.4 use=1 premium=1596521 cost=1596521x365 days=365 charged=0", None),
                ("base=576050", None), ("", None), ("cost=1", None), ("cost=1x1 days=0 charged=0", None)):
            self.assertEqual(premiums.amount_of(tariff, words), amount, words)

    def test_limits_are_taken_at_the_limit(self):
        for changes in ({"use_months": "3"}, {"engine_power_hp": "5000"}, {"drivers": "1989-06-15/2005-06-15"},
                        {"drivers": "1989-06-15/2025-01-01"}, {"ends_on": "2025-01-01"}, {"drivers": ";".join(["1989-06-15/2014-03-01"] * 16)}):
            with self.subTest(changes):
                self.assertIsInstance(outcome(event(0, "issued", **changes)), tuple)


@functools.lru_cache(maxsize=4)
def work_out(rows, dedupe):
    return premiums.expect(shipped(), [dict(row) for row in rows], dedupe)


def expect_once(_, rows, dedupe=False):
    """What must come of the same events is the same each time."""
    return work_out(tuple(tuple(row.items()) for row in rows), dedupe)


class Damage(unittest.TestCase):
    """A faultless run, and then one thing broken."""

    @classmethod
    def setUpClass(cls):
        once = unittest.mock.patch.object(oracle, "expect", expect_once)
        once.start()
        cls.addClassCleanup(once.stop)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        subprocess.run([REPLAY, "800", "7", "12", cls.folder.name], check=True)
        cls.twice = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.twice.cleanup)
        subprocess.run([REPLAY, "800", "7", "12", cls.twice.name, "40"], check=True)
        cls.path = pathlib.Path(cls.folder.name)
        cls.good = (oracle.read_tsv(cls.path / "events.tsv"), oracle.read_csv(cls.path / "premium.csv"),
                    oracle.read_csv(cls.path / "policy.csv"), oracle.read_csv(cls.path / "dead.csv"))

    def setUp(self):
        self.events, self.ledger, self.table, self.dead = ([dict(row) for row in rows] for rows in self.good)

    def audit(self):
        return oracle.audit_of(shipped(), self.events, self.ledger, self.table, self.dead)

    def assert_red(self, **counts):
        audit = self.audit()
        for name, n in counts.items():
            self.assertEqual(getattr(audit, name), n, f"{name}: {audit.problems}")
        self.assertFalse(audit.clean())

    def versions_of_one_policy(self):
        """Ledger rows of a policy with at least three events, in order."""
        for row in self.ledger:
            rows = [r for r in self.ledger if r["policy_id"] == row["policy_id"]]
            if len(rows) >= 3:
                return rows
        self.fail("no policy has three events")

    def test_without_damage_it_is_green(self):
        audit = self.audit()
        self.assertEqual(audit.problems, [])
        self.assertTrue(audit.clean())
        self.assertEqual(audit.line("7"), "audit sent=800 applied=788 rejected=12 lost=0 duplicated=0 disordered=0 dead=12 p95_ms=7")

    def book(self, seed):
        """What a faultless run over a realistic book leaves, as audit_of takes it."""
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([REPLAY, "3000", seed, "60", folder, "30", "book"], check=True)
            path = pathlib.Path(folder)
            return [oracle.read_tsv(path / "events.tsv"), *(oracle.read_csv(path / f"{name}.csv") for name in ("premium", "policy", "dead"))]

    def test_a_realistic_book_is_green(self):
        for seed in "1", "2":
            run = self.book(seed)
            audit = oracle.audit_of(shipped(), *run, dedupe=True)
            self.assertEqual(audit.problems, [])
            self.assertTrue(audit.clean())
            self.assertGreater(len(run[1]), audit.applied, "some events have several rows")

    def test_one_of_several_rows_that_is_missing_or_twice(self):
        run = self.book("3")
        row = next(row for row in run[1] if row["kind"] == "reclassed")
        run[1].remove(row)
        self.assertEqual(oracle.audit_of(shipped(), *run, dedupe=True).lost, 1)
        run[1] += [row, dict(row)]
        self.assertEqual(oracle.audit_of(shipped(), *run, dedupe=True).duplicated, 1)

    def test_the_order_of_the_rows_in_a_dump_does_not_matter(self):
        self.ledger.reverse()
        self.events.reverse()
        self.table.reverse()
        self.assertTrue(self.audit().clean())

    def test_a_lost_charge(self):
        del self.ledger[100]
        self.assert_red(lost=1, duplicated=0, disordered=0, mismatched=0, applied=787)

    def test_a_lost_dead_letter(self):
        del self.dead[3]
        self.assert_red(lost=1, duplicated=0, mismatched=0, rejected=11)

    def test_everything_lost(self):
        self.ledger, self.table, self.dead = [], [], []
        self.assert_red(lost=800, applied=0, rejected=0)

    def test_a_charge_twice(self):
        self.ledger.append(dict(self.ledger[50]))
        self.assert_red(lost=0, duplicated=1, disordered=0, mismatched=0)

    def test_a_charge_three_times(self):
        self.ledger += [dict(self.ledger[50]), dict(self.ledger[50])]
        self.assert_red(duplicated=2)

    def test_a_dead_letter_twice(self):
        self.dead.append(dict(self.dead[0]))
        self.assert_red(lost=0, duplicated=1)

    def test_charged_and_dead(self):
        row = self.ledger[7]
        self.dead.append({"topic": "auto.events", "partition": row["source_partition"], "source_offset": row["source_offset"], "code": "x"})
        self.assert_red(duplicated=1)

    def test_an_event_id_charged_under_two_coordinates(self):
        self.ledger[20]["event_id"] = self.ledger[21]["event_id"]
        self.assert_red(duplicated=1, mismatched=1)

    def test_two_events_of_a_policy_swapped(self):
        first, second, *_ = self.versions_of_one_policy()
        first["policy_version"], second["policy_version"] = second["policy_version"], first["policy_version"]
        self.assert_red(lost=0, duplicated=0, disordered=1, mismatched=2)

    def test_an_update_lost_between_two_events(self):
        rows = self.versions_of_one_policy()
        rows[-1]["policy_version"] = rows[-2]["policy_version"]
        self.assert_red(lost=0, duplicated=0, disordered=1)

    def test_a_version_skipped(self):
        rows = self.versions_of_one_policy()
        rows[-1]["policy_version"] = str(int(rows[-1]["policy_version"]) + 1)
        self.assert_red(lost=0, disordered=0, mismatched=1)

    def test_a_wrong_amount(self):
        self.ledger[9]["amount_minor"] = str(int(self.ledger[9]["amount_minor"]) + 1)
        self.assert_red(lost=0, duplicated=0, disordered=0, mismatched=1)

    def test_words_that_do_not_come_to_the_amount(self):
        self.ledger[9]["breakdown"] = self.ledger[9]["breakdown"].replace("=", "=1", 1)
        self.assert_red(lost=0, duplicated=0, disordered=0, mismatched=1)

    def test_a_wrong_period_class_or_claims(self):
        row = next(row for row in self.ledger if row["kind"] == "renewed")
        for name, value in (("starts_on", "2000-01-01"), ("ends_on", "2000-01-01"), ("from_day", "2000-01-01"), ("bonus_malus", "x"), ("claims", "77")):
            with self.subTest(name):
                was, row[name] = row[name], value
                self.assert_red(mismatched=1)
                row[name] = was

    def test_a_wrong_kind_policy_or_currency(self):
        self.ledger[9]["kind"] = "gift"
        self.ledger[10]["currency"] = "USD"
        self.assert_red(mismatched=2)

    def test_a_policy_in_another_state(self):
        for name, value in (("status", "lapsed"), ("version", "99"), ("starts_on", "2000-01-01"), ("ends_on", "2000-01-01"),
                            ("bonus_malus", "x"), ("premium_minor", "1"), ("currency", "USD"), ("cancelled_on", "2000-01-01"),
                            ("facts", "P 2025-01-01 2025-12-31 1 -;F 0 3 g 1 1 1 1 1 1 1;"), ("facts", ""), ("facts", "x")):
            with self.subTest(name):
                self.setUp()
                self.table[5][name] = value
                self.assert_red(lost=0, mismatched=1)

    def test_a_policy_missing_doubled_or_unknown(self):
        gone = self.table.pop()
        self.assert_red(mismatched=1)
        self.table += [gone, dict(gone)]
        self.assert_red(mismatched=1)
        self.table[-1]["policy_id"] = "POL-nobody"
        self.assert_red(mismatched=1)

    def test_an_effect_without_an_event(self):
        row = dict(self.ledger[0], source_offset="999999", event_id="none", policy_id="POL-nobody")
        self.ledger.append(row)
        self.assert_red(mismatched=1)

    def test_a_dead_letter_with_another_code(self):
        self.dead[0]["code"] = "crash"
        self.assert_red(mismatched=1, lost=0)

    def test_refused_although_good(self):
        row = self.ledger.pop(30)
        self.dead.append({"topic": "auto.events", "partition": row["source_partition"], "source_offset": row["source_offset"], "code": "x"})
        self.assert_red(mismatched=1, lost=0, duplicated=0)

    def test_charged_although_bad(self):
        letter = self.dead.pop(1)
        self.ledger.append(dict(self.ledger[0], source_offset=letter["source_offset"], event_id="e", policy_id="POL-nobody"))
        self.assert_red(mismatched=1, lost=0)

    def test_a_skipped_type_has_no_effect(self):
        self.events.append(event(800, "issued", ce_type="auto.policy.suspended.v1"))
        audit = self.audit()
        self.assertTrue(audit.clean())
        self.assertEqual(audit.skipped, 1)
        self.dead.append({"topic": "auto.events", "partition": "0", "source_offset": "800", "code": "x"})
        self.assert_red(mismatched=1)

    def crash(self):
        """An event that killed its worker, is a dead letter, and was sent again under the good release."""
        first = event(800, "issued", key="POL-crash", policy_id="POL-crash", bug="segfault")
        again = dict(first, offset="801", redriven="1")
        expected, policies = premiums.expect(shipped(), [first, again])
        charge = expected[(0, 801)][0]
        self.events += [first, again]
        self.dead.append({"topic": "auto.events", "partition": "0", "source_offset": "800", "code": "crash.SIGSEGV"})
        self.ledger.append(dict(self.ledger[0], source_offset="801", event_id=charge.event_id, policy_id=charge.policy_id, kind=charge.kind,
                                policy_version=str(charge.version), amount_minor=str(charge.amount), currency=charge.currency, starts_on=charge.starts_on,
                                ends_on=charge.ends_on, from_day=charge.from_day, bonus_malus=charge.bonus_malus, claims="",
                                breakdown="base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.2 use=1"))
        self.table.append(dict(policies["POL-crash"].row(), policy_id="POL-crash",
                               facts="P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1;"))

    def test_what_a_bad_release_died_of_is_dead_once_and_applied_when_it_is_sent_again(self):
        self.crash()
        audit = self.audit()
        self.assertEqual(audit.problems, [])
        self.assertTrue(audit.clean())
        self.assertEqual(audit.line("7"), "audit sent=802 applied=789 rejected=12 lost=0 duplicated=0 disordered=0 dead=13 redriven=1 p95_ms=7")

    def test_what_a_bad_release_died_of_and_nobody_sent_again(self):
        self.crash()
        del self.events[-1], self.ledger[-1], self.table[-1]
        self.assert_red(lost=1, duplicated=0, mismatched=0, redriven=0)

    def test_what_was_sent_again_and_is_dead_again(self):
        self.crash()
        del self.ledger[-1], self.table[-1]
        self.dead.append(dict(self.dead[-1], source_offset="801"))
        self.assert_red(lost=1, duplicated=0, dead=14)

    def test_what_was_sent_again_twice(self):
        self.crash()
        self.events.append(dict(self.events[-1], offset="802"))
        self.dead.append(dict(self.dead[-1], source_offset="802", code="policy.exists"))
        self.assert_red(lost=0, duplicated=1, mismatched=0)

    def test_a_good_event_that_killed_its_worker(self):
        row = self.ledger.pop(30)
        self.dead.append({"topic": "auto.events", "partition": row["source_partition"], "source_offset": row["source_offset"], "code": "crash.SIGSEGV"})
        self.assert_red(mismatched=1, dead=13, rejected=12)

    def copies(self):
        """The same run with forty events that came twice and were passed over the second time."""
        path = pathlib.Path(self.twice.name)
        self.events, self.ledger = oracle.read_tsv(path / "events.tsv"), oracle.read_csv(path / "premium.csv")
        self.table, self.dead = oracle.read_csv(path / "policy.csv"), oracle.read_csv(path / "dead.csv")
        return lambda: oracle.audit_of(shipped(), self.events, self.ledger, self.table, self.dead, dedupe=True)

    def a_copy(self):
        """The coordinates of one, and the row of the ledger that the first had."""
        seen = {}
        for row in self.events:
            if row["ce_id"] in seen:
                return row, next(r for r in self.ledger if r["event_id"] == row["ce_id"])
            seen[row["ce_id"]] = row
        self.fail("nothing came twice")

    def test_copies_that_were_passed_over(self):
        audit = self.copies()()
        self.assertEqual(audit.problems, [])
        self.assertTrue(audit.clean())
        self.assertEqual(audit.line("7"), "audit sent=840 applied=788 rejected=12 lost=0 duplicated=0 disordered=0 dead=12 deduplicated=40 p95_ms=7")

    def test_the_same_run_is_red_where_nothing_passes_over_copies(self):
        self.copies()
        self.assertFalse(self.audit().clean())

    def test_a_copy_that_was_applied(self):
        look = self.copies()
        row, charge = self.a_copy()
        self.ledger.append(dict(charge, source_offset=row["offset"]))
        audit = look()
        self.assertEqual((audit.duplicated, audit.lost, audit.deduplicated), (1, 0, 39))
        self.assertFalse(audit.clean())

    def test_a_copy_that_is_dead(self):
        look = self.copies()
        row, _ = self.a_copy()
        self.dead.append({"topic": "auto.events", "partition": "0", "source_offset": row["offset"], "code": "policy.exists"})
        audit = look()
        self.assertEqual((audit.mismatched, audit.deduplicated), (1, 39))
        self.assertFalse(audit.clean())

    def test_an_event_of_which_both_records_were_passed_over(self):
        look = self.copies()
        _, charge = self.a_copy()
        self.ledger.remove(charge)
        audit = look()
        self.assertEqual((audit.lost, audit.deduplicated), (1, 40))

    def test_who_is_refused_keeps_no_id_and_who_is_skipped_does(self):
        def ends(*rows):
            expected, _ = premiums.expect(shipped(), list(rows), dedupe=True)
            return [want if isinstance(want, str) or want is None else want[0].kind for _, want in sorted(expected.items())]
        issued, renewed = event(0, "issued"), event(1, "renewed", ce_id="EV-0", event_id="EV-0")
        self.assertEqual(ends(issued, renewed), ["issued", premiums.COPY])
        self.assertEqual(ends(event(0, "renewed"), event(1, "issued", ce_id="EV-0", event_id="EV-0"), event(2, "issued", ce_id="EV-0", event_id="EV-0")),
                         ["policy.unknown", "issued", premiums.COPY])
        self.assertEqual(ends(event(0, "issued", ce_type="other"), event(1, "issued", ce_id="EV-0", event_id="EV-0")), [None, premiums.COPY])

    def books(self):
        def kind(row):
            return "credit_note" if row["kind"] == "cancelled" or int(row["amount_minor"]) < 0 else "invoice"
        return [{"policy_id": row["policy_id"], "policy_version": row["policy_version"], "kind": kind(row),
                 "amount_minor": str(abs(int(row["amount_minor"]))), "currency": row["currency"]} for row in self.ledger]

    def test_the_books_of_the_chain(self):
        def look(documents):
            return oracle.audit_of(shipped(), self.events, self.ledger, self.table, self.dead, documents)
        self.assertTrue(look(self.books()).clean())
        self.assertIn(" dead=12 billed=788 ", look(self.books()).line("7"))
        self.assertEqual(look(self.books()[1:]).lost, 1)
        self.assertEqual(look(self.books() + self.books()[:2]).duplicated, 2)
        self.assertEqual(look(self.books() + [dict(self.books()[0], policy_id="POL-nobody")]).mismatched, 1)
        for name, value in (("amount_minor", "1"), ("kind", "gift"), ("currency", "USD")):
            self.assertEqual(look([dict(self.books()[0], **{name: value})] + self.books()[1:]).mismatched, 1)

    def test_a_record_read_twice(self):
        self.events.append(dict(self.events[0]))
        with self.assertRaises(ValueError):
            self.audit()

    def run_main(self, **changed):
        paths = {name: str(self.path / file) for name, file in
                 (("events", "events.tsv"), ("premium", "premium.csv"), ("policy", "policy.csv"), ("dead", "dead.csv"))}
        paths.update(tariff=TARIFF, **changed)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = oracle.main([part for name, path in paths.items() for part in (f"--{name}", path)] + ["--p95-ms", "3.5"])
        return code, out.getvalue(), err.getvalue()

    def test_what_was_acknowledged_is_where_the_gateway_said(self):
        audit, here = oracle.Audit(), {"partition": "0", "offset": "7", "ce_id": "EV-7"}
        oracle.check_acks(audit, [here], [{"event_id": "EV-7", "partition": "0", "offset": "7"}])
        self.assertEqual((audit.lost, audit.problems), (0, []))
        oracle.check_acks(audit, [here], [{"event_id": "EV-8", "partition": "0", "offset": "7"}, {"event_id": "EV-7", "partition": "1", "offset": "7"}])
        self.assertEqual(audit.lost, 2)
        acks = self.path / "acks.tsv"
        acks.write_text("event_id\tpartition\toffset\nEV-nobody\t0\t0\n", encoding="ascii")
        code, out, err = self.run_main(acks=str(acks))
        self.assertEqual((code, "lost=1 " in out, "EV-nobody was acknowledged" in err), (1, True, True))

    def test_the_command_says_so_with_its_last_line_and_exit_status(self):
        self.assertEqual(self.run_main(), (0, "audit sent=800 applied=788 rejected=12 lost=0 duplicated=0 disordered=0 dead=12 p95_ms=3.5\n", ""))
        broken = self.path / "broken.csv"
        with open(broken, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.ledger[0])
            writer.writeheader()
            writer.writerows(self.ledger[30:])
        code, out, err = self.run_main(premium=str(broken))
        self.assertEqual(code, 1)
        self.assertIn("lost=30 ", out.splitlines()[-1])
        self.assertEqual(len(err.splitlines()), 21, "twenty of them, and how many more")
        self.assertEqual(self.run_main(dead=str(self.path / "nothing.csv"))[0], 2)


if __name__ == "__main__":
    unittest.main()
