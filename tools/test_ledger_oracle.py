#!/usr/bin/env python3
"""Tests of the ledger oracle: figures worked by hand are right, and it turns red for every kind of damage.

Environment: BILLING_CFG, the shipped configuration.
"""

import contextlib
import copy
import io
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import ledger_oracle as lo  # noqa: E402

CONFIG = pathlib.Path(os.environ["BILLING_CFG"])
NAMES = ("partition offset timestamp_ms key ce_id ce_type decode event_id policy_id occurred_at_us source_event_id policy_version currency "
         "amount_minor starts_on ends_on agent_id body cause cancelled_on effective_on").split()
JANUARY, MARCH = 1736942400000000, 1741608000000000  # 2025-01-15 and 2025-03-10, noon UTC


def premium(offset, policy, version, amount, body="charged", cause="issued", **changes):
    cause = cause if body == "charged" else "cancelled" if cause == "issued" else cause
    row = dict.fromkeys(NAMES, "\\N")
    row.update(partition="0", offset=str(offset), key=policy, ce_id=f"E{offset}.{body}", ce_type=f"auto.premium.{body}.v1", decode="ok",
               event_id=f"E{offset}.{body}", policy_id=policy, occurred_at_us=str(JANUARY), source_event_id=f"E{offset}", currency="RUB",
               policy_version=str(version), amount_minor=str(amount), starts_on="2025-01-01", ends_on="2025-12-31", agent_id="AG-07", body=body,
               cause=cause, effective_on="")
    row.update(changes)
    return row


def charge(event):
    """The row of underwriting's ledger that the event is of."""
    amount = int(event["amount_minor"]) * (-1 if event["body"] == "refunded" else 1)
    return {"policy_id": event["policy_id"], "event_id": event["source_event_id"], "policy_version": event["policy_version"], "kind": event["cause"],
            "amount_minor": str(amount), "currency": event["currency"], "starts_on": event["starts_on"], "ends_on": event["ends_on"],
            "from_day": event["effective_on"] or event["starts_on"]}


def document(offset, policy, version, kind, amount, commission, month, issued_on, agent, corrects=""):
    return {"policy_id": policy, "policy_version": str(version), "kind": kind, "amount_minor": str(amount), "commission_minor": str(commission),
            "corrects": str(corrects), "month": month, "issued_on": issued_on, "starts_on": "2025-01-01", "ends_on": "2025-12-31",
            "currency": "RUB", "agent_id": agent, "event_id": f"E{offset}.{'charged' if kind == 'invoice' else 'refunded'}",
            "source_topic": "auto.premiums", "source_partition": "0", "source_offset": str(offset)}


def source(offset, **more):
    return {"source_topic": "auto.premiums", "source_partition": "0", "source_offset": str(offset), **{k: str(v) for k, v in more.items()}}


def lines(offset, month, *rows):
    return [source(offset, number=n, account=account, debit_minor=debit, credit_minor=credit, month=month, currency="RUB")
            for n, (account, debit, credit) in enumerate(rows, 1)]


def due(offset, *rows):
    return [source(offset, number=n, due_on=day, amount_minor=amount) for n, (day, amount) in enumerate(rows, 1)]


def act(agent, month, number, documents, charged, refunded, commission):
    return {"agent_id": agent, "month": month, "number": str(number), "currency": "RUB", "documents": str(documents),
            "charged_minor": str(charged), "refunded_minor": str(refunded), "commission_minor": str(commission)}


