"""What the gateway's tests are written with: a broker, gateway processes, a client, and an independent reader."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

import grpc

# The generated package "grpc" must not hide grpcio, whose name it has: its folders are added to grpcio's.
for entry in os.environ["PYTHONPATH"].split(":"):
    grpc.__path__.append(os.path.join(entry, "grpc"))

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "kit"))

from certificates import Certificates  # noqa: E402
from waiting import until  # noqa: E402
from auto.events.v1 import gateway_pb2  # noqa: E402
from grpc.health.v1 import health_pb2  # noqa: E402

KAFKA = os.path.join(HERE, "..", "..", "kit", "kafka")
SERVICE = "/auto.events.v1.PolicyEvents/"
OCCURRED = 1772366400000000
WAIT = 60


def kafka(*args, check=True):
    run = subprocess.run([KAFKA, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if check and run.returncode != 0:
        raise RuntimeError(f"kafka {args}: {run.stderr}")
    return run


class Cluster:
    """One broker for all tests, or some; each test has a topic of its own."""

    folder = None
    bootstrap = None
    brokers = 0

    @classmethod
    def start(cls, brokers=1):
        cls.folder = tempfile.mkdtemp(prefix="pawl-gateway-")
        started = kafka("start", cls.folder + "/kafka", str(brokers), check=False)
        if started.returncode == 77:
            print("SKIPPED: " + started.stderr, file=sys.stderr)
            cls.stop()
            sys.exit(77)
        if started.returncode != 0:
            cls.stop()
            raise RuntimeError(started.stderr)
        cls.brokers = brokers
        cls.bootstrap = started.stdout.strip()

    @classmethod
    def pid(cls):
        with open(cls.folder + "/kafka/1/pid", encoding="utf-8") as file:
            return int(file.read())

    @classmethod
    def stop(cls):
        if cls.folder:
            kafka("stop", cls.folder + "/kafka", "now", check=False)
            shutil.rmtree(cls.folder, ignore_errors=True)


class Gateway:
    """A gateway process with a configuration of its own."""

    running = set()

    def __init__(self, topic, extra="", bootstrap=None, env=None):
        self.folder = tempfile.mkdtemp(dir=Cluster.folder)
        self.config = os.path.join(self.folder, "gateway.yaml")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(
                f"version: 1\nlisten: 127.0.0.1:0\nhttp: {{ listen: 127.0.0.1:0 }}\ntopic: {topic}\n"
                f"kafka: {{ bootstrap.servers: \"{bootstrap or Cluster.bootstrap}\" }}\n{extra}"
            )
        self.log = open(os.path.join(self.folder, "log"), "w+b")
        self.process = subprocess.Popen(
            [os.environ["PAWL_GATEWAY"], self.config],
            stderr=self.log,
            env={**os.environ, "PAWL_LOG_FORMAT": "json", **(env or {})},
        )
        Gateway.running.add(self)
        try:
            self.address = self.await_log("gateway.listening").split(" ")[2].rstrip(",")
            self.http = self.await_log("gateway.http").rsplit(" ", 1)[1]
        except AssertionError:
            self.close()
            raise

    def lines(self):
        with open(self.log.name, "rb") as log:
            return [json.loads(line) for line in log.read().split(b"\n")[:-1] if line.startswith(b"{")]

    def await_log(self, event, count=1):
        def seen():
            if self.process.poll() is not None and self.process.returncode != 0:
                raise AssertionError(f"the gateway ended with {self.process.returncode}: {self.lines()}")
            return [line["text"] for line in self.lines() if line["event"] == event]

        until(event, lambda: len(seen()) >= count)
        return seen()[count - 1]

    def metric(self, name):
        page = urllib.request.urlopen(f"http://{self.http}/metrics", timeout=WAIT).read().decode()
        return float(re.search(r"^pawl_gateway_" + re.escape(name) + r" (\S+)$", page, re.M).group(1))

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.http}/readyz", timeout=WAIT).status == 200
        except urllib.error.HTTPError as error:
            return error.code == 200

    def channel(self, credentials=None, **options):
        opts = [(key.replace("__", "."), value) for key, value in options.items()]
        if credentials:
            return grpc.secure_channel(self.address, credentials, opts)
        return grpc.insecure_channel(self.address, opts)

    def term(self):
        self.process.send_signal(signal.SIGTERM)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        Gateway.running.discard(self)


def method(channel, kind, name, request, response):
    return getattr(channel, kind)(name, request_serializer=request.SerializeToString, response_deserializer=response.FromString)


class Client:
    def __init__(self, channel):
        request = gateway_pb2.PublishRequest
        self.channel = channel
        self.publish = method(channel, "unary_unary", SERVICE + "Publish", request, gateway_pb2.PublishResponse)
        self.publish_all = method(channel, "stream_unary", SERVICE + "PublishAll", request, gateway_pb2.PublishAllResponse)
        self.stream = method(channel, "stream_stream", SERVICE + "PublishStream", request, gateway_pb2.PublishStreamResponse)
        self.check = method(
            channel, "unary_unary", "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
        )
        self.watch = method(
            channel, "unary_stream", "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
        )


def event(name, policy="p-1", source=""):
    request = gateway_pb2.PublishRequest(source=source)
    request.event.event_id = name
    request.event.policy_id = policy
    request.event.occurred_at_us = OCCURRED
    request.event.cancelled.cancelled_on = "2026-07-01"
    return request


class Slow:
    """Requests that come when they are asked for; ends when closed."""

    def __init__(self):
        self.items, self.condition, self.done = [], threading.Condition(), False

    def put(self, *items):
        with self.condition:
            self.items += items
            self.condition.notify()

    def close(self):
        with self.condition:
            self.done = True
            self.condition.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self.condition:
            while not self.items and not self.done:
                self.condition.wait()
            if self.items:
                return self.items.pop(0)
            raise StopIteration


def records(topic):
    """What an independent reader finds: (partition, offset, key, ce_id, ce_type)."""
    out = subprocess.run(
        [os.environ["AUTO_EVENTS"], "read", "--bootstrap", Cluster.bootstrap, "--topic", topic, "--read-committed"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.splitlines()
    names = out[0].split("\t")
    rows = [dict(zip(names, line.split("\t"))) for line in out[1:]]
    return sorted(rows, key=lambda row: (int(row["partition"]), int(row["offset"])))


class Keys(Certificates):
    """With what the gateway and its clients take of them."""

    def __init__(self):
        super().__init__(tempfile.mkdtemp(dir=Cluster.folder))

    def credentials(self, client=None, ca="ca"):
        if client:
            return grpc.ssl_channel_credentials(self.read(f"{ca}.pem"), self.read(f"{client}.key"), self.read(f"{client}.pem"))
        return grpc.ssl_channel_credentials(self.read(f"{ca}.pem"))

    def tls(self, more=""):
        """The gateway's configuration."""
        return f"tls: {{ certificate: {self.folder}/server.pem, key: {self.folder}/server.key{more} }}\n"


def main(brokers=1, beside=None):
    """beside: what else is started before the tests, and stopped after them."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where nobody sits before it: what runs is stopped
        signal.signal(number, signal.default_int_handler)
    try:
        Cluster.start(brokers)
        if beside:
            beside.start()
        result = unittest.main(exit=False, verbosity=2).result
    finally:
        for gateway in Gateway.running.copy():
            gateway.close()
        if beside:
            beside.stop()
        Cluster.stop()
    sys.exit(not result.wasSuccessful())


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.topic = "t-" + re.sub(r"[^a-z0-9]", "-", self._testMethodName)[:200]
        kafka("topic", Cluster.folder + "/kafka", self.topic, "3", str(Cluster.brokers))

    def gateway(self, extra="", **more):
        gateway = Gateway(self.topic, extra, **more)
        self.addCleanup(gateway.close)
        return gateway

    def client(self, gateway, **options):
        channel = gateway.channel(**options)
        self.addCleanup(channel.close)
        return Client(channel)

    def refused(self, code, call, *args, **more):
        with self.assertRaises(grpc.RpcError) as caught:
            result = call(*args, **more)
            list(result) if hasattr(result, "__next__") else None
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception
