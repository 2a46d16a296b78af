#!/usr/bin/env python3
"""oracle: what must have come of the events, worked out a second time from the events alone, against what the tables say.

It shares no code with the product: its own reader of the tariff, exact fractions instead of scaled integers, its own
calendar. Input: the topic as `auto-events read` prints it, the tables as `COPY ... TO STDOUT (FORMAT csv, HEADER)` does.

    oracle.py --events events.tsv --premium premium.csv --policy policy.csv --dead dead.csv \\
              --tariff conf/underwriting.cfg [--documents document.csv] [--dedupe] [--p95-ms X]

The last line of stdout is the audit. It exits 0 only if every event has exactly the effect it must have, in order.
What each number counts is said in README.md beside this file.
"""

import argparse
import collections
import csv
import datetime
import functools
import re
import sys
from fractions import Fraction

PROBLEMS_SHOWN = 20
csv.field_size_limit(64 << 20)  # a dead letter may carry its record


# ---- the tariff: the part of libconfig's grammar that a tariff is written in ----

class TariffError(Exception):
    pass


TOKEN = re.compile(r"""
    (?P<space>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<number>-?\d+L?\b)
  | (?P<bool>(?:true|false)\b)
  | (?P<name>[A-Za-z*][-A-Za-z0-9_*]*)
  | (?P<sign>[=:;,{}()\[\]])
""", re.VERBOSE | re.DOTALL)


def tokens(text):
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            line = text.count("\n", 0, at) + 1
            raise TariffError(f"line {line}: cannot be read: {text[at:at + 20]!r}")
        at = found.end()
        if found.lastgroup != "space":
            yield found.lastgroup, found.group(), text.count("\n", 0, found.start()) + 1
    yield "end", "", text.count("\n") + 1


class Parser:
    def __init__(self, text):
        self.tokens = list(tokens(text))
        self.at = 0

    def peek(self):
        return self.tokens[self.at]

    def take(self, kind, value=None):
        found, text, line = self.tokens[self.at]
        if found != kind or (value is not None and text != value):
            raise TariffError(f"line {line}: {value or kind} is expected, not {text!r}")
        self.at += 1
        return text

    def skip(self, *signs):
        if self.peek()[0] == "sign" and self.peek()[1] in signs:
            self.at += 1

    def group(self, end):
        members = {}
        while self.peek()[:2] != end:
            name, line = self.take("name"), self.peek()[2]
            if name in members:
                raise TariffError(f"line {line}: {name} is there twice")
            if self.peek()[1] not in ("=", ":"):
                raise TariffError(f"line {line}: = is expected after {name}")
            self.skip("=", ":")
            members[name] = self.value()
            self.skip(";", ",")
        self.at += 1
        return members

    def elements(self, end):
        found = []
        while self.peek()[:2] != ("sign", end):
            found.append(self.value())
            self.skip(",")
        self.at += 1
        return found

    def value(self):
        kind, text, line = self.peek()
        self.at += 1
        if kind == "string":
            parts = [text[1:-1]]
            while self.peek()[0] == "string":
                parts.append(self.take("string")[1:-1])
            return re.sub(r"\\(.)", r"\1", "".join(parts))
        if kind == "number":
            return int(text.rstrip("L"))
        if kind == "bool":
            return text == "true"
        if kind == "sign" and text == "{":
            return self.group(("sign", "}"))
        if kind == "sign" and text in "([":
            return self.elements(")" if text == "(" else "]")
        raise TariffError(f"line {line}: a value is expected, not {text!r}")


def parse_config(text):
    return Parser(text).group(("end", ""))


class Tariff:
    def __init__(self, text):
        config = parse_config(text)
        tables = config["tariff"]
        self.currency = config.get("currency", "RUB")
        self.rounding = config.get("rounding", "half-up")
        self.returned = 1 - Fraction(config.get("refund", {}).get("retention", "0.23"))
        self.vehicles = {v["class"]: (Fraction(v["base_rate"]) * 100, v.get("power", False), Fraction(v["unlimited"]))
                         for v in tables["vehicle"]}
        self.territories = {t["name"]: Fraction(t["factor"]) for t in tables["territory"]}
        self.classes = {c["class"]: (Fraction(c["factor"]), c["next"]) for c in tables["bonus_malus"]}
        self.experience = tables["experience"]
        self.ages = [(row["age"], [Fraction(f) for f in row["factor"]]) for row in tables["driver"]]
        self.power = [(band["over_hp"], Fraction(band["factor"])) for band in tables["power"]]
        self.use = [(band["months"], Fraction(band["factor"])) for band in tables["use"]]

    def round(self, exact):
        whole, rest = divmod(abs(exact), 1)
        half = Fraction(1, 2)
        if self.rounding == "half-up":
            whole += rest >= half
        elif self.rounding == "half-even":
            whole += rest > half or (rest == half and whole % 2 == 1)
        elif self.rounding != "down":
            raise TariffError(f"rounding {self.rounding!r} is not known")
        return int(whole) if exact >= 0 else -int(whole)

    def driver(self, age, experience):
        rows = [factors for least, factors in self.ages if least <= age]
        columns = [k for k, least in enumerate(self.experience) if least <= experience]
        if not rows or not columns or columns[-1] >= len(rows[-1]):
            return None
        return rows[-1][columns[-1]]

    def after(self, cls, claims):
        steps = self.classes[cls][1]
        return steps[min(claims, len(steps) - 1)]


# ---- what must come of an event ----

class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,64}")
TYPES = {"auto.policy.issued.v1": "issued", "auto.policy.renewed.v1": "renewed", "auto.policy.cancelled.v1": "cancelled"}
OCCURRED = range(946684800_000000, 7258118400_000000)
ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def text_of(field):
    """A field of the reader's output: None if it was absent."""
    if field == "\\N":
        return None
    return ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), field) if "\\" in field else field


def valid_id(text):
    return text is not None and IDENTIFIER.fullmatch(text) is not None


@functools.lru_cache(maxsize=100000)
def day_of(text):
    if text is None or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) or not "1900" <= text[:4] <= "2199":
        raise Refused("event.invalid")
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise Refused("event.invalid") from None


def year_later(day, years):
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return datetime.date(day.year + years, 3, 1)


def full_years(since, until):
    if until < since:
        return 0
    years = until.year - since.year
    return years - 1 if until < year_later(since, years) else years


def demand(condition):
    if not condition:
        raise Refused("event.invalid")


def valid_name(text):
    demand(text is not None and 1 <= len(text) <= 32)
    return text


class Event:
    """One record, checked as far as it can be without a policy or a tariff. kind None: a type that is not known."""

    def __init__(self, row):
        kind, ce_id, key = text_of(row["ce_type"]), text_of(row["ce_id"]), text_of(row["key"])
        if kind is None:
            raise Refused("event.missing_header")
        self.kind = TYPES.get(kind)
        if self.kind is None:
            return
        if ce_id is None:
            raise Refused("event.missing_header")
        demand(valid_id(key))
        if row["decode"] != "ok":
            raise Refused("event.malformed")
        demand(valid_id(ce_id) and text_of(row["event_id"]) == ce_id)
        demand(text_of(row["policy_id"]) == key)
        demand(int(row["occurred_at_us"]) in OCCURRED)
        demand(row["body"] == self.kind)
        self.event_id, self.policy_id = ce_id, key
        if self.kind == "cancelled":
            self.cancelled_on = day_of(text_of(row["cancelled_on"]))
            demand(int(row["reason_bytes"]) <= 200)
            return
        if self.kind == "issued":
            self.bonus_malus = valid_name(text_of(row["bonus_malus_class"]))
        else:
            self.claims = int(row["claims"])
            demand(self.claims <= 100)
        self.period(row)
        self.risk(row)

    def period(self, row):
        self.starts_on = day_of(text_of(row["starts_on"]))
        self.ends_on = day_of(text_of(row["ends_on"]))
        demand(self.starts_on <= self.ends_on < year_later(self.starts_on, 1))

    def risk(self, row):
        self.vehicle = valid_name(text_of(row["vehicle_class"]))
        self.territory = valid_name(text_of(row["territory"]))
        self.power = int(row["engine_power_hp"])
        self.use_months = int(row["use_months"])
        self.unlimited = row["unlimited_drivers"] == "1"
        drivers = row["drivers"].split(";") if row["drivers"] else []
        demand(1 <= self.power <= 5000 and 3 <= self.use_months <= 12)
        demand(len(drivers) == 0 if self.unlimited else 1 <= len(drivers) <= 16)
        self.drivers = []
        for driver in drivers:
            born, licensed = (day_of(text_of(part)) for part in driver.split("/"))
            demand(licensed <= self.starts_on and full_years(born, licensed) >= 16)
            self.drivers.append((full_years(born, self.starts_on), full_years(licensed, self.starts_on)))


class Policy:
    """A policy as the events so far leave it."""

    def __init__(self):
        self.version = 0
        self.status = "active"
        self.starts_on = self.ends_on = self.bonus_malus = self.premium = self.currency = None

    def row(self):
        return {"version": str(self.version), "status": self.status, "starts_on": str(self.starts_on), "ends_on": str(self.ends_on),
                "bonus_malus": self.bonus_malus, "premium_minor": str(self.premium), "currency": self.currency}


