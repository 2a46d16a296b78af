#!/usr/bin/env python3
"""One trace from a client through the gateway, Kafka and workers to what they publish, as the OpenTelemetry collector's receiver of OTLP
understands it. The events are those of the car insurance; a second pipeline refuses them all."""
import json
import os
import re
import socket
import subprocess
import sys
import threading
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "gateway"))

import kit  # noqa: E402
from kit import WAIT, Cluster, kafka, until  # noqa: E402

PAWL, PLUGINS, CONF, COLLECTOR = (os.environ[n] for n in ("PAWL", "PAWL_PLUGINS", "PAWL_CONF", "PAWL_COLLECTOR"))
PG = os.path.join(HERE, "..", "..", "kit", "pg")
TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNSAMPLED = "00-11111111111111111111111111111111-2222222222222222-00"
STATE = "vendor=abc123"
SECRET = "Bearer not-for-logs"


def free_port():
    """Below the range from which the kernel hands out ports by itself."""
    for port in range(15000 + os.getpid() % 1000, 16384):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def issued(name, policy):
    request = kit.gateway_pb2.PublishRequest()
    event = request.event
    event.event_id, event.policy_id, event.occurred_at_us = name, policy, kit.OCCURRED
    event.issued.period.starts_on, event.issued.period.ends_on = "2026-07-01", "2027-06-30"
    risk = event.issued.risk
    risk.vehicle_class, risk.territory, risk.engine_power_hp, risk.use_months = "car_private", "kazan", 98, 12
    driver = risk.drivers.add()
    driver.birth_date, driver.licensed_on = "1980-02-03", "2001-04-05"
    event.issued.bonus_malus_class = "3"
    return request


