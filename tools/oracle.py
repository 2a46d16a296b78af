#!/usr/bin/env python3
"""oracle: what must have come of the events, worked out a second time from the events alone, against what the tables say.

What policies cost is in premiums.py, which shares no code with the product. Input: the topic as `auto-events read` prints it, the tables
as `COPY ... TO STDOUT (FORMAT csv, HEADER)` does.

    oracle.py --events events.tsv --premium premium.csv --policy policy.csv --dead dead.csv \\
              --tariff conf/underwriting.cfg [--documents document.csv] [--dedupe] [--p95-ms X]

The last line of stdout is the audit. It exits 0 only if every event has exactly the effect it must have, in order.
What each number counts is said in README.md beside this file.
"""

import argparse
import collections
import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from premiums import COPY, CRASH, Tariff, TariffError, amount_of, expect, facts_of, is_crasher, text_of  # noqa: E402

PROBLEMS_SHOWN = 20
csv.field_size_limit(64 << 20)  # a dead letter may carry its record


# ---- what the tables say ----

class Audit:
    def __init__(self):
        self.sent = self.applied = self.rejected = self.skipped = self.dead = self.redriven = 0
        self.billed = self.deduplicated = None  # not looked at
        self.lost = self.duplicated = self.disordered = self.mismatched = 0
        self.problems = []

    def problem(self, what, text):
        setattr(self, what, getattr(self, what) + 1)
        self.problems.append(f"{what}: {text}")

    def clean(self):
        return (self.lost == self.duplicated == self.disordered == self.mismatched == 0
                and self.applied + self.dead + self.skipped + (self.deduplicated or 0) == self.sent)

    def line(self, p95_ms):
        extra = f" dead={self.dead}"
        extra += "" if self.deduplicated is None else f" deduplicated={self.deduplicated}"
        extra += "".join(f" {name}={getattr(self, name)}" for name in ("redriven", "skipped", "mismatched") if getattr(self, name))
        extra += "" if self.billed is None else f" billed={self.billed}"
        return (f"audit sent={self.sent} applied={self.applied} rejected={self.rejected} lost={self.lost} "
                f"duplicated={self.duplicated} disordered={self.disordered}{extra} p95_ms={p95_ms}")


def column(row, *names):
    for name in names:
        if name in row:
            return row[name]
    raise KeyError(f"no column {' or '.join(names)}")


def charge_of(row):
    """A row of the ledger as premiums.Charge has it."""
    return (row["event_id"], row["policy_id"], int(row["policy_version"]), row["kind"], int(row["amount_minor"]), row["currency"],
            row["starts_on"], row["ends_on"], row["from_day"], row["bonus_malus"], row["claims"])


def check_charges(audit, tariff, at, want, rows):
    """Each charge has its row, in the order of their versions, and its words come to its amount."""
    rows = sorted(rows, key=lambda row: int(row["policy_version"]))
    for charge, row in zip(want, rows):
        if charge_of(row) != tuple(charge):
            audit.problem("mismatched", f"event {at}: charged {charge_of(row)}, must be {charge}")
        elif amount_of(tariff, row["breakdown"]) != charge.amount:
            audit.problem("mismatched", f"event {at}: {row['breakdown']!r} comes to {amount_of(tariff, row['breakdown'])}, not {charge.amount}")
    for charge in want[len(rows):] if rows else ():
        audit.problem("lost", f"event {at} has no row for {charge}")