def premium(tariff, event, cls):
    if event.vehicle not in tariff.vehicles:
        raise Refused("tariff.unknown_class")
    if event.territory not in tariff.territories:
        raise Refused("tariff.unknown_territory")
    base, power_counts, unlimited = tariff.vehicles[event.vehicle]
    drivers = [tariff.driver(*driver) for driver in event.drivers] or [Fraction(1)]
    power = [factor for over, factor in tariff.power if over < event.power] if power_counts else [Fraction(1)]
    use = [factor for months, factor in tariff.use if months <= event.use_months]
    if None in drivers or not power or not use:
        raise Refused("tariff.no_factor")
    exact = base * tariff.territories[event.territory] * tariff.classes[cls][0] * max(drivers) * power[-1] * use[-1]
    if event.unlimited:
        exact *= unlimited
    return tariff.round(exact)


def apply(tariff, policies, event):
    """Changes the policy and returns what is charged, or raises Refused and changes nothing."""
    policy = policies.get(event.policy_id)
    if event.kind == "issued":
        if policy:
            raise Refused("policy.exists")
        if event.bonus_malus not in tariff.classes:
            raise Refused("tariff.unknown_bonus_malus")
        amount, cls = premium(tariff, event, event.bonus_malus), event.bonus_malus
        policy = policies[event.policy_id] = Policy()
    elif not policy:
        raise Refused("policy.unknown")
    elif policy.status == "cancelled":
        raise Refused("policy.cancelled")
    elif event.kind == "cancelled":
        if not policy.starts_on <= event.cancelled_on <= policy.ends_on:
            raise Refused("date.out_of_period")
        days, unused = (policy.ends_on - policy.starts_on).days + 1, (policy.ends_on - event.cancelled_on).days
        policy.version += 1
        policy.status = "cancelled"
        return -tariff.round(Fraction(policy.premium * unused, days) * tariff.returned)
    else:
        if event.starts_on <= policy.ends_on:
            raise Refused("date.out_of_period")
        if policy.bonus_malus not in tariff.classes:
            raise Refused("tariff.unknown_bonus_malus")
        cls = tariff.after(policy.bonus_malus, event.claims)
        amount = premium(tariff, event, cls)
    policy.version += 1
    policy.starts_on, policy.ends_on, policy.bonus_malus = event.starts_on, event.ends_on, cls
    policy.premium, policy.currency = amount, tariff.currency
    return amount


CRASH = "crash."  # what the code of a dead letter begins with whose message killed its worker


def is_crasher(row):
    """An event that a bad release dies of, as it was first sent. What is sent again of it is an event like others."""
    return text_of(row["bug"]) is not None and text_of(row["redriven"]) is None


COPY = "copy"  # of an event that had its effect; a pipeline with dedupe passes it over


Charge = collections.namedtuple("Charge", "event_id policy_id version kind amount currency")


def expect(tariff, rows, dedupe=False):
    """By source coordinates: a Charge, a code of refusal, COPY, or None for an event that is skipped. And the policies at the end.
    An id is kept by who is charged or skipped, not by who is refused."""
    expected, policies, kept = {}, {}, set()
    for row in sorted(rows, key=lambda row: (int(row["partition"]), int(row["offset"]))):
        at = (int(row["partition"]), int(row["offset"]))
        event_id = text_of(row["ce_id"])
        if dedupe and event_id and event_id in kept:
            expected[at] = COPY
            continue
        if is_crasher(row):
            expected[at] = CRASH
            continue
        try:
            event = Event(row)
            if event.kind is None:
                expected[at] = None
                kept.add(event_id)
                continue
            amount = apply(tariff, policies, event)
            policy = policies[event.policy_id]
            expected[at] = Charge(event.event_id, event.policy_id, policy.version, event.kind, amount, policy.currency)
            kept.add(event_id)
        except Refused as refused:
            expected[at] = refused.code
    return expected, policies


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


def check_charge(audit, at, want, row):
    have = Charge(row["event_id"], row["policy_id"], int(row["policy_version"]), row["kind"], int(row["amount_minor"]), row["currency"])
    if have != want:
        audit.problem("mismatched", f"event {at}: charged {have}, must be {want}")


def check_ledger(audit, expected, ledger, dead):
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
        for _ in range(len(here) + len(there) - 1):
            audit.problem("duplicated", f"event {at} has {len(here)} rows in the ledger and {len(there)} dead letters")
        if want is None and (here or there):
            audit.problem("mismatched", f"event {at} is of a type that is skipped, but has an effect")
        if want is not None and not here and not there:
            audit.problem("lost", f"event {at} must be {'rejected, ' + want if isinstance(want, str) else want}")
        if isinstance(want, Charge):
            for row in here[:1]:
                check_charge(audit, at, want, row)
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


def check_policies(audit, policies, table):
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
        amount, kind = int(rows[0]["amount_minor"]), "credit_note" if rows[0]["kind"] == "cancelled" else "invoice"
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
    check_ledger(audit, expected, ledger, dead)
    check_order(audit, ledger)
    check_policies(audit, policies, table)
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