def faultless():
    """Three policies, worked by hand with the shipped configuration; January is closed, and one charge came after that."""
    events = [premium(0, "P1", 1, 1368446),
              premium(1, "P2", 1, 399999, agent_id=""),
              premium(2, "P1", 2, 346423, "refunded", occurred_at_us=str(MARCH), agent_id="AG-99", cancelled_on="2025-09-02"),
              premium(3, "P3", 1, 1000, currency="USD"),
              premium(4, "P4", 1, 25),
              premium(5, "P4", 2, 0, "refunded", cancelled_on="2025-12-31")]
    one, three, two = "2025-01-01", "2025-03-01", "2025-02-01"
    books = {
        "document": [document(0, "P1", 1, "invoice", 1368446, 136845, one, "2025-01-15", "AG-07"),
                     document(1, "P2", 1, "invoice", 399999, 0, one, "2025-01-15", ""),
                     document(2, "P1", 2, "credit_note", 346423, 34642, three, "2025-03-10", "AG-07", 1),
                     document(4, "P4", 1, "invoice", 25, 3, two, "2025-01-15", "AG-07"),
                     document(5, "P4", 2, "credit_note", 0, 0, two, "2025-01-15", "AG-07", 1)],
        "entry": [source(n, month=month, currency="RUB") for n, month in ((0, one), (1, one), (2, three), (4, two))],
        "line": [*lines(0, one, ("1210", 1368446, 0), ("4110", 0, 1368446), ("5110", 136845, 0), ("2310", 0, 136845)),
                 *lines(1, one, ("1210", 399999, 0), ("4110", 0, 399999)),
                 *lines(2, three, ("4120", 346423, 0), ("2210", 0, 346423), ("2310", 34642, 0), ("5110", 0, 34642)),
                 *lines(4, two, ("1210", 25, 0), ("4110", 0, 25), ("5110", 3, 0), ("2310", 0, 3))],
        "instalment": [*due(0, ("2025-01-25", 342113), ("2025-04-26", 342111), ("2025-07-26", 342111), ("2025-10-25", 342111)),
                       *due(1, ("2025-01-25", 399999)), *due(4, ("2025-01-25", 25))],
        "act": [act("", one, 1, 1, 399999, 0, 0), act("AG-07", one, 1, 1, 1368446, 0, 136845)],
        "period": [{"month": one}],
        "dead": [{"topic": "auto.premiums", "partition": "0", "source_offset": "3", "code": "premium.wrong_currency"}],
    }
    acts = [{**row, "month": row["month"][:7]} for row in books["act"]]
    return events, [charge(event) for event in events], books, acts


