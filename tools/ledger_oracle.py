#!/usr/bin/env python3
"""ledger_oracle: are the premium events those of underwriting's ledger, and are billing's books what must come of them?

It works the books out a second time, from the premium events alone, with exact fractions and an own calendar; and with --events the
premiums, too, from the policy events alone. Input: topics as
`auto-books` prints them, tables as `COPY ... TO STDOUT (FORMAT csv, HEADER)` does.

    ledger_oracle.py --premiums premiums.tsv --ledger premium.csv
    ledger_oracle.py --premiums premiums.tsv --ledger premium.csv --events events.tsv --tariff conf/underwriting.cfg [--dedupe] \\
                     --books DIR --acts acts.tsv --config conf/billing.cfg

DIR holds document.csv, instalment.csv, entry.csv, line.csv, act.csv, period.csv and dead.csv (billing's dead letters).
The last line of stdout says what matches. It exits 0 only if all does. README.md beside this file has more.
"""

import argparse
import calendar
import collections
import datetime
import pathlib
import sys
from fractions import Fraction

import oracle
import premiums

PROBLEMS_SHOWN = 20
BODIES = {"auto.premium.charged.v1": "charged", "auto.premium.refunded.v1": "refunded"}
ADDED = ("corrected", "reclassed")  # causes of a charge on top of what a period cost
BOOKS = "document instalment entry line act period dead".split()


class Findings:
    """Problems, by what they are about: premiums, ledger or acts."""

    def __init__(self):
        self.problems = collections.OrderedDict((name, []) for name in ("premiums", "ledger", "acts"))

    def add(self, what, text):
        self.problems[what].append(f"{what}: {text}")

    def all(self):
        return [text for texts in self.problems.values() for text in texts]


def at_of(row):
    return int(row["partition"]), int(row["offset"])


def source_of(row):
    return int(row["source_partition"]), int(row["source_offset"])


# ---- premium events against underwriting's ledger ----

def check_amounts(found, tariff, policy_events, ledger, dedupe):
    """The ledger is what the policy events cost, worked out from them alone; what is refused or passed over has no row."""
    expected, _ = premiums.expect(tariff, policy_events, dedupe)
    have, want = collections.Counter(), collections.Counter()
    for at, charges in expected.items():
        if isinstance(charges, list):
            want.update((at, *charge) for charge in charges)
    have.update((source_of(row), *oracle.charge_of(row)) for row in ledger)
    for charge, n in (have - want).items():
        found.add("premiums", f"{n} too many in the ledger: {charge}")
    for charge, n in (want - have).items():
        found.add("premiums", f"{n} missing in the ledger: {charge}")


def check_premiums(found, events, ledger):
    """Each row of the ledger is one event with its figures; the events of a policy come in the order of its versions."""
    by_source, last = collections.defaultdict(list), {}
    for row in sorted(events, key=at_of):
        by_source[(row["policy_id"], row["source_event_id"], row["policy_version"])].append(row)
        if row["decode"] != "ok":
            found.add("premiums", f"record {at_of(row)} is malformed")
            continue
        if row["ce_id"] != row["event_id"] or row["key"] != row["policy_id"] or BODIES.get(row["ce_type"]) != row["body"]:
            found.add("premiums", f"record {at_of(row)}: headers or key are not what its value says")
        before = last.get(row["policy_id"])
        if before and (before[0] != at_of(row)[0] or before[1] >= int(row["policy_version"])):
            found.add("premiums", f"record {at_of(row)} of {row['policy_id']} comes after version {before[1]} in partition {before[0]}")
        last[row["policy_id"]] = (at_of(row)[0], int(row["policy_version"]))
    numbers = collections.defaultdict(list)  # of the rows that one policy event has
    for version, event_id in sorted((int(row["policy_version"]), row["event_id"]) for row in ledger):
        numbers[event_id].append(version)
    for row in ledger:
        here = by_source.pop((row["policy_id"], row["event_id"], row["policy_version"]), [])
        name = f"{row['policy_id']}/{row['policy_version']}"
        if len(here) != 1:
            found.add("premiums", f"{name} is in the ledger and {len(here)} times in the topic")
            continue
        body = "refunded" if row["kind"] == "cancelled" or int(row["amount_minor"]) < 0 else "charged"
        nth = numbers[row["event_id"]].index(int(row["policy_version"])) + 1
        want = (body, row["kind"], int(row["amount_minor"]) * (-1 if body == "refunded" else 1), row["currency"], f"{row['event_id']}.{body}" + (f".{nth}" if nth > 1 else ""),
                row["starts_on"], row["ends_on"], row["from_day"] if row["kind"] == "corrected" else "")
        have = (here[0]["body"], here[0]["cause"], int(here[0]["amount_minor"]), here[0]["currency"], here[0]["event_id"],
                here[0]["starts_on"], here[0]["ends_on"], here[0]["effective_on"])
        if have != want:
            found.add("premiums", f"{name} is {have} in the topic, must be {want}")
    for key, rows in by_source.items():
        for row in rows:
            found.add("premiums", f"record {at_of(row)} of {key[0]}/{key[2]} has no row in the ledger")


