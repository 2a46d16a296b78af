"""The rules of deploy/prometheus and those that `pawl generate rules` makes: promtool takes them, promtool's own unit tests see each alert fire
and not fire, and each alert has a section in the runbook, whose commands exist.

usage: rules.py PAWL SOURCE_DIR
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

PAWL, SOURCE = sys.argv.pop(1), sys.argv.pop(1)
HERE = os.path.join(SOURCE, "tests/prometheus")
TESTS = ("rules_test.yml", "slo_test.yml")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as f:
        return f.read()


def section(text, heading):
    """From a heading of level 2 to the next."""
    return re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        for name in TESTS:
            shutil.copy(os.path.join(HERE, name), cls.dir.name)
        shutil.copy(os.path.join(SOURCE, "deploy/prometheus/pawl.rules.yml"), cls.dir.name)
        made = run(PAWL, "generate", "rules", os.path.join(HERE, "topology.yaml"))
        assert made.returncode == 0, made.stderr
        with open(cls.path("slo.rules.yml"), "w", encoding="utf-8") as f:
            f.write(made.stdout)
        cls.rules = []
        for name in ("pawl.rules.yml", "slo.rules.yml"):
            with open(cls.path(name), encoding="utf-8") as f:
                cls.rules += [r for g in yaml.safe_load(f)["groups"] for r in g["rules"]]
        cls.alerts = {r["alert"]: r for r in cls.rules if "alert" in r}

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir.name, name)

    def test_promtool_takes_the_rules(self):
        for name in ("pawl.rules.yml", "slo.rules.yml"):
            ran = run("promtool", "check", "rules", self.path(name))
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            self.assertIn("SUCCESS", ran.stdout)

    def test_alerts_fire_and_do_not_fire(self):
        for name in TESTS:
            ran = run("promtool", "test", "rules", self.path(name))
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)

    def expectations(self):
        """(names that the query is about, expected series), of the tests that look at ALERTS."""
        for name in TESTS:
            with open(self.path(name), encoding="utf-8") as f:
                for test in yaml.safe_load(f)["tests"]:
                    for one in test["promql_expr_test"]:
                        about = re.match(r'ALERTS\{alertname(=~?)"([^"]*)"', one["expr"])
                        if about:
                            names = [a for a in self.alerts if re.fullmatch(about.group(2), a)]
                            yield names, [s["labels"] for s in one.get("exp_samples", [])]

    def test_no_alert_was_forgotten(self):
        """A new alert without a test that it fires, and one that it does not, fails here."""
        fires, quiet = set(), set()
        for names, series in self.expectations():
            fires |= {re.search(r'alertname="(\w+)"', s).group(1) for s in series}
            quiet |= set(names) if not series else set()
        self.assertEqual(fires, set(self.alerts))
        self.assertEqual(quiet, set(self.alerts))

    def test_what_alerts_say_has_the_labels_that_they_have(self):
        has = {}
        for _, series in self.expectations():
            for s in series:
                has[re.search(r'alertname="(\w+)"', s).group(1)] = set(re.findall(r'(\w+)="', s))
        for alert, rule in self.alerts.items():
            for text in rule["annotations"].values():
                for label in re.findall(r"\$labels\.(\w+)", text):
                    self.assertIn(label, has[alert], f"{alert}: {text}")

    def test_rules_use_metrics_that_there_are(self):
        there = set(re.findall(r"^\| `(\w+)`", read("docs/metrics.md"), re.M))
        there |= {m + s for m in there if m.endswith("_seconds") for s in ("_bucket", "_count", "_sum")}
        there |= {r["record"] for r in self.rules if "record" in r}
        for rule in self.rules:
            for name in re.findall(r"(?:pipeline:)?pawl_[a-z_]+(?::\w+)?", rule["expr"]):
                self.assertIn(name, there, rule["expr"])

    def generated(self, change):
        """The rules of the test's topology after a change of its text."""
        path = self.path("changed.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(change(read("tests/prometheus/topology.yaml")))
        return run(PAWL, "generate", "rules", path)

    def test_each_latency_that_a_topology_may_promise_is_a_limit_of_the_histogram(self):
        choices = json.loads(run(PAWL, "schema").stdout)
        for name in ("properties", "pipelines", "additionalProperties", "properties", "slo", "properties", "latency"):
            choices = choices[name]
        choices = choices["anyOf"][0]["enum"]
        self.assertGreater(len(choices), 5)
        limits = re.search(r"^Histograms in seconds have the limits (.*)\.$", read("docs/metrics.md"), re.M).group(1)
        limits = {float(one) for one in limits.split(",")}
        unit = {"ms": 0.001, "s": 1, "m": 60}
        for choice in choices:
            made = self.generated(lambda text, c=choice: text.replace("latency: 250ms", f"latency: {c}"))
            used = re.findall(r'pipeline="orders",le="([^"]+)"', made.stdout)
            number, suffix = re.fullmatch(r"(\d+)(ms|s|m)", choice).groups()
            self.assertEqual({float(one) for one in used}, {int(number) * unit[suffix]}, choice)
            self.assertTrue({float(one) for one in used} <= limits, choice)
            self.assertTrue(all("." in one for one in used), "as it is written on the page")

    def test_a_wrong_topology_makes_no_rules(self):
        made = self.generated(lambda text: text.replace("availability: 99.9%", "availability: 99.9"))
        self.assertEqual((made.returncode, made.stdout), (1, ""))
        self.assertIn("changed.yaml:10:26: 'slo.availability' must be a percentage", made.stderr)

    def test_each_alert_has_its_section_in_the_runbook(self):
        text = section(read("docs/operations.md"), "Alerts")
        headings = set(re.findall(r"^### (\w+)$", text, re.M))
        self.assertEqual(headings, set(self.alerts))
        for alert, rule in self.alerts.items():
            self.assertEqual(rule["annotations"]["runbook"], f"docs/operations.md#{alert.lower()}")
            self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
        for alert in self.alerts:
            one = re.search(rf"^### {alert}$(.*?)(?=^### |\Z)", text, re.M | re.S).group(1)
            self.assertIn("**What to do.**", one, alert)
            self.assertIn("**What it means.**", one, alert)

    def test_the_commands_of_the_runbook_exist_and_take_these_options(self):
        text = section(read("docs/operations.md"), "Alerts")
        lines = re.findall(r"^    pawl (.+?)(?:\s+#.*)?$", text, re.M) + re.findall(r"`pawl ([^`]+)`", text)
        self.assertGreater(len(lines), 15)
        for line in lines:
            words = [w for w in line.split() if re.fullmatch(r"[a-z-]+", w) and not w.startswith("-")][:2]
            shown = run(PAWL, *words, "--help")
            if shown.returncode != 0:
                shown = run(PAWL, words[0], "--help")
            self.assertEqual(shown.returncode, 0, f"pawl {line}: {shown.stderr}")
            for option in re.findall(r"--[a-z-]+", line):
                self.assertIn(option, shown.stdout, f"pawl {line}")


if __name__ == "__main__":
    unittest.main()