class Run(unittest.TestCase):
    def setUp(self):
        self.events, self.ledger, self.books, self.acts = copy.deepcopy(faultless())

    def found(self):
        rules = lo.Rules(CONFIG.read_text(encoding="utf-8"))
        return lo.audit_of(rules, self.events, self.ledger, self.books, self.acts)

    def red(self, what):
        found = self.found()
        self.assertTrue(found.problems[what], f"{what} must be wrong: {found.all()}")

    def test_a_faultless_run_is_green(self):
        self.assertEqual(self.found().all(), [])

    def test_records_of_other_types_are_left_alone(self):
        self.events.append(premium(9, "X", 1, 1, ce_type="auto.period.closed.v1", decode="malformed"))
        self.assertEqual(self.found().all(), [])

    # ---- premiums ----

    def test_a_premium_that_is_missing_twice_or_from_nowhere(self):
        for change in (lambda: self.events.pop(1), lambda: self.events.append({**self.events[1], "offset": "9"}),
                       lambda: self.ledger.pop(1), lambda: self.ledger.append(self.ledger[1])):
            self.setUp()
            change()
            self.red("premiums")

    def test_a_premium_with_a_wrong_figure(self):
        for name, value in (("amount_minor", "1"), ("currency", "EUR"), ("policy_version", "7"), ("body", "refunded"), ("cause", "renewed"),
                            ("ce_id", "other"), ("key", "P9"), ("ce_type", "auto.premium.refunded.v1"), ("decode", "malformed"),
                            ("source_event_id", "E9"), ("event_id", "E9.charged")):
            with self.subTest(name):
                self.setUp()
                self.events[0][name] = value
                self.red("premiums")

    def test_a_refund_with_the_wrong_sign(self):
        self.ledger[2]["amount_minor"] = "346423"
        self.red("premiums")

    def test_premiums_of_a_policy_out_of_order_or_in_two_partitions(self):
        self.events[0]["offset"], self.events[2]["offset"] = "2", "0"
        self.red("premiums")
        self.setUp()
        self.events[2]["partition"] = "1"
        self.red("premiums")

    # ---- books ----

    def test_a_row_that_is_missing_or_twice(self):
        for name in ("document", "entry", "line", "instalment", "dead"):
            for change in (lambda rows: rows.pop(0), lambda rows: rows.append(rows[0])):
                with self.subTest(name):
                    self.setUp()
                    change(self.books[name])
                    self.red("ledger")

    def test_a_wrong_figure_in_any_row(self):
        for table, columns in (("document", "policy_id policy_version kind amount_minor commission_minor issued_on starts_on ends_on month agent_id "
                                            "event_id source_offset"),
                               ("entry", "month currency source_offset"),
                               ("line", "account debit_minor month currency source_offset number"),
                               ("instalment", "due_on amount_minor source_offset"), ("dead", "code source_offset")):
            for column in columns.split():
                with self.subTest(f"{table}.{column}"):
                    self.setUp()
                    row = self.books[table][0]
                    is_day = column in ("issued_on", "starts_on", "ends_on", "month", "due_on")
                    row[column] = "2024-06-01" if is_day else "7" if row[column].isdigit() else "credit_note" if column == "kind" else "other"
                    self.red("ledger")

    def test_an_entry_that_balances_but_is_not_the_right_one(self):
        for row, minor in zip(self.books["line"][:2], ("debit_minor", "credit_minor")):
            row[minor] = "1368447"
        self.red("ledger")

    def test_what_is_not_in_the_topic(self):
        self.books["document"].append(document(77, "P7", 1, "invoice", 1, 0, "2025-02-01", "2025-01-15", ""))
        self.red("ledger")
        self.setUp()
        self.books["line"] += lines(77, "2025-02-01", ("1210", 1, 0), ("4110", 0, 1))
        self.red("ledger")

    def test_a_month_is_the_events_own_or_the_first_open_one(self):
        self.books["document"][3]["month"] = "2025-03-01"
        self.red("ledger")

    def test_a_refund_of_what_was_never_charged_must_be_a_dead_letter(self):
        self.events[2]["starts_on"] = "2024-01-01"
        self.red("ledger")
        self.setUp()
        self.events[2]["amount_minor"] = "1368447"
        self.red("ledger")

    # ---- corrections ----

    def corrected(self):
        """P1 costs 1337.20 more from June on, then 500.00 less; the agent of the first invoice has both, whoever the events name."""
        more = premium(6, "P1", 2, 133720, cause="corrected", effective_on="2025-06-01", agent_id="AG-99")
        less = premium(7, "P1", 3, 50000, "refunded", "corrected", effective_on="2025-07-01", agent_id="")
        one, two = "2025-01-01", "2025-02-01"
        self.events[2].update(policy_version="4")
        self.ledger[2].update(policy_version="4")
        self.books["document"][2].update(policy_version="4", corrects="2", commission_minor="34642")
        self.events[2]["offset"] = "8"
        for name in ("document", "entry", "line"):
            for row in self.books[name]:
                if row["source_offset"] == "2":
                    row["source_offset"] = "8"
        self.events += [more, less]
        self.ledger += [charge(more), charge(less)]
        self.books["document"] += [document(6, "P1", 2, "invoice", 133720, 13372, two, "2025-01-15", "AG-07"),
                                   document(7, "P1", 3, "credit_note", 50000, 5000, two, "2025-01-15", "AG-07", 2)]
        self.books["entry"] += [source(n, month=two, currency="RUB") for n in (6, 7)]
        self.books["line"] += [*lines(6, two, ("1210", 133720, 0), ("4110", 0, 133720), ("5110", 13372, 0), ("2310", 0, 13372)),
                               *lines(7, two, ("4120", 50000, 0), ("2210", 0, 50000), ("2310", 5000, 0), ("5110", 0, 5000))]
        self.books["instalment"] += due(6, ("2025-01-25", 133720))

    def test_what_is_added_to_a_period_and_what_is_taken_off_it(self):
        self.corrected()
        self.assertEqual(self.found().all(), [])

    def test_a_correction_that_is_booked_wrong(self):
        for number, changes in ((5, {"agent_id": "AG-99"}), (5, {"commission_minor": "0"}), (6, {"commission_minor": "4999"}), (6, {"corrects": "1"}),
                                (6, {"kind": "invoice", "corrects": ""}), (2, {"commission_minor": "31662"})):
            with self.subTest(number, **changes):
                self.setUp()
                self.corrected()
                self.books["document"][number].update(changes)
                self.red("ledger")
        self.setUp()
        self.corrected()
        self.books["instalment"][-1:] = due(6, ("2025-01-25", 33430), ("2025-04-26", 33430), ("2025-07-26", 33430), ("2025-10-25", 33430))
        self.red("ledger")

    def test_a_correction_that_went_out_wrong(self):
        for changes in ({"cause": "issued"}, {"effective_on": "2025-06-02"}, {"effective_on": ""}, {"starts_on": "2024-01-01"}, {"amount_minor": "1"}):
            with self.subTest(**changes):
                self.setUp()
                self.corrected()
                self.events[6].update(changes)
                self.red("premiums")

    def test_more_back_than_a_period_has_is_a_dead_letter(self):
        self.corrected()
        self.events[-1]["amount_minor"] = self.ledger[-1]["amount_minor"] = "1502167"
        self.red("ledger")

    # ---- acts ----

    def test_acts_that_are_missing_twice_or_wrong(self):
        for rows in ("table", "topic"):
            for change in (lambda r: r.pop(0), lambda r: r.append(r[0]), lambda r: r[0].update(number="2"),
                           lambda r: r[0].update(charged_minor="1"), lambda r: r[1].update(commission_minor="1"),
                           lambda r: r[1].update(documents="2"), lambda r: r[1].update(agent_id="AG-08")):
                self.setUp()
                change(self.books["act"] if rows == "table" else self.acts)
                self.red("acts")

    def test_numbers_go_on_from_month_to_month(self):
        self.books["period"].append({"month": "2025-03-01"})
        more = [act("AG-07", "2025-02-01", 2, 2, 25, 0, 3), act("AG-07", "2025-03-01", 3, 1, 0, 346423, -34642)]
        self.books["act"] += more
        self.acts += [{**row, "month": row["month"][:7]} for row in more]
        self.assertEqual(self.found().all(), [])
        self.books["act"][-1]["number"] = "4"
        self.red("acts")


