"""A page of metrics is read by programs that others wrote: promtool, and the strict parser of Prometheus' own Python client.

usage: formats.py METRICS_PRINT DOCS_METRICS
"""

import re
import subprocess
import sys
import unittest

METRICS_PRINT, MANUAL = sys.argv.pop(1), sys.argv.pop(1)
PIPELINES, WORKERS, PARTITIONS = 2, 3, 5  # of the page that metrics_print makes


def page(how):
    return subprocess.run([METRICS_PRINT, how], check=True, capture_output=True, text=True).stdout


def samples(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


class Formats(unittest.TestCase):
    def test_promtool_has_nothing_to_say_about_the_text_format(self):
        ran = subprocess.run(["promtool", "check", "metrics"], input=page("--text"), capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, "", ""))

    def test_the_strict_parser_takes_the_open_format(self):
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        families = list(text_string_to_metric_families(page("--open")))
        read = [s for f in families for s in f.samples]
        self.assertEqual(len(read), len(samples(page("--open"))))
        types = {f.name: f.type for f in families}
        self.assertEqual(types["pawl_events"], "counter")
        self.assertEqual(types["pawl_step_seconds"], "histogram")
        names = {s.labels["pipeline"] for s in read if "pipeline" in s.labels}
        self.assertEqual(names, {"underwriting", 'billing "test"'})

    def test_both_formats_have_the_same_series(self):
        self.assertEqual(samples(page("--text")), samples(page("--open")))

    def test_there_are_as_many_series_as_the_manual_says(self):
        with open(MANUAL, encoding="utf-8") as f:
            bound = re.search(r"(\d+) \+ (\d+) x pipelines \+ (\d+) x workers \+ (\d+) x partitions", f.read())
        runtime, pipeline, worker, partition = map(int, bound.groups())
        self.assertEqual(
            len(samples(page("--text"))), runtime + pipeline * PIPELINES + worker * WORKERS + partition * PARTITIONS
        )

    def test_a_page_without_its_end_is_refused(self):
        """The strict parser is one that can refuse."""
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        with self.assertRaises(ValueError):
            list(text_string_to_metric_families(page("--open").replace("# EOF\n", "")))
        with self.assertRaises(ValueError):
            list(text_string_to_metric_families(page("--text") + "# EOF\n"))


if __name__ == "__main__":
    unittest.main()
