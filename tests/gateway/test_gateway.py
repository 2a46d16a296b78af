#!/usr/bin/env python3
"""The gateway as its clients see it: a real broker, a real process, grpcio."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import grpc

# The generated package "grpc" must not hide grpcio, whose name it has: its folders are added to grpcio's.
for entry in os.environ["PYTHONPATH"].split(":"):
    grpc.__path__.append(os.path.join(entry, "grpc"))

from auto.events.v1 import events_pb2, gateway_pb2  # noqa: E402
from google.protobuf import descriptor_pb2  # noqa: E402
from grpc.health.v1 import health_pb2  # noqa: E402
from grpc.reflection.v1 import reflection_pb2  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
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
    """One broker for all tests; each has a topic of its own."""

    folder = None
    bootstrap = None

    @classmethod
    def start(cls):
        cls.folder = tempfile.mkdtemp(prefix="pawl-gateway-")
        started = kafka("start", cls.folder + "/kafka", "1", check=False)
        if started.returncode == 77:
            print("SKIPPED: " + started.stderr, file=sys.stderr)
            cls.stop()
            sys.exit(77)
        if started.returncode != 0:
            cls.stop()
            raise RuntimeError(started.stderr)
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


def until(what, test, timeout=WAIT):
    end = time.monotonic() + timeout
    while not test():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.01)


class Gateway:
    """A gateway process with a configuration of its own."""

    def __init__(self, topic, extra="", bootstrap=None):
        self.folder = tempfile.mkdtemp(dir=Cluster.folder)
        self.config = os.path.join(self.folder, "gateway.yaml")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(
                f"version: 1\nlisten: 127.0.0.1:0\nhttp: {{ listen: 127.0.0.1:0 }}\ntopic: {topic}\n"
                f"kafka: {{ bootstrap.servers: \"{bootstrap or Cluster.bootstrap}\" }}\n{extra}"
            )
        self.log = open(os.path.join(self.folder, "log"), "w+b")
        self.process = subprocess.Popen(
            [os.environ["PAWL_GATEWAY"], self.config], stderr=self.log, env={**os.environ, "PAWL_LOG_FORMAT": "json"}
        )
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


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.topic = "t-" + re.sub(r"[^a-z0-9]", "-", self._testMethodName)[:200]
        kafka("topic", Cluster.folder + "/kafka", self.topic, "3")

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


class Publishing(Case):
    def test_an_answer_says_where_the_event_is(self):
        client = self.client(self.gateway())
        answer = client.publish(event("e-1"), timeout=WAIT, metadata=[("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")])
        found = records(self.topic)
        self.assertEqual(len(found), 1)
        self.assertEqual((int(found[0]["partition"]), int(found[0]["offset"])), (answer.partition, answer.offset))
        self.assertEqual(
            (found[0]["key"], found[0]["ce_id"], found[0]["ce_type"], found[0]["body"], found[0]["cancelled_on"]),
            ("p-1", "e-1", "auto.policy.cancelled.v1", "cancelled", "2026-07-01"),
        )
        self.assertEqual(answer.event_id, "e-1")

    def test_the_events_of_a_policy_stay_in_order(self):
        client = self.client(self.gateway())
        count = client.publish_all((event(f"e-{i}", f"p-{i % 7}") for i in range(2000)), timeout=WAIT).published
        self.assertEqual(count, 2000)
        per_policy = {}
        for row in records(self.topic):
            per_policy.setdefault(row["key"], []).append(int(row["ce_id"][2:]))
        self.assertEqual(sorted(sum(per_policy.values(), [])), list(range(2000)))
        for numbers in per_policy.values():
            self.assertEqual(numbers, sorted(numbers))

    def test_a_stream_answers_each_event_in_order_and_survives_bad_ones(self):
        client = self.client(self.gateway())
        names = [f"e-{i}" if i % 10 else "not an id" for i in range(1000)]
        answers = list(client.stream((event(name) for name in names), timeout=WAIT))
        self.assertEqual([answer.sequence for answer in answers], list(range(1, 1001)))
        for i, answer in enumerate(answers):
            if i % 10:
                self.assertEqual((answer.WhichOneof("outcome"), answer.event_id), ("published", names[i]))
            else:
                self.assertEqual(answer.refused.code, grpc.StatusCode.INVALID_ARGUMENT.value[0])
                self.assertEqual(answer.refused.violations[0].field, "event.event_id")
        self.assertEqual(len(records(self.topic)), 900)

    def test_a_stream_is_answered_while_it_goes_on(self):
        client = self.client(self.gateway())
        requests = Slow()
        answers = client.stream(requests, timeout=WAIT)
        for i in range(5):
            requests.put(event(f"e-{i}"))
            self.assertEqual(next(answers).event_id, f"e-{i}")
        requests.close()
        self.assertEqual(list(answers), [])

    def test_the_first_bad_event_ends_a_client_stream_and_is_named(self):
        client = self.client(self.gateway())
        error = self.refused(
            grpc.StatusCode.INVALID_ARGUMENT, client.publish_all, (event(f"e-{i}" if i != 50 else "") for i in range(100)), timeout=WAIT
        )
        self.assertIn("request 51: event.event_id", error.details())
        self.assertIn("50 before it were published", error.details())

    def test_an_empty_client_stream_publishes_nothing(self):
        self.assertEqual(self.client(self.gateway()).publish_all(iter(()), timeout=WAIT).published, 0)

    def test_details_name_the_fields(self):
        request = event("e-1", "")
        request.event.cancelled.cancelled_on = "2026-02-30"
        error = self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.client(self.gateway()).publish, request, timeout=WAIT)
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        self.assertIn(b"google.rpc.BadRequest", details)
        self.assertIn(b"event.policy_id", details)
        self.assertIn(b"event.cancelled.cancelled_on", details)
        self.assertEqual(records(self.topic), [])

    def test_fields_that_the_gateway_does_not_know_travel(self):
        raw = event("e-1").SerializeToString()
        inner = event("e-1").event.SerializeToString() + b"\x9a\x06\x05hello"  # field 99
        wrapped = b"\x0a" + bytes([len(inner)]) + inner
        self.assertNotEqual(raw, wrapped)
        channel = self.gateway().channel()
        self.addCleanup(channel.close)
        channel.unary_unary(SERVICE + "Publish")(wrapped, timeout=WAIT)
        self.assertEqual(records(self.topic)[0]["ce_id"], "e-1")
        dump = kafka("offsets", Cluster.folder + "/kafka", self.topic).stdout
        self.assertRegex(dump, r"(?m)^\d+\s+0\s+1$")

    def test_compressed_requests_are_taken(self):
        gateway = self.gateway()
        channel = gateway.channel()
        self.addCleanup(channel.close)
        request = event("e-1")
        request.event.cancelled.reason = "x" * 200
        answer = Client(channel).publish(request, timeout=WAIT, compression=grpc.Compression.Gzip)
        self.assertEqual(answer.event_id, "e-1")
        self.assertLess(gateway.metric("received_bytes_total"), 150)


class Refusing(Case):
    def test_a_message_at_the_limit_is_taken_and_a_larger_one_is_not(self):
        client = self.client(self.gateway("limits: { message: 1KiB }\n"))
        request = event("e-1")
        request.event.cancelled.reason = "x" * 200
        request.source = "/" + "s" * 255
        base = request.ByteSize()
        padding = 1024 - base - 3  # tag and length of an unknown field
        whole = request.SerializeToString() + b"\xfa\x0f" + bytes([0x80 | (padding - 1) & 0x7F, (padding - 1) >> 7]) + b"y" * (padding - 1)
        self.assertEqual(len(whole), 1024)
        raw = client.channel.unary_unary(SERVICE + "Publish")
        raw(whole, timeout=WAIT)
        self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, raw, whole + b"\x08", timeout=WAIT)
        self.assertEqual(len(records(self.topic)), 1)

    def test_large_metadata_is_refused(self):
        client = self.client(self.gateway("limits: { headers: 4KiB }\n"))
        client.publish(event("e-1"), timeout=WAIT, metadata=[("x-note", "y" * 2000)])
        with self.assertRaises(grpc.RpcError) as caught:
            client.publish(event("e-2"), timeout=WAIT, metadata=[("x-note", "y" * 5000)])
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        client.publish(event("e-3"), timeout=WAIT)

    def test_a_method_that_is_not_there(self):
        channel = self.gateway().channel()
        self.addCleanup(channel.close)
        self.refused(grpc.StatusCode.UNIMPLEMENTED, channel.unary_unary(SERVICE + "Nothing"), b"", timeout=WAIT)

    def test_bytes_that_are_no_request(self):
        channel = self.gateway().channel()
        self.addCleanup(channel.close)
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, channel.unary_unary(SERVICE + "Publish"), b"\xff\xff", timeout=WAIT)

    def test_one_connection_too_many_is_closed(self):
        gateway = self.gateway("limits: { connections: 2 }\n")
        host, port = gateway.address.rsplit(":", 1)
        held = [socket.create_connection((host, int(port))) for _ in range(2)]
        until("two connections", lambda: gateway.metric("connections_open") == 2)
        third = socket.create_connection((host, int(port)))
        third.settimeout(WAIT)
        self.assertEqual(third.recv(100), b"")
        for one in (*held, third):
            one.close()
        until("no connections", lambda: gateway.metric("connections_open") == 0)
        self.client(gateway).publish(event("e-1"), timeout=WAIT)

    def test_a_client_that_says_nothing_is_closed(self):
        gateway = self.gateway("timeouts: { handshake: 200ms }\n")
        host, port = gateway.address.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as silent:
            silent.settimeout(WAIT)
            while silent.recv(4096):  # the server's settings, then the end
                pass
        self.assertEqual(gateway.metric("handshakes_failed_total"), 1)

    def test_what_is_no_http2_is_closed_and_hurts_nobody(self):
        gateway = self.gateway()
        host, port = gateway.address.rsplit(":", 1)
        for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100):
            with socket.create_connection((host, int(port))) as one:
                one.settimeout(WAIT)
                try:
                    one.sendall(garbage)
                    while one.recv(4096):
                        pass
                except ConnectionError:
                    pass
        self.client(gateway).publish(event("e-1"), timeout=WAIT)


class Deadlines(Case):
    def test_a_deadline_is_kept_while_the_brokers_are_silent_and_the_event_is_not_lost(self):
        gateway = self.gateway()
        client = self.client(gateway)
        client.publish(event("before"), timeout=WAIT)
        pid = Cluster.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.refused(grpc.StatusCode.DEADLINE_EXCEEDED, client.publish, event("during"), timeout=0.5)
            self.assertGreaterEqual(time.monotonic() - began, 0.4)
            self.assertEqual(gateway.metric("events_in_flight"), 1)
        finally:
            os.kill(pid, signal.SIGCONT)
        until("the event to arrive", lambda: gateway.metric("events_in_flight") == 0)
        self.assertEqual(sorted(row["ce_id"] for row in records(self.topic)), ["before", "during"])

    def test_too_many_events_in_flight_are_refused_and_streams_wait(self):
        gateway = self.gateway("limits: { in_flight: 10 }\n")
        client = self.client(gateway)
        client.publish(event("before"), timeout=WAIT)
        pid = Cluster.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            answers = client.stream((event(f"s-{i}") for i in range(100)), timeout=WAIT)
            until("a full queue", lambda: gateway.metric("events_in_flight") == 10)
            error = self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, client.publish, event("u"), timeout=WAIT)
            self.assertEqual(dict(error.trailing_metadata())["grpc-retry-pushback-ms"], "100")
        finally:
            os.kill(pid, signal.SIGCONT)
        got = list(answers)
        self.assertEqual([answer.event_id for answer in got], [f"s-{i}" for i in range(100)])
        self.assertEqual([answer.refused.message for answer in got if answer.WhichOneof("outcome") != "published"], [])
        self.assertEqual([row["ce_id"] for row in records(self.topic)].count("u"), 0)

    def test_a_client_that_goes_away_leaves_nothing_behind(self):
        gateway = self.gateway()
        for i in range(20):
            channel = gateway.channel()
            requests = Slow()
            requests.put(event(f"e-{i}"))
            answers = Client(channel).stream(requests, timeout=WAIT)
            next(answers)
            channel.close()
            requests.close()
        until("no calls", lambda: gateway.metric("calls_open") == 0 and gateway.metric("connections_open") == 0)
        self.assertEqual(len(records(self.topic)), 20)

    def test_a_client_that_does_not_read_is_not_read(self):
        gateway = self.gateway()
        client = self.client(gateway)
        taken = [0]

        def endless():
            while True:
                taken[0] += 1
                yield event("e-1" if taken[0] % 2 else "no id")

        call = client.stream(endless(), timeout=WAIT)
        # Nothing is asked of the answers beyond what the client library takes by itself.
        seen = [-1]

        def still():
            now = gateway.metric("messages_received_total")
            stands = now == seen[0] and now > 0
            seen[0] = now
            time.sleep(0.3)
            return stands

        until("the stream to stand", still)
        self.assertLess(gateway.metric("messages_received_total"), 1000000)
        call.cancel()
        until("no calls", lambda: gateway.metric("calls_open") == 0)


class Ending(Case):
    def test_a_drain_answers_what_was_taken(self):
        gateway = self.gateway("drain: { delay: 300ms, timeout: 30s }\n")
        client = self.client(gateway)
        watched = []

        def watch():
            try:
                for answer in client.watch(health_pb2.HealthCheckRequest()):
                    watched.append(answer.status)
            except grpc.RpcError as error:
                watched.append(error.code())

        watcher = threading.Thread(target=watch)
        watcher.start()
        requests = Slow()
        answers = client.stream(requests, timeout=WAIT)
        requests.put(event("e-1"))
        self.assertEqual(next(answers).event_id, "e-1")
        until("the watch", lambda: watched == [health_pb2.HealthCheckResponse.SERVING])
        self.assertTrue(gateway.ready())
        gateway.term()
        until("NOT_SERVING", lambda: health_pb2.HealthCheckResponse.NOT_SERVING in watched)
        with self.assertRaises(grpc.RpcError) as caught:
            next(answers)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        requests.close()
        self.assertEqual(gateway.process.wait(WAIT), 0)
        watcher.join(WAIT)
        self.assertEqual(watched[-1], grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(len(records(self.topic)), 1)

    def test_while_it_leaves_it_still_serves(self):
        gateway = self.gateway("drain: { delay: 2s, timeout: 30s }\n")
        client = self.client(gateway)
        client.publish(event("e-1"), timeout=WAIT)
        gateway.term()
        until("not ready", lambda: not gateway.ready())
        client.publish(event("e-2"), timeout=WAIT)
        self.assertEqual(gateway.process.wait(WAIT), 0)

    def test_a_second_signal_does_not_wait(self):
        gateway = self.gateway("drain: { delay: 10m }\n")
        gateway.term()
        gateway.await_log("gateway.draining")
        gateway.term()
        self.assertEqual(gateway.process.wait(WAIT), 0)

    def test_what_was_acknowledged_before_a_kill_is_there_once(self):
        for round_number in range(3):
            gateway = self.gateway()
            client = self.client(gateway)
            acked = []
            enough = threading.Event()

            def load(start, acked=acked, client=client, enough=enough, prefix=f"k{round_number}"):
                for i in range(start, 100000, 4):
                    try:
                        acked.append(client.publish(event(f"{prefix}-{i}", f"p-{i % 5}"), timeout=WAIT).event_id)
                    except grpc.RpcError:
                        return
                    if len(acked) > 200:
                        enough.set()

            threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            self.assertTrue(enough.wait(WAIT))
            gateway.process.kill()
            for thread in threads:
                thread.join(WAIT)
            found = [row["ce_id"] for row in records(self.topic) if row["ce_id"].startswith(f"k{round_number}-")]
            self.assertEqual(len(found), len(set(found)), "nothing is there twice")
            self.assertEqual(set(acked) - set(found), set(), "nothing that was acknowledged is missing")
            self.assertLessEqual(len(found) - len(acked), 4, "at most what was in flight")

    def test_without_its_topic_it_waits_and_takes_no_clients(self):
        config = os.path.join(Cluster.folder, "missing.yaml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"version: 1\nlisten: 127.0.0.1:0\ntopic: never-made\nkafka: {{ bootstrap.servers: \"{Cluster.bootstrap}\" }}\n")
        process = subprocess.Popen([os.environ["PAWL_GATEWAY"], config], stderr=subprocess.PIPE)
        try:
            line = process.stderr.readline()
            while b"waiting: topic never-made" not in line:
                self.assertTrue(line, "it ended")
                line = process.stderr.readline()
            process.terminate()
            rest = process.stderr.read()
            self.assertEqual(process.wait(WAIT), 0)
            self.assertNotIn(b"gateway.listening", rest)
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    def test_a_wrong_configuration_says_where(self):
        config = os.path.join(Cluster.folder, "wrong.yaml")
        with open(config, "w", encoding="utf-8") as out:
            out.write("version: 1\nlisten: 127.0.0.1\n")
        run = subprocess.run([os.environ["PAWL_GATEWAY"], config], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(run.returncode, 78)
        self.assertIn("wrong.yaml:2:9: 'listen'", run.stderr)


def described(file):
    """A file's descriptor without the names for JSON, which not every generator writes."""
    out = descriptor_pb2.FileDescriptorProto.FromString(file)
    for message in out.message_type:
        for field in message.field:
            field.ClearField("json_name")
    return out