# ---- what the books must say ----

class Rules:
    def __init__(self, text):
        config = premiums.parse_config(text)
        self.currency = config.get("currency", "RUB")
        self.offset = datetime.timedelta(minutes=config.get("utc_offset_minutes", 0))
        self.accounts = config["posting"]
        commission, plan = config.get("commission", {}), config.get("instalments", {})
        self.rate, self.rounding = Fraction(commission.get("rate", "0")), commission.get("rounding", "half-up")
        self.count, self.least = plan.get("count", 1), Fraction(plan.get("min_amount", "0")) * 10 ** premiums.DIGITS.get(self.currency, 2)
        self.first_days, self.rest = plan.get("first_due_days", 14), plan.get("rest", "first")

    def round(self, exact):
        """Of what is not negative."""
        whole, part = exact.numerator // exact.denominator, exact - exact.numerator // exact.denominator
        if self.rounding == "down" or part < Fraction(1, 2):
            return whole
        return whole + (part > Fraction(1, 2) or self.rounding == "half-up" or whole % 2)

    def day(self, us):
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us) + self.offset).date()

    def instalments(self, amount, issued, starts, ends, added):
        if amount == 0:
            return []
        count = self.count if not added and amount >= self.least and amount >= self.count else 1
        parts = [amount // count] * count
        parts[0 if self.rest == "first" else -1] += amount % count
        first, days = max(issued, starts) + datetime.timedelta(days=self.first_days), (ends - starts).days + 1
        return [(first + datetime.timedelta(days=days * k // count), part) for k, part in enumerate(parts)]

    def lines(self, kind, amount, commission):
        """(account, debit, credit), in the order of their numbers."""
        book, pairs = self.accounts, []
        if kind == "invoice":
            pairs = [("receivable", "premium", amount), ("commission", "agents", commission)]
        else:
            pairs = [("returned", "payable", amount), ("agents", "commission", commission)]
        return [line for debit, credit, minor in pairs if minor for line in ((book[debit], minor, 0), (book[credit], 0, minor))]


Document = collections.namedtuple("Document", "policy_id version kind amount commission corrects issued starts ends agent event_id added")


def expect(rules, events):
    """By source coordinates: a Document, or a code of refusal."""
    expected, policies = {}, collections.defaultdict(dict)
    for row in sorted(events, key=at_of):
        at = at_of(row)
        if row["decode"] != "ok":
            expected[at] = "event.malformed"
            continue
        version, amount, have = int(row["policy_version"]), int(row["amount_minor"]), policies[row["policy_id"]]
        if row["currency"] != rules.currency:
            expected[at] = "premium.wrong_currency"
            continue
        if version in have:
            expected[at] = "premium.duplicate"
            continue
        starts, ends = premiums.day_of(row["starts_on"]), premiums.day_of(row["ends_on"])
        period = [document for _, document in sorted(have.items()) if (document.starts, document.ends) == (starts, ends)]
        invoices = [document for document in period if document.kind == "invoice"]
        seller = invoices[0].agent if invoices else row["agent_id"]
        if row["body"] == "refunded":
            booked, earned = (sum(getattr(document, name) * (1 if document.kind == "invoice" else -1) for document in period)
                              for name in ("amount", "commission"))
            if not invoices:
                expected[at] = "refund.without_charge"
                continue
            if amount > booked:
                expected[at] = "refund.too_large"
                continue
            kind, agent, corrects = "credit_note", seller, invoices[-1].version
            commission = rules.round(Fraction(earned * amount, booked)) if booked else 0
        else:
            kind, agent, corrects = "invoice", seller if row["cause"] in ADDED else row["agent_id"], None
            commission = rules.round(amount * rules.rate) if agent else 0
        have[version] = expected[at] = Document(row["policy_id"], version, kind, amount, commission, corrects,
                                                rules.day(int(row["occurred_at_us"])), starts, ends, agent, row["event_id"],
                                                row["cause"] in ADDED)
    return expected


def month_of(day):
    return day.replace(day=1)


def month_after(day):
    return month_of(day) + datetime.timedelta(days=calendar.monthrange(day.year, day.month)[1])


def months_for(issued, closed):
    """Its own month, or the first open one after any closing that covers it: which one depends on what came first."""
    own = month_of(issued)
    return {own} | {month_after(through) for through in closed if through >= own}


# ---- what they say ----

def check_document(found, rules, at, want, row, closed, rows):
    name = f"{want.policy_id}/{want.version}"
    have = Document(row["policy_id"], int(row["policy_version"]), row["kind"], int(row["amount_minor"]), int(row["commission_minor"]),
                    int(row["corrects"]) if row["corrects"] else None, *(premiums.day_of(row[c]) for c in ("issued_on", "starts_on", "ends_on")),
                    row["agent_id"], row["event_id"], want.added)
    month = premiums.day_of(row["month"])
    if have != want:
        found.add("ledger", f"document {name} is {have}, must be {want}")
    if month not in months_for(want.issued, closed):
        found.add("ledger", f"document {name} of {want.issued} is booked into {month:%Y-%m}")
    lines = [(r["account"], int(r["debit_minor"]), int(r["credit_minor"])) for r in sorted(rows["line"].get(at, []), key=lambda r: int(r["number"]))]
    if lines != rules.lines(want.kind, want.amount, want.commission):
        found.add("ledger", f"document {name} is booked as {lines}")
    for r in rows["line"].get(at, []) + rows["entry"].get(at, []):
        if (r["month"], r["currency"]) != (row["month"], row["currency"]):
            found.add("ledger", f"document {name}: its entry is of {r['month']} {r['currency']}, not {row['month']} {row['currency']}")
    if len(rows["entry"].get(at, [])) != (want.amount > 0):
        found.add("ledger", f"document {name} has {len(rows['entry'].get(at, []))} entries")
    due = [(premiums.day_of(r["due_on"]), int(r["amount_minor"])) for r in sorted(rows["instalment"].get(at, []), key=lambda r: int(r["number"]))]
    if due != (rules.instalments(want.amount, want.issued, want.starts, want.ends, want.added) if want.kind == "invoice" else []):
        found.add("ledger", f"document {name} has the instalments {due}")


def check_books(found, rules, events, books):
    """Each event has one document, booked right, or one dead letter with the right code; there is nothing else."""
    expected, closed = expect(rules, events), [premiums.day_of(row["month"]) for row in books["period"]]
    rows = {name: collections.defaultdict(list) for name in ("document", "instalment", "entry", "line")}
    for name, by_source in rows.items():
        for row in books[name]:
            by_source[source_of(row)].append(row)
    dead, topic = collections.defaultdict(list), {row["source_topic"] for row in books["document"]}
    for row in books["dead"]:
        if not topic or row["topic"] in topic:
            dead[(int(row["partition"]), int(row["source_offset"]))].append(row)
    for at, want in expected.items():
        here, letters = rows["document"].pop(at, []), dead.pop(at, [])
        if isinstance(want, str):
            if here or len(letters) != 1 or letters[0]["code"] != want:
                found.add("ledger", f"event {at} must be a dead letter, {want}; documents {len(here)}, letters {[r['code'] for r in letters]}")
        elif len(here) != 1 or letters:
            found.add("ledger", f"event {at} of {want.policy_id}/{want.version} has {len(here)} documents and {len(letters)} dead letters")
        else:
            check_document(found, rules, at, want, here[0], closed, rows)
    for at in list(rows["document"]) + [at for name in ("entry", "line", "instalment") for at in rows[name] if at not in expected]:
        found.add("ledger", f"{at} is in the books, but not in the topic")
    sums = collections.Counter()
    for row in books["line"]:
        sums[source_of(row)] += int(row["debit_minor"]) - int(row["credit_minor"])
    for at, rest in sums.items():
        if rest:
            found.add("ledger", f"the entry of {at} does not balance: {rest}")


ACT = "agent_id month number currency documents charged_minor refunded_minor commission_minor".split()


def check_acts(found, books, acts):
    """One act for each agent and closed month with business, numbered 1, 2, 3; each is in the topic once."""
    through = max((premiums.day_of(row["month"]) for row in books["period"]), default=datetime.date.min)
    want, numbers = collections.OrderedDict(), collections.Counter()
    for row in sorted(books["document"], key=lambda r: (r["month"], r["currency"], r["agent_id"])):
        if premiums.day_of(row["month"]) > through:
            continue
        key = (row["agent_id"], row["month"], row["currency"])
        if key not in want:
            numbers[row["agent_id"]] += 1
            want[key] = [numbers[row["agent_id"]], 0, 0, 0, 0]
        act, invoice = want[key], row["kind"] == "invoice"
        act[1] += 1
        act[2 if invoice else 3] += int(row["amount_minor"])
        act[4] += int(row["commission_minor"]) * (1 if invoice else -1)
    wanted = sorted((key[0], key[1][:7], str(act[0]), key[2], *map(str, act[1:])) for key, act in want.items())
    for name, rows in (("table", books["act"]), ("topic", acts)):
        have = sorted((row[ACT[0]], row["month"][:7], *(row[c] for c in ACT[2:])) for row in rows)
        for key, n in (collections.Counter(have) - collections.Counter(wanted)).items():
            found.add("acts", f"{n} too many in the {name}: {dict(zip(ACT, key))}")
        for key, n in (collections.Counter(wanted) - collections.Counter(have)).items():
            found.add("acts", f"{n} missing in the {name}: {dict(zip(ACT, key))}")


# ---- the command ----

def audit_of(rules, events, ledger, books=None, acts=None, policy_events=None, tariff=None, dedupe=False):
    found, events = Findings(), [row for row in events if (row["ce_type"] or "").startswith("auto.premium.")]
    check_premiums(found, events, ledger)
    if policy_events is not None:
        check_amounts(found, tariff, policy_events, ledger, dedupe)
    if books is not None:
        check_books(found, rules, events, books)
        check_acts(found, books, acts or [])
    return found


def line_of(found, events, books, acts):
    def word(name, good):
        return f"{name}={good if not found.problems[name] else 'wrong'}"
    text = "books " + word("premiums", "match")
    if books is not None:
        text += f" {word('ledger', 'balanced')} {word('acts', 'match')} documents={len(books['document'])} acts={len(acts)}"
    return f"{text} events={len(events)}"


def main(argv=None):
    parser = argparse.ArgumentParser(prog="ledger_oracle.py", description="Compare premium events with underwriting's ledger, and billing's books with them.")
    parser.add_argument("--premiums", required=True, help="the topic, as auto-books premiums prints it")
    parser.add_argument("--ledger", required=True, help="underwriting.premium as CSV")
    parser.add_argument("--events", help="the topic of policy events, as auto-events read prints it: premiums are worked out again")
    parser.add_argument("--tariff", help="underwriting's libconfig file, for --events")
    parser.add_argument("--dedupe", action="store_true", help="underwriting passes over events whose ce_id had its effect before")
    parser.add_argument("--books", help="folder with billing's tables and dead letters as CSV")
    parser.add_argument("--acts", help="the topic of acts, as auto-books acts prints it")
    parser.add_argument("--config", help="billing's libconfig file")
    args = parser.parse_args(argv)
    if args.books and not (args.acts and args.config):
        parser.error("--books needs --acts and --config")
    if args.events and not args.tariff:
        parser.error("--events needs --tariff")
    try:
        rules = books = acts = policy_events = tariff = None
        events, ledger = oracle.read_tsv(args.premiums), oracle.read_csv(args.ledger)
        if args.books:
            rules = Rules(pathlib.Path(args.config).read_text(encoding="utf-8"))
            books = {name: oracle.read_csv(pathlib.Path(args.books) / f"{name}.csv") for name in BOOKS}
            acts = oracle.read_tsv(args.acts)
        if args.events:
            policy_events, tariff = oracle.read_tsv(args.events), premiums.Tariff(pathlib.Path(args.tariff).read_text(encoding="utf-8"))
        found = audit_of(rules, events, ledger, books, acts, policy_events, tariff, args.dedupe)
    except (OSError, KeyError, ValueError, premiums.Refused, premiums.TariffError) as error:
        print(f"ledger_oracle: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    problems = found.all()
    for text in problems[:PROBLEMS_SHOWN]:
        print(f"ledger_oracle: {text}", file=sys.stderr)
    if len(problems) > PROBLEMS_SHOWN:
        print(f"ledger_oracle: and {len(problems) - PROBLEMS_SHOWN} more", file=sys.stderr)
    print(line_of(found, events, books, acts))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