class Rounding(unittest.TestCase):
    def test_each_rule_rounds_as_its_name_says(self):
        rules = lo.Rules(CONFIG.read_text(encoding="utf-8"))
        for rule, results in (("half-up", (1, 2, 3)), ("half-even", (0, 2, 2)), ("down", (0, 1, 2))):
            rules.rounding = rule
            self.assertEqual(tuple(rules.round(lo.Fraction(x, 2)) for x in (1, 3, 5)), results, rule)


class Command(unittest.TestCase):
    def run_it(self, damage=lambda *_: None, missing=None, books=True):
        events, ledger, tables, acts = copy.deepcopy(faultless())
        damage(events, ledger, tables, acts)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)

            def write(name, rows, separator):
                names = list(rows[0])
                folder.joinpath(name).write_text("\n".join([separator.join(names), *(separator.join(r[n] for n in names) for r in rows)]) + "\n")
            write("premiums.tsv", events, "\t")
            write("premium.csv", ledger, ",")
            write("acts.tsv", acts, "\t")
            for name, rows in tables.items():
                write(f"{name}.csv", rows, ",")
            if missing:
                (folder / missing).unlink()
            args = ["--premiums", str(folder / "premiums.tsv"), "--ledger", str(folder / "premium.csv")]
            if books:
                args += ["--books", str(folder), "--acts", str(folder / "acts.tsv"), "--config", str(CONFIG)]
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = lo.main(args)
            return code, out.getvalue(), err.getvalue()

    def test_what_matches_is_the_last_line(self):
        self.assertEqual(self.run_it(), (0, "books premiums=match ledger=balanced acts=match documents=5 acts=2 events=6\n", ""))
        self.assertEqual(self.run_it(books=False), (0, "books premiums=match events=6\n", ""))

    def test_what_does_not_is_said_and_is_exit_code_1(self):
        code, out, err = self.run_it(lambda events, ledger, tables, acts: tables["line"].pop(1))
        self.assertEqual((code, out), (1, "books premiums=match ledger=wrong acts=match documents=5 acts=2 events=6\n"))
        self.assertIn("document P1/1 is booked as", err)
        self.assertIn("does not balance: 1368446", err)

    def test_premiums_are_worked_out_from_the_policy_events(self):
        """The ledger and the topic agree with each other, and not with what the events cost."""
        import premiums
        import test_oracle
        rows = [test_oracle.event(0, "issued"), test_oracle.event(1, "corrected")]
        expected, _ = premiums.expect(test_oracle.shipped(), rows)
        ledger = [{"source_partition": "0", "source_offset": str(at[1]), "breakdown": "", **{
            name: str(getattr(c, name)) for name in ("event_id", "policy_id", "kind", "currency", "starts_on", "ends_on", "from_day", "bonus_malus", "claims")},
            "policy_version": str(c.version), "amount_minor": str(c.amount)} for at, charged in expected.items() for c in charged]

        def problems():
            found = lo.Findings()
            lo.check_amounts(found, test_oracle.shipped(), rows, ledger, False)
            return found.problems["premiums"]
        self.assertEqual(problems(), [])
        ledger[1]["amount_minor"] = "133719"
        self.assertEqual(len(problems()), 2)
        del ledger[1]
        self.assertEqual(len(problems()), 1)
        ledger.append(dict(ledger[0]))
        self.assertEqual(len(problems()), 2)

    def test_a_file_that_is_missing_is_exit_code_2(self):
        code, out, err = self.run_it(missing="line.csv")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("line.csv", err)


if __name__ == "__main__":
    unittest.main()