class Services(Case):
    def test_health_knows_its_services(self):
        client = self.client(self.gateway())
        for name in ("", "auto.events.v1.PolicyEvents"):
            answer = client.check(health_pb2.HealthCheckRequest(service=name), timeout=WAIT)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)
        self.refused(grpc.StatusCode.NOT_FOUND, client.check, health_pb2.HealthCheckRequest(service="x"), timeout=WAIT)
        watched = client.watch(health_pb2.HealthCheckRequest(service="x"), timeout=WAIT)
        self.assertEqual(next(watched).status, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
        watched.cancel()

    def test_reflection_describes_what_is_served(self):
        channel = self.gateway().channel()
        self.addCleanup(channel.close)
        for version in ("v1", "v1alpha"):
            info = method(
                channel, "stream_stream", f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse,
            )
            answers = list(info(iter((
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol="auto.events.v1.PolicyEvents"),
                reflection_pb2.ServerReflectionRequest(file_by_filename="nothing.proto"),
            )), timeout=WAIT))
            names = [service.name for service in answers[0].list_services_response.service]
            self.assertIn("auto.events.v1.PolicyEvents", names)
            files = answers[1].file_descriptor_response.file_descriptor_proto
            for file, module in zip(files, (gateway_pb2, events_pb2)):
                self.assertEqual(described(file), described(module.DESCRIPTOR.serialized_pb), "as protoc describes it")
            self.assertEqual(len(files), 2)
            self.assertEqual(answers[2].error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])