def check_ledger(audit, tariff, expected, ledger, dead):
    """Each event has one effect, of the right kind; each effect has its event."""
    rows, letters, event_ids = collections.defaultdict(list), collections.defaultdict(list), collections.Counter()
    for row in ledger:
        rows[(int(row["source_partition"]), int(row["source_offset"]))].append(row)
        event_ids[row["event_id"]] += 1
    for row in dead:
        letters[(int(column(row, "partition", "source_partition")), int(column(row, "source_offset", "offset")))].append(row)

    for at, want in expected.items():
        here, there = rows.get(at, []), letters.get(at, [])
        audit.applied += len(here) > 0
        audit.dead += len(there) > 0 and not here
        audit.rejected += len(there) > 0 and not here and not there[0]["code"].startswith(CRASH)
        audit.skipped += want is None and not here and not there
        if want == COPY:
            audit.deduplicated += not here and not there
            if there:
                audit.problem("mismatched", f"event {at} is dead ({there[0]['code']}), must be passed over: its id had its effect before")
            continue  # an id in the ledger under a second record is counted below
        rows_wanted = len(want) if isinstance(want, list) else 1
        for _ in range(max(0, len(here) - rows_wanted) + max(0, len(there) - (0 if here else 1))):
            audit.problem("duplicated", f"event {at} has {len(here)} rows in the ledger and {len(there)} dead letters")
        if want is None and (here or there):
            audit.problem("mismatched", f"event {at} is of a type that is skipped, but has an effect")
        if want is not None and not here and not there:
            audit.problem("lost", f"event {at} must be {'rejected, ' + want if isinstance(want, str) else want}")
        if isinstance(want, list):
            check_charges(audit, tariff, at, want, here)
            if there and not here:
                audit.problem("mismatched", f"event {at} is dead ({there[0]['code']}), must be {want}")
        if isinstance(want, str):
            if here:
                audit.problem("mismatched", f"event {at} is in the ledger, must be rejected, {want}")
            for row in there[:1]:
                if row["code"] != want and not (want == CRASH and row["code"].startswith(CRASH)):
                    audit.problem("mismatched", f"event {at} is rejected, {row['code']}, must be {want}")
    for at in (rows.keys() | letters.keys()) - expected.keys():
        audit.problem("mismatched", f"event {at} has an effect, but is not in the topic")
    for event_id, n in event_ids.items():
        at = [(int(r["source_partition"]), int(r["source_offset"])) for r in ledger if r["event_id"] == event_id] if n > 1 else []
        for _ in range(len(set(at)) - 1):  # the same coordinates twice were counted above
            audit.problem("duplicated", f"event id {event_id} is in the ledger for {sorted(set(at))}")


def check_order(audit, ledger):
    """Every change of a policy read the one before: by version, offsets rise, and no version comes twice. A gap is a loss and
    was counted as one."""
    policies = collections.defaultdict(list)
    for row in ledger:
        policies[row["policy_id"]].append((int(row["policy_version"]), int(row["source_partition"]), int(row["source_offset"])))
    for policy_id, rows in policies.items():
        rows = sorted(set(rows))  # the same row twice is a duplicate, not a disorder
        for before, after in zip(rows, rows[1:]):
            if after[0] == before[0] or after[1] != before[1] or after[2] < before[2]:
                audit.problem("disordered", f"policy {policy_id}: version, partition, offset {before} and then {after}")


def check_policies(audit, tariff, policies, table):
    seen = collections.Counter(row["policy_id"] for row in table)
    for policy_id, n in seen.items():
        if n > 1:
            audit.problem("mismatched", f"policy {policy_id} has {n} rows")
        if policy_id not in policies:
            audit.problem("mismatched", f"policy {policy_id} is in the table, but was never issued")
    for row in table:
        want = policies[row["policy_id"]].row() if row["policy_id"] in policies else {}
        for name, value in want.items():
            if row[name] != value:
                audit.problem("mismatched", f"policy {row['policy_id']}: {name} is {row[name]}, must be {value}")
        if want and facts_of(row["facts"]) != policies[row["policy_id"]].facts(tariff):
            audit.problem("mismatched", f"policy {row['policy_id']}: facts are {row['facts']}, must be {policies[row['policy_id']].facts(tariff)}")
    for policy_id in policies.keys() - seen.keys():
        audit.problem("mismatched", f"policy {policy_id} is not in the table")


def check_repairs(audit, events, ledger):
    """What a bad release died of was sent again, once, and had its effect then."""
    applied = {row["event_id"] for row in ledger}
    again = collections.Counter(row["ce_id"] for row in events if text_of(row["redriven"]) is not None)
    audit.redriven = sum(again.values())
    for row in events:
        n, at = again[row["ce_id"]], (int(row["partition"]), int(row["offset"]))
        if is_crasher(row) and (n == 0 or text_of(row["ce_id"]) not in applied):
            audit.problem("lost", f"event {at} killed its worker and " + ("was not sent again" if n == 0 else "has no effect since"))
        elif is_crasher(row) and n > 1:
            audit.problem("duplicated", f"event {at} killed its worker and was sent again {n} times")


