#!/usr/bin/env python3
"""premiums: what policies cost, worked out from the events alone: the oracle's half of the business.

It shares no code with the product: its own reader of the tariff, exact fractions instead of scaled integers, its own calendar. A policy
is kept as what was said about it; what each of its periods costs is worked out anew after every event.
"""

import bisect
import collections
import datetime
import functools
import re
from fractions import Fraction


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


# Of ISO 4217: how many digits minor units have, where it is not two.
DIGITS = {code: digits for digits, codes in ((0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
                                             (3, "BHD IQD JOD KWD LYD OMR TND"), (4, "CLF UYW")) for code in codes.split()}


class Tariff:
    def __init__(self, text):
        config = parse_config(text)
        tables = config["tariff"]
        self.currency = config.get("currency", "RUB")
        self.digits = DIGITS.get(self.currency, 2)
        self.rounding = config.get("rounding", "half-up")
        self.returned = 1 - Fraction(config.get("refund", {}).get("retention", "0.23"))
        self.vehicles = {v["class"]: (Fraction(v["base_rate"]) * 10 ** self.digits, v.get("power", False), Fraction(v["unlimited"]), Fraction(v.get("trailer", "1")))
                         for v in tables["vehicle"]}
        self.territories = {t["name"]: Fraction(t["factor"]) for t in tables["territory"]}
        self.classes = {c["class"]: (Fraction(c["factor"]), c["next"]) for c in tables["bonus_malus"]}
        self.experience = tables["experience"]
        self.ages = [(row["age"], [Fraction(f) for f in row["factor"]]) for row in tables["driver"]]
        self.power = [(band["over_hp"], Fraction(band["factor"])) for band in tables["power"]]
        self.use = [(band["months"], Fraction(band["factor"])) for band in tables["use"]]
        self.term = [(band["days"], Fraction(band["factor"])) for band in tables.get("term", [])]

    def round(self, exact):
        size, den = abs(exact.numerator), exact.denominator
        whole, rest = divmod(size, den)
        if self.rounding == "half-up":
            whole += 2 * rest >= den
        elif self.rounding == "half-even":
            whole += 2 * rest > den or (2 * rest == den and whole % 2 == 1)
        elif self.rounding != "down":
            raise TariffError(f"rounding {self.rounding!r} is not known")
        return whole if exact.numerator >= 0 else -whole

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
TYPES = {"auto.policy.issued.v1": "issued", "auto.policy.renewed.v1": "renewed", "auto.policy.cancelled.v1": "cancelled",
         "auto.policy.corrected.v1": "corrected"}
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
        if self.kind == "corrected":
            self.effective_on = day_of(text_of(row["effective_on"]))
            self.bonus_malus = text_of(row["bonus_malus_class"]) and valid_name(text_of(row["bonus_malus_class"]))
            demand(int(row["reason_bytes"]) <= 200)
            self.risk(row, self.effective_on)
            return
        if self.kind == "issued":
            self.bonus_malus = valid_name(text_of(row["bonus_malus_class"]))
        else:
            self.claims = int(row["claims"])
            demand(self.claims <= 100)
        self.period(row)
        self.risk(row, self.starts_on)

    def period(self, row):
        self.starts_on = day_of(text_of(row["starts_on"]))
        self.ends_on = day_of(text_of(row["ends_on"]))
        demand(self.starts_on <= self.ends_on < year_later(self.starts_on, 1))

    def risk(self, row, day):
        demand(row["vehicle_class"] != "\\N")
        self.vehicle = valid_name(text_of(row["vehicle_class"]))
        self.territory = valid_name(text_of(row["territory"]))
        self.power = int(row["engine_power_hp"])
        self.use_months = int(row["use_months"])
        self.unlimited, self.trailer, self.abroad = (row[name] == "1" for name in ("unlimited_drivers", "trailer", "registered_abroad"))
        drivers = row["drivers"].split(";") if row["drivers"] else []
        demand(1 <= self.power <= 5000 and 3 <= self.use_months <= 12)
        demand(len(drivers) == 0 if self.unlimited else 1 <= len(drivers) <= 16)
        self.drivers = []
        for driver in drivers:
            born, licensed = (day_of(text_of(part)) for part in driver.split("/"))
            demand(licensed <= day and full_years(born, licensed) >= 16)
            self.drivers.append((full_years(born, day), full_years(licensed, day)))


# ---- what is known of a policy ----

class Facts:
    """What a whole period costs but for the class, from a day on; given: the class, if an event said one."""

    def __init__(self, price, given):
        self.price, self.given, self.cls = price, given, given
        self.premiums = {}

    def premium(self, tariff):
        """Of a whole period, rounded."""
        if self.cls not in self.premiums:
            self.premiums[self.cls] = tariff.round(self.price * tariff.classes[self.cls][0])
        return self.premiums[self.cls]


class Period:
    def __init__(self, starts_on, ends_on, claims, facts):
        self.starts_on, self.ends_on, self.claims = starts_on, ends_on, claims
        self.lines = {starts_on: facts}  # by first day
        self.paid = 0

    def stretches(self):
        """(facts, first day, last day), in order."""
        days = sorted(self.lines)
        ends = [day - ONE_DAY for day in days[1:]] + [self.ends_on]
        return [(self.lines[day], day, end) for day, end in zip(days, ends)]

    def cost(self, tariff, cancelled_on):
        """(what it costs, what of it comes back)"""
        length, whole, back = (self.ends_on - self.starts_on).days + 1, 0, 0
        for facts, first, last in self.stretches():
            days = (last - first).days + 1
            unused = 0 if cancelled_on is None else min(days, max(0, (last - cancelled_on).days))
            whole, back = whole + facts.premium(tariff) * days, back + facts.premium(tariff) * unused
        return tariff.round(Fraction(whole, length)), tariff.round(Fraction(back, length) * tariff.returned)


ONE_DAY = datetime.timedelta(days=1)
LINES_MAX = 32  # of a policy; a period has one less at most


class Policy:
    """A policy as the events so far leave it."""

    def __init__(self, currency):
        self.version, self.currency, self.periods, self.cancelled_on = 0, currency, [], None
        self.premium = None  # of the last period, before anything comes back

    def lines(self):
        return sum(len(period.lines) for period in self.periods)

    def at(self, day):
        return next((period for period in self.periods if period.starts_on <= day <= period.ends_on), None)

    def classes(self):
        return [[facts.cls for facts, _, _ in period.stretches()] for period in self.periods]

    def forget(self):
        """The oldest period; the one after it begins the story now, with the class that it has."""
        self.periods.pop(0)
        first = self.periods[0].lines[self.periods[0].starts_on]
        first.given = first.cls

    def derive(self, tariff):
        """The class of all facts, from the first on."""
        cls = None
        for number, period in enumerate(self.periods):
            for facts, first, _ in period.stretches():
                if facts.given is not None:
                    cls = facts.given
                elif first == period.starts_on and number > 0:
                    cls = tariff.after(cls, period.claims)
                facts.cls = cls

    def row(self):
        last = self.periods[-1]
        return {"version": str(self.version), "status": "active" if self.cancelled_on is None else "cancelled",
                "starts_on": str(last.starts_on), "ends_on": str(last.ends_on), "bonus_malus": last.stretches()[-1][0].cls,
                "premium_minor": str(self.premium), "currency": self.currency, "cancelled_on": str(self.cancelled_on or "")}

    def facts(self, tariff):
        """What the column facts must say: (first day, last day, paid, [(day, class, premium), ...]) of each period."""
        return [(str(period.starts_on), str(period.ends_on), period.paid,
                 [((first - period.starts_on).days, facts.cls, facts.premium(tariff))
                  for facts, first, _ in period.stretches()]) for period in self.periods]


def days_of(period):
    return (period.ends_on - period.starts_on).days + 1


def price_of(tariff, event, days):
    """Of a whole period of so many days, exactly, but for the class."""
    if event.vehicle not in tariff.vehicles:
        raise Refused("tariff.unknown_class")
    if event.territory not in tariff.territories:
        raise Refused("tariff.unknown_territory")
    base, power_counts, unlimited, trailer = tariff.vehicles[event.vehicle]
    drivers = [tariff.driver(*driver) for driver in event.drivers] or [Fraction(1)]
    power = [factor for over, factor in tariff.power if over < event.power] if power_counts else [Fraction(1)]
    if event.abroad:
        use = [factor for least, factor in tariff.term if least <= days]
    else:
        use = [factor for months, factor in tariff.use if months <= event.use_months]
    if None in drivers or not power or not use:
        raise Refused("tariff.no_factor")
    return base * tariff.territories[event.territory] * max(drivers) * power[-1] * use[-1] * (unlimited if event.unlimited else 1) * (trailer if event.trailer else 1)


Charge = collections.namedtuple("Charge", "event_id policy_id version kind amount currency starts_on ends_on from_day bonus_malus claims")


def issue(tariff, policies, event):
    if event.policy_id in policies:
        raise Refused("policy.exists")
    if event.bonus_malus not in tariff.classes:
        raise Refused("tariff.unknown_bonus_malus")
    facts = Facts(price_of(tariff, event, days_of(event)), event.bonus_malus)
    policy = policies[event.policy_id] = Policy(tariff.currency)
    policy.periods.append(Period(event.starts_on, event.ends_on, None, facts))
    return policy.periods[0], event.starts_on


def renew(tariff, policy, event):
    place = bisect.bisect([period.starts_on for period in policy.periods], event.starts_on)
    before = policy.periods[place - 1] if place else None
    after = policy.periods[place] if place < len(policy.periods) else None
    if before is None or event.starts_on <= before.ends_on or (after and event.ends_on >= after.starts_on):
        raise Refused("date.out_of_period")
    full = policy.lines() == LINES_MAX
    if full and place == 1:
        raise Refused("date.out_of_period")
    period = Period(event.starts_on, event.ends_on, event.claims, Facts(price_of(tariff, event, days_of(event)), None))
    policy.periods.insert(place, period)
    if full:
        policy.forget()
    return period, event.starts_on


def correct(tariff, policy, event):
    period, day = policy.at(event.effective_on), event.effective_on
    if period is None:
        raise Refused("date.out_of_period")
    if event.bonus_malus and event.bonus_malus not in tariff.classes:
        raise Refused("tariff.unknown_bonus_malus")
    facts = Facts(price_of(tariff, event, days_of(period)), event.bonus_malus or None)
    if day in period.lines:
        facts.given = facts.given or period.lines[day].given
    elif len(period.lines) == LINES_MAX - 1 or (policy.lines() == LINES_MAX and period is policy.periods[0]):
        raise Refused("correction.too_many")
    elif policy.lines() == LINES_MAX:
        policy.forget()
    period.lines[day] = facts
    return period, day


def cancel(policy, event):
    period = policy.at(event.cancelled_on)
    if period is None:
        raise Refused("date.out_of_period")
    policy.cancelled_on = event.cancelled_on
    return period, period.starts_on


def settle(tariff, policy, event, kind, period, day):
    """What the period costs now, less what was paid for it so far."""
    whole, back = period.cost(tariff, policy.cancelled_on)
    amount = whole - back - period.paid
    period.paid += amount
    policy.version += 1
    facts = period.lines[day]
    if period is policy.periods[-1]:
        policy.premium = whole
    tells = kind != "cancelled" and (kind != "corrected" or facts.given is not None)
    return Charge(event.event_id, event.policy_id, policy.version, kind, amount, policy.currency, str(period.starts_on), str(period.ends_on),
                  str(day), facts.cls if tells else "", "" if period.claims is None else str(period.claims))


def apply(tariff, policies, event):
    """Changes the policy and returns what is charged and paid back, or raises Refused and changes nothing."""
    policy = policies.get(event.policy_id)
    if event.kind == "issued":
        period, day = issue(tariff, policies, event)
        policy = policies[event.policy_id]
    elif not policy:
        raise Refused("policy.unknown")
    elif policy.cancelled_on is not None and not (event.kind == "corrected" and event.effective_on <= policy.cancelled_on):
        raise Refused("policy.cancelled")
    known = {id(period): classes for period, classes in zip(policy.periods, policy.classes())}
    if event.kind == "renewed":
        period, day = renew(tariff, policy, event)
    elif event.kind == "corrected":
        period, day = correct(tariff, policy, event)
    elif event.kind == "cancelled":
        period, day = cancel(policy, event)
    policy.derive(tariff)
    charges = [settle(tariff, policy, event, event.kind, period, day)]
    for other, classes in zip(policy.periods, policy.classes()):
        if other is period:
            continue
        if event.kind == "cancelled" and other.ends_on > event.cancelled_on:
            charges.append(settle(tariff, policy, event, "cancelled", other, other.starts_on))
        elif classes != known[id(other)]:
            charges.append(settle(tariff, policy, event, "reclassed", other, other.starts_on))
    return charges


CRASH = "crash."  # what the code of a dead letter begins with whose message killed its worker


def is_crasher(row):
    """An event that a bad release dies of, as it was first sent. What is sent again of it is an event like others."""
    return text_of(row["bug"]) is not None and text_of(row["redriven"]) is None


COPY = "copy"  # of an event that had its effect; a pipeline with dedupe passes it over


def expect(tariff, rows, dedupe=False):
    """By source coordinates: a list of Charges, a code of refusal, COPY, or None for an event that is skipped. And the policies at the end.
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
            expected[at] = apply(tariff, policies, event)
            kept.add(event_id)
        except Refused as refused:
            expected[at] = refused.code
    return expected, policies


# ---- the words that let a person work an amount out again ----

PRODUCT = "base territory bonus_malus drivers unlimited power use".split()  # and trailer, if there is one


fraction = functools.lru_cache(maxsize=10000)(Fraction)


@functools.lru_cache(maxsize=10000)
def product_of(factors):
    product = Fraction(1)
    for factor in factors:
        product *= fraction(factor)
    return product


def sum_of(words):
    """1368446x151+1596520x214"""
    return sum(int(premium) * int(days) for premium, days in (part.split("x") for part in words.split("+")))


def amount_of(tariff, breakdown):
    """The amount that a breakdown comes to, or None: it cannot be worked out."""
    try:
        words = dict(part.split("=") for part in breakdown.split(" "))
        product = product_of((*(words[name] for name in PRODUCT), words.get("trailer", "1"))) if "base" in words else Fraction(1)
        if "cost" in words:
            if "base" in words and tariff.round(product) != int(words["premium"]):
                return None
            days, back = int(words["days"]), Fraction(0)
            if "unused" in words:
                back = Fraction(sum_of(words["unused"]), days) * fraction(words["returned"])
            return tariff.round(Fraction(sum_of(words["cost"]), days)) - tariff.round(back) - int(words["charged"])
        if "unused_days" in words:
            return -tariff.round(Fraction(int(words["premium"]) * int(words["unused_days"]), int(words["days"])) * fraction(words["returned"]))
        return tariff.round(product)
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def facts_of(text):
    """The column facts as Policy.facts has it, or None: it cannot be read."""
    periods = []
    try:
        for part in text.rstrip(";").split(";"):
            words = part.split(" ")
            if words[0] == "P":
                periods.append((words[1], words[2], int(words[3]), []))
            else:
                periods[-1][3].append((int(words[1]), words[2], int(words[4])))
    except (IndexError, ValueError):
        return None
    return periods