class Collector:
    """The receiver; spans are what it has decoded."""

    def __init__(self, port, *files):
        self.spans, self.text = [], ""
        self.process = subprocess.Popen([COLLECTOR, f"127.0.0.1:{port}", *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "listening\n":
            raise RuntimeError("the collector does not listen")
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.text += line
            for resource in json.loads(line)["resourceSpans"]:
                about = attributes(resource["resource"])
                for scope in resource["scopeSpans"]:
                    self.spans += [{**span, "service": about["service.name"], "is": attributes(span)} for span in scope["spans"]]

    def find(self, name, **more):
        return [s for s in list(self.spans) if s["name"] == name and all(s.get(key) == value for key, value in more.items())]

    def await_one(self, name, **more):
        found = until(lambda: f"{name} {more} in {[(s['service'], s['name']) for s in self.spans]}", lambda: self.find(name, **more))
        if len(found) != 1:
            raise AssertionError(f"{name} {more}: {found}")
        return found[0]

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(WAIT)
            self.reader.join(WAIT)
            self.process.stdout.close()


def attributes(of):
    return {a["key"]: next(iter(a["value"].values())) for a in of.get("attributes", [])}


def linked(span):
    return {(link["traceId"], link["spanId"]) for link in span.get("links", [])}


class Traces(unittest.TestCase):
    maxDiff = None
    number = 0

    def setUp(self):
        self.port = free_port()
        Traces.number += 1
        self.topic = f"trace-{Traces.number}"
        self.premiums, self.dead = self.topic + ".premiums", self.topic + ".dead"
        for topic in (self.topic, self.premiums, self.dead):
            kafka("topic", Cluster.folder + "/kafka", topic, "1", "1")
        self.folder = os.path.join(Cluster.folder, self.topic)
        os.mkdir(self.folder)
        self.endpoint = f"http://127.0.0.1:{self.port}/v1/traces"

    def collector(self, *files):
        collector = Collector(self.port, *files)
        self.addCleanup(collector.close)
        return collector

    def trace(self, more):
        return f"trace: {{ endpoint: \"{self.endpoint}\", {more} }}\n"

    def client(self, gateway):
        channel = gateway.channel()
        self.addCleanup(channel.close)
        return kit.Client(channel)

    def gateway(self, more):
        gateway = kit.Gateway(self.topic, self.trace(more))
        self.addCleanup(gateway.close)
        return gateway

    def start(self, more=""):
        path = os.path.join(self.folder, "topology.yaml")
        secret = os.path.join(self.folder, "header")
        with open(secret, "w", encoding="utf-8") as out:
            out.write(f"authorization: {SECRET}\n")
        os.chmod(secret, 0o600)
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"""version: 1
instance: trace
run_dir: {self.folder}/run
plugin_dir: {PLUGINS}
kafka: {{ bootstrap.servers: "{Cluster.bootstrap}" }}
postgres: {{ dsn: "{World.dsn}" }}
http: {{ listen: "127.0.0.1:0" }}
{self.trace(f'sample: 0%, queue: 64, header: "${{file:{secret}}}"{more}')}pipelines:
  underwriting:
    source: {{ topics: [{self.topic}], group: {self.topic}.uw }}
    plugin: {{ path: underwriting.so, config: {CONF}/underwriting.cfg }}
    outputs: {{ premiums: {self.premiums} }}
    workers: 1
    dlq: {{ topic: {self.dead} }}
  refusing:
    source: {{ topics: [{self.topic}], group: {self.topic}.no }}
    plugin: {{ path: ledger.so }}
    workers: 1
    dlq: {{ topic: {self.dead} }}
""")
        os.makedirs(self.folder + "/run", mode=0o700)
        subprocess.run([PAWL, "migrate", path], check=True, stdout=subprocess.DEVNULL, timeout=WAIT)
        with open(self.folder + "/log", "wb") as log:
            self.process = subprocess.Popen([PAWL, "run", path], stderr=log, env={**os.environ, "PAWL_LOG_FORMAT": "json"})
        self.addCleanup(self.stop)
        self.http = until(self.log, lambda: re.search(r'"http.listening".*?(127\.0\.0\.1:\d+)', self.log())).group(1)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.assertEqual(self.process.wait(WAIT), 0, self.log())
        self.assertNotIn(SECRET, self.log())

    def log(self):
        with open(self.folder + "/log", encoding="utf-8") as file:
            return file.read()

    def metric(self, name, pipeline):
        page = urllib.request.urlopen(f"http://{self.http}/metrics", timeout=WAIT).read().decode()
        return sum(float(v) for v in re.findall(rf'^{name}{{pipeline="{pipeline}"[^}}]*}} (\S+)$', page, re.M))

    def read(self, topic, count):
        """Keys and headers of a topic, by somebody else's reader."""
        run = subprocess.run(["kcat", "-C", "-q", "-b", Cluster.bootstrap, "-t", topic, "-o", "beginning", "-c", str(count), "-f", "%k\t%h\n",
                              "-X", "isolation.level=read_committed"], stdout=subprocess.PIPE, text=True, check=True, timeout=WAIT)
        rows = [line.split("\t") for line in run.stdout.splitlines()]
        return {key: dict(header.split("=", 1) for header in headers.split(",")) for key, headers in rows}

    # ---- ----

    def test_one_trace_from_a_client_to_an_output(self):
        collector = self.collector()
        self.start()
        gateway = self.gateway("sample: 0%")
        client = self.client(gateway)
        sampled = f"00-{TRACE}-{CLIENT}-01"
        client.publish(issued("event-1", "policy-1"), timeout=WAIT, metadata=[("traceparent", sampled), ("tracestate", STATE)])
        client.publish(issued("event-2", "policy-2"), timeout=WAIT, metadata=[("traceparent", UNSAMPLED)])
        client.publish(issued("event-3", "policy-3"), timeout=WAIT)

        came = self.read(self.topic, 3)
        sent = collector.await_one("send " + self.topic, service="pawl-gateway")
        self.assertEqual((sent["traceId"], sent["parentSpanId"], sent["kind"], sent["traceState"]), (TRACE, CLIENT, 4, STATE))
        self.assertEqual(came["policy-1"]["traceparent"], f"00-{TRACE}-{sent['spanId']}-01")
        self.assertEqual(came["policy-1"]["tracestate"], STATE)
        self.assertEqual(came["policy-2"]["traceparent"], UNSAMPLED)
        self.assertRegex(came["policy-3"]["traceparent"], r"^00-[0-9a-f]{32}-[0-9a-f]{16}-0[02]$", "decided here, against it")
        self.assertEqual({key: sent["is"][key] for key in ("messaging.system", "messaging.destination.name", "messaging.operation.type",
                                                          "messaging.destination.partition.id", "messaging.kafka.offset")},
                         {"messaging.system": "kafka", "messaging.destination.name": self.topic, "messaging.operation.type": "send",
                          "messaging.destination.partition.id": "0", "messaging.kafka.offset": "0"})

        handled = collector.await_one("process " + self.topic, service="underwriting")
        batch = collector.await_one("process_batch " + self.topic + ".uw")
        self.assertEqual((handled["traceId"], handled["parentSpanId"], handled["kind"]), (TRACE, sent["spanId"], 5))
        self.assertEqual(linked(handled), {(TRACE, sent["spanId"]), (batch["traceId"], batch["spanId"])})
        self.assertEqual(linked(batch), {(TRACE, handled["spanId"])})
        self.assertNotEqual(batch["traceId"], TRACE)
        self.assertGreater(int(handled["endTimeUnixNano"]), int(handled["startTimeUnixNano"]))
        self.assertEqual({key: value for key, value in handled["is"].items() if key != "messaging.message.body.size"},
                         {"messaging.system": "kafka", "messaging.operation.type": "process", "messaging.operation.name": "process",
                          "messaging.destination.name": self.topic, "messaging.destination.partition.id": "0",
                          "messaging.consumer.group.name": self.topic + ".uw", "messaging.kafka.offset": "0", "pawl.verdict": "ok",
                          "pawl.attempt": "1"})
        self.assertNotIn("code", handled.get("status", {}))

        refused = collector.await_one("process " + self.topic, service="refusing")
        self.assertEqual((refused["traceId"], refused["parentSpanId"]), (TRACE, sent["spanId"]))
        self.assertEqual((refused["is"]["pawl.verdict"], refused["status"]["code"]), ("reject", 2))
        self.assertEqual(refused["is"]["error.type"], refused["status"]["message"])

        published = collector.await_one("send " + self.premiums, service="underwriting")
        self.assertEqual((published["traceId"], published["parentSpanId"], published["kind"]), (TRACE, handled["spanId"], 4))
        out = self.read(self.premiums, 3)
        self.assertEqual(out["policy-1"]["traceparent"], f"00-{TRACE}-{published['spanId']}-01")
        self.assertEqual(out["policy-1"]["tracestate"], STATE)
        self.assertEqual(out["policy-2"]["traceparent"], UNSAMPLED)
        self.assertEqual(out["policy-3"]["traceparent"], came["policy-3"]["traceparent"])
        self.assertNotIn("pawl-span", out["policy-1"])
        dead = self.read(self.dead, 3)
        self.assertEqual(dead["policy-1"]["traceparent"], came["policy-1"]["traceparent"], "as it came, for who sends it again")

        until("what was sent", lambda: self.metric("pawl_spans_sent_total", "underwriting") == 3 and gateway.metric("spans_sent_total") == 1)
        self.assertEqual(len(collector.spans), 6, collector.text)
        self.assertEqual(self.metric("pawl_spans_dropped_total", "underwriting"), 0)
        for word in ("policy-1", "event-1", "moscow", SECRET):
            self.assertNotIn(word, collector.text)

    def test_without_a_receiver_nothing_waits_and_what_is_dropped_is_counted(self):
        keys = kit.Keys()
        keys.authority("ca")
        keys.certificate("receiver", "ca", "IP:127.0.0.1")
        self.endpoint = self.endpoint.replace("http:", "https:")
        ca = f", ca: {keys.path('ca.pem')}"
        self.start(ca)
        gateway = self.gateway("sample: 100%, queue: 64" + ca)
        answer = self.client(gateway).publish_all(iter([issued(f"event-d{i}", f"policy-d{i}") for i in range(600)]), timeout=WAIT)
        self.assertEqual(answer.published, 600)
        until("events", lambda: self.metric("pawl_events_total", "underwriting") == 600)
        until("outputs", lambda: self.metric("pawl_published_total", "underwriting") == 600)
        # 600 spans of the gateway, 1 200 and more of the worker; a queue of 64 and one request of as many at most are left
        self.assertGreaterEqual(gateway.metric("spans_dropped_total"), 600 - 2 * 64)
        until("drops", lambda: self.metric("pawl_spans_dropped_total", "underwriting") >= 1200 - 2 * 64)
        self.assertEqual((gateway.metric("spans_sent_total"), self.metric("pawl_spans_sent_total", "underwriting")), (0, 0))
        self.assertIn('"trace.not_sent"', self.log())

        collector = self.collector(keys.path("receiver.pem"), keys.path("receiver.key"))
        until("spans after the outage", lambda: collector.find("send " + self.topic) and collector.find("process " + self.topic))
        until("the word that it is over", lambda: '"trace.sent"' in self.log())
        gateway.term()
        self.assertEqual(gateway.process.wait(WAIT), 0)


class World:
    dsn = None

    @classmethod
    def start(cls):
        os.chmod(Cluster.folder, 0o711)  # for who runs PostgreSQL
        run = subprocess.run([PG, "start", Cluster.folder + "/pg"], stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "PG_FSYNC": "off"})
        cls.dsn = run.stdout.strip()

    @classmethod
    def stop(cls):
        if Cluster.folder:
            subprocess.run([PG, "stop", Cluster.folder + "/pg", "immediate"], check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    kit.main(beside=World)