def check_documents(audit, ledger, documents):
    """The chain: each row of the ledger is one document in the books, and nothing else is."""
    books, due = collections.defaultdict(list), collections.defaultdict(list)
    for row in documents:
        books[(row["policy_id"], int(row["policy_version"]))].append(row)
    for row in ledger:
        due[(row["policy_id"], int(row["policy_version"]))].append(row)
    audit.billed = len(documents)
    for name, rows in sorted(due.items()):
        have = books.get(name, [])
        amount = int(rows[0]["amount_minor"])
        kind = "credit_note" if rows[0]["kind"] == "cancelled" or amount < 0 else "invoice"
        if not have:
            audit.problem("lost", f"version {name[1]} of policy {name[0]} is not in the books")
        for _ in range(len(have) - 1):
            audit.problem("duplicated", f"version {name[1]} of policy {name[0]} is in the books {len(have)} times")
        for row in have[:1]:
            if (row["kind"], int(row["amount_minor"]), row["currency"]) != (kind, abs(amount), rows[0]["currency"]):
                audit.problem("mismatched", f"policy {name}: booked {row['kind']} {row['amount_minor']}, must be {kind} {abs(amount)}")
    for name in sorted(books.keys() - due.keys()):
        audit.problem("mismatched", f"policy {name} is in the books, but was never charged")


def check_acks(audit, events, acks):
    """What the gateway acknowledged is in the topic, where it said."""
    there = {(row["partition"], row["offset"]): row["ce_id"] for row in events}
    for row in acks:
        at = (row["partition"], row["offset"])
        if there.get(at) != row["event_id"]:
            audit.problem("lost", f"event {row['event_id']} was acknowledged at {at}, where {there.get(at) or 'nothing'} is")


def audit_of(tariff, events, ledger, table, dead, documents=None, dedupe=False):
    audit = Audit()
    audit.sent = len(events)
    audit.deduplicated = 0 if dedupe else None
    expected, policies = expect(tariff, events, dedupe)
    if len(expected) != len(events):
        raise ValueError("the events have a record twice: their reader is wrong")
    check_ledger(audit, tariff, expected, ledger, dead)
    check_order(audit, ledger)
    check_policies(audit, tariff, policies, table)
    check_repairs(audit, events, ledger)
    if documents is not None:
        check_documents(audit, ledger, documents)
    return audit


def read_tsv(path):
    with open(path, encoding="ascii", newline="\n") as file:
        names = file.readline().rstrip("\n").split("\t")
        rows = [dict(zip(names, line.rstrip("\n").split("\t"))) for line in file]
    if any(len(row) != len(names) for row in rows):
        raise ValueError(f"{path}: a line has another number of columns than the first")
    return rows


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="oracle.py", description="Compare the tables with what the events must have led to.")
    for name, what in (("events", "the topic, as auto-events read prints it"), ("premium", "underwriting.premium as CSV"),
                       ("policy", "underwriting.policy as CSV"), ("dead", "pawl.dead_letters as CSV"), ("tariff", "the plugin's libconfig file")):
        parser.add_argument(f"--{name}", required=True, help=what)
    parser.add_argument("--documents", help="billing.document as CSV: the second pipeline of the chain")
    parser.add_argument("--acks", action="append", default=[], help="what the gateway acknowledged, as auto-events produce --acks writes it")
    parser.add_argument("--dedupe", action="store_true", help="the pipeline passes over events whose ce_id had its effect before")
    parser.add_argument("--p95-ms", default="-", help="latency that was measured elsewhere; only printed")
    args = parser.parse_args(argv)
    try:
        with open(args.tariff, encoding="utf-8") as file:
            tariff = Tariff(file.read())
        events = read_tsv(args.events)
        audit = audit_of(tariff, events, read_csv(args.premium), read_csv(args.policy), read_csv(args.dead),
                         read_csv(args.documents) if args.documents else None, args.dedupe)
        for path in args.acks:
            check_acks(audit, events, read_tsv(path))
    except (OSError, KeyError, ValueError, TariffError) as error:
        print(f"oracle: {error}", file=sys.stderr)
        return 2
    for text in audit.problems[:PROBLEMS_SHOWN]:
        print(f"oracle: {text}", file=sys.stderr)
    if len(audit.problems) > PROBLEMS_SHOWN:
        print(f"oracle: and {len(audit.problems) - PROBLEMS_SHOWN} more", file=sys.stderr)
    if not audit.clean() and not audit.problems:
        print("oracle: applied, dead, skipped and deduplicated do not add up to sent", file=sys.stderr)
    print(audit.line(args.p95_ms))
    return 0 if audit.clean() else 1


if __name__ == "__main__":
    sys.exit(main())
