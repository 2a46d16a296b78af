"""A real Prometheus scrapes a running pawl, with the rules, and runs every query of the dashboard and of the rules.

usage: live.py PAWL TOPOLOGY ADDRESS DSN SOURCE_DIR
ADDRESS: of its http.listen. DSN: of its database, for the statements of the runbook. Something of everything must have happened there: events,
outputs, a dead letter, a copy, a parked message, a reload, an error of PostgreSQL.
"""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from waiting import until  # noqa: E402

PAWL, TOPOLOGY, ADDRESS, DSN, SOURCE = (sys.argv.pop(1) for _ in range(5))
WAIT = 60
VARIABLES = {"$__rate_interval": "10s", "$job": ".*", "$pipeline": ".*"}


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as f:
        return f.read()


def page(accept):
    request = urllib.request.Request(f"http://{ADDRESS}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=WAIT) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Prometheus:
    """In a folder of its own, on loopback."""

    def __init__(self, folder, rules):
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "pawl", "static_configs": [{"targets": [ADDRESS]}]}],
        }
        with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f)
        self.log = os.path.join(folder, "log")
        for _ in range(5):  # somebody else may take the port first
            if self.start(folder):
                return
        raise AssertionError(self.said())

    def start(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % s.getsockname()[1]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address={self.address}", "--log.level=warn"],
                stdout=log, stderr=log, preexec_fn=die_with_parent)
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=WAIT):
                    return True
            except OSError:
                time.sleep(0.1)
        if self.process.poll() is None or "address already in use" not in self.said():
            self.stop()
            raise AssertionError(self.said())
        return False

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def get(self, path, **parameters):
        """The data, or the error as text: a query that does not parse is a finding, not the end."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=WAIT) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            return json.load(e)["error"]

    def query(self, expr):
        """[(labels, number)], without what is not a number; a text: it does not parse."""
        data = self.get("query", query=expr)
        if isinstance(data, str):
            return data
        got = [(s["metric"], float(s["value"][1])) for s in data["result"]]
        return [(labels, v) for labels, v in got if v == v]


def with_values(expr):
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def selectors(expr):
    """The series that an expression looks at."""
    return re.findall(r"(?:pipeline:)?\b(?:pawl|process)_[a-z_]+(?::\w+)?(?:\{[^}]*\})?", expr)


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        made = subprocess.run([PAWL, "generate", "rules", TOPOLOGY], check=True, capture_output=True, text=True).stdout
        with open(os.path.join(folder.name, "slo.rules.yml"), "w", encoding="utf-8") as f:
            f.write(made.replace("interval: 2m", "interval: 1s"))  # nobody waits two minutes here
        rules = [os.path.join(SOURCE, "deploy/prometheus/pawl.rules.yml"), os.path.join(folder.name, "slo.rules.yml")]
        cls.prom = Prometheus(folder.name, rules)
        cls.addClassCleanup(cls.prom.stop)
        until("ten scrapes", lambda: any(v >= 10 for _, v in cls.prom.query("count_over_time(up[5m]) and up == 1")))

    def has_data(self, expr):
        """Rates need some scrapes more, and records some evaluations."""
        got = self.prom.query(expr)
        self.assertNotIsInstance(got, str, f"{expr}: {got}")
        return got or until(f"data for {expr}", lambda: self.prom.query(expr))

    def test_both_formats_are_served_and_prometheus_takes_what_it_prefers(self):
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        kind, text = page("application/openmetrics-text; version=1.0.0")
        self.assertEqual(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.assertGreater(len(list(text_string_to_metric_families(text))), 40)
        kind, text = page("text/plain")
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        target = self.prom.get("targets")["activeTargets"][0]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))

    def test_every_metric_of_the_manual_is_there(self):
        there = set(self.prom.get("label/__name__/values"))
        for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) ", read("docs/metrics.md"), re.M):
            self.assertIn(name + ("_bucket" if kind == "histogram" else ""), there)

    def test_every_query_of_the_dashboard_has_data(self):
        dashboard = json.loads(read("deploy/grafana/dashboard.json"))
        queries = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
        self.assertGreater(len(queries), 50)
        for expr in queries:
            self.has_data(with_values(expr))
        for note in dashboard["annotations"]["list"]:
            self.assertNotIsInstance(self.prom.query(with_values(note["expr"])), str)
            for one in selectors(note["expr"]):
                self.has_data(with_values(one))
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
                got = self.has_data(with_values(asked.group(1)))
                self.assertTrue(all(asked.group(2) in labels for labels, _ in got))

    def test_every_metric_of_a_panel_has_the_labels_that_its_legend_names(self):
        for panel in json.loads(read("deploy/grafana/dashboard.json"))["panels"]:
            for target in panel.get("targets", []):
                for labels, _ in self.has_data(with_values(target["expr"])):
                    for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                        self.assertIn(name, labels, f"{panel['title']}: {target['expr']}")

    def test_every_rule_is_evaluated_and_looks_at_series_that_there_are(self):
        rules = [r for g in self.prom.get("rules")["groups"] for r in g["rules"]]
        self.assertGreater(len(rules), 30)
        for rule in rules:
            for one in selectors(rule["query"]):
                self.has_data(one)
            if rule["type"] == "recording":
                self.has_data(rule["name"])
        until("all rules evaluated", lambda: all(
            r["health"] != "unknown" for g in self.prom.get("rules")["groups"] for r in g["rules"]))
        for rule in (r for g in self.prom.get("rules")["groups"] for r in g["rules"]):
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])

    def test_the_numbers_are_those_of_what_happened(self):
        def value(expr):
            return self.has_data(expr)[0][1]

        for step in ("fetch", "lookup", "handle", "commit", "publish"):
            until(step, lambda s=step: value(f'sum(pawl_step_seconds_count{{step="{s}"}})') > 0)
            until(step, lambda s=step: value(f'sum(pawl_step_seconds_sum{{step="{s}"}})') > 0)
        for expr in ('sum(pawl_events_total{verdict="ok"})', "sum(pawl_published_total)", "sum(pawl_retries_total)",
                     'sum(pawl_events_total{verdict="reject"})', 'sum(pawl_events_total{verdict="duplicate"})',
                     "sum(pawl_kafka_connects_total)", "sum(pawl_worker_arena_bytes)", "sum(pawl_parked_messages)"):
            until(expr, lambda e=expr: value(e) > 0)
        self.assertGreaterEqual(value("sum(pawl_postgres_connects_total)"), 2, "the connection was cut once")
        self.assertLess(value('time() - max(pawl_last_error_timestamp_seconds{cause="postgres"})'), 600)
        self.assertEqual(value('sum(pawl_reloads_total{outcome="reloaded"})'), 1)
        self.assertLess(value("max(pawl_partition_oldest_age_seconds)"), 60, "it keeps up")
        info = self.has_data("pawl_plugin_info")[0][0]
        self.assertTrue({"pipeline", "id", "version", "build_id"} <= set(info))
        self.assertRegex(info["build_id"], "^[0-9a-f]{8,}$")
        until("available", lambda: value("min(pipeline:pawl_available:bool)") == 1)
        self.assertEqual(value('pipeline:pawl_slo_objective:ratio{slo="availability"}'), 0.9998)

    def test_there_are_not_more_series_than_the_manual_says(self):
        bound = re.search(r"(\d+) \+ (\d+) x pipelines \+ (\d+) x workers \+ (\d+) x partitions", read("docs/metrics.md"))
        runtime, pipeline, worker, partition = map(int, bound.groups())
        series = sum(not line.startswith("#") for line in page("text/plain")[1].splitlines())
        workers, partitions = self.has_data('count(pawl_worker_state{state="down"})')[0][1], self.has_data("count(pawl_partition_halted)")[0][1]
        self.assertLessEqual(series, runtime + pipeline + worker * workers + partition * partitions)

    def test_the_statements_of_the_runbook_can_be_run(self):
        statements = re.findall(r"```sql\n(.*?)```", read("docs/operations.md"), re.S)
        self.assertGreaterEqual(len(statements), 2)
        for sql in statements:
            ran = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", DSN, "-c", sql], capture_output=True, text=True)
            self.assertEqual(ran.returncode, 0, f"{sql}: {ran.stderr}")

    def test_what_grafana_is_given_fits_together(self):
        source = yaml.safe_load(read("deploy/grafana/provisioning/datasources/pawl.yml"))["datasources"][0]
        folder = yaml.safe_load(read("deploy/grafana/provisioning/dashboards/pawl.yml"))["providers"][0]["options"]["path"]
        self.assertEqual(source["type"], "prometheus")
        self.assertIn(f"{folder}/pawl.json", read("deploy/grafana/README.md"))
        panels = json.loads(read("deploy/grafana/dashboard.json"))["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        for panel in panels:
            where = panel["gridPos"]
            self.assertLessEqual(where["x"] + where["w"], 24)
            for other in panels:
                there = other["gridPos"]
                self.assertTrue(
                    panel is other or where["x"] + where["w"] <= there["x"] or there["x"] + there["w"] <= where["x"]
                    or where["y"] + where["h"] <= there["y"] or there["y"] + there["h"] <= where["y"],
                    f"{panel['title']} is over {other['title']}")


if __name__ == "__main__":
    unittest.main()