class Certificates(Case):
    @classmethod
    def setUpClass(cls):
        cls.keys = tempfile.mkdtemp(dir=Cluster.folder)
        cls.authority("ca")
        cls.authority("other-ca")
        cls.certificate("server", "ca", "DNS:localhost,IP:127.0.0.1")
        cls.certificate("portal", "ca", "URI:spiffe://acme/portal,DNS:portal.example.org")
        cls.certificate("agents", "ca", "DNS:agents.example.org")
        cls.certificate("stranger", "ca", "DNS:stranger.example.org")
        cls.certificate("forged", "other-ca", "DNS:agents.example.org")

    @classmethod
    def openssl(cls, *args):
        subprocess.run(["openssl", *args], cwd=cls.keys, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def authority(cls, name):
        cls.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    @classmethod
    def certificate(cls, name, ca, names):
        cls.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", f"{name}.key", "-out", f"{name}.csr")
        with open(os.path.join(cls.keys, "ext"), "w", encoding="utf-8") as out:
            out.write(f"subjectAltName={names}\n")
        cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
                    "-extfile", "ext", "-out", f"{name}.pem")

    def read(self, name):
        with open(os.path.join(self.keys, name), "rb") as file:
            return file.read()

    def credentials(self, client=None, ca="ca"):
        if client:
            return grpc.ssl_channel_credentials(self.read(f"{ca}.pem"), self.read(f"{client}.key"), self.read(f"{client}.pem"))
        return grpc.ssl_channel_credentials(self.read(f"{ca}.pem"))

    def tls(self, more=""):
        return f"tls: {{ certificate: {self.keys}/server.pem, key: {self.keys}/server.key{more} }}\n"

    def test_clients_that_trust_the_certificate_get_in_and_others_do_not(self):
        gateway = self.gateway(self.tls())
        Client(gateway.channel(self.credentials())).publish(event("e-1"), timeout=WAIT)
        with self.assertRaises(grpc.RpcError) as caught:
            Client(gateway.channel(self.credentials(ca="other-ca"))).publish(event("e-2"), timeout=WAIT)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        with self.assertRaises(grpc.RpcError):
            Client(gateway.channel()).publish(event("e-3"), timeout=WAIT)
        self.assertEqual([row["ce_id"] for row in records(self.topic)], ["e-1"])

    def test_a_certificate_decides_which_sources_a_client_may_use(self):
        gateway = self.gateway(
            self.tls(f", client_ca: {self.keys}/ca.pem, identities: {{ "
                     "\"spiffe://acme/portal\": [/portal, /portal/test], agents.example.org: [/agents] }")
        )
        portal = Client(gateway.channel(self.credentials("portal")))
        agents = Client(gateway.channel(self.credentials("agents")))
        portal.publish(event("e-1"), timeout=WAIT)
        portal.publish(event("e-2", source="/portal/test"), timeout=WAIT)
        agents.publish(event("e-3", source="/agents"), timeout=WAIT)
        self.refused(grpc.StatusCode.PERMISSION_DENIED, agents.publish, event("e-4", source="/portal"), timeout=WAIT)
        stranger = Client(gateway.channel(self.credentials("stranger")))
        self.refused(grpc.StatusCode.PERMISSION_DENIED, stranger.publish, event("e-5"), timeout=WAIT)
        answers = list(agents.stream(iter((event("e-6"), event("e-7", source="/x"), event("e-8"))), timeout=WAIT))
        self.assertEqual([answer.WhichOneof("outcome") for answer in answers], ["published", "refused", "published"])
        for name in ("forged", None):
            with self.assertRaises(grpc.RpcError) as caught:
                Client(gateway.channel(self.credentials(name))).publish(event("e-9"), timeout=WAIT)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(sorted(row["ce_id"] for row in records(self.topic)), ["e-1", "e-2", "e-3", "e-6", "e-8"])

    def test_a_new_certificate_is_taken_without_a_restart_and_a_broken_one_is_not(self):
        for end in ("key", "pem"):
            shutil.copy(f"{self.keys}/server.{end}", f"{self.keys}/live.{end}")
        gateway = self.gateway(f"tls: {{ certificate: {self.keys}/live.pem, key: {self.keys}/live.key }}\n")
        old = Client(gateway.channel(self.credentials()))
        old.publish(event("e-1"), timeout=WAIT)
        with open(f"{self.keys}/live.pem", "w", encoding="utf-8") as out:
            out.write("nonsense\n")
        gateway.process.send_signal(signal.SIGHUP)
        self.assertIn("the old one stays in use", gateway.await_log("gateway.certificate"))
        Client(gateway.channel(self.credentials(), grpc__use_local_subchannel_pool=1)).publish(event("e-2"), timeout=WAIT)
        self.certificate("renewed", "other-ca", "DNS:localhost,IP:127.0.0.1")
        for end in ("key", "pem"):
            shutil.copy(f"{self.keys}/renewed.{end}", f"{self.keys}/live.{end}")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_log("gateway.certificate", 2)
        Client(gateway.channel(self.credentials(ca="other-ca"))).publish(event("e-3"), timeout=WAIT)
        old.publish(event("e-4"), timeout=WAIT)
        self.assertEqual(len(records(self.topic)), 4)


if __name__ == "__main__":
    Cluster.start()
    try:
        result = unittest.main(exit=False, verbosity=2).result
    finally:
        Cluster.stop()
    sys.exit(not result.wasSuccessful())
