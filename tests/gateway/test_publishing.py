"""Events in, answers out: what is taken, what is refused, and how long it may take."""
import os
import signal
import socket
import time

import grpc

from kit import SERVICE, WAIT, Case, Client, Cluster, Slow, event, kafka, records, until


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
