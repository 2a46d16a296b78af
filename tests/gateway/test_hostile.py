"""Clients that mean harm, one connection each: the gateway's memory stays bounded, and others are served meanwhile."""
import struct
import time

import http2
from http2 import DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, Connection, frame, head, literal, message
from kit import SERVICE, WAIT, Case, event, records, until
from grpc.reflection.v1 import reflection_pb2

MIB = 1 << 20
BOUND = 48 * MIB  # what one connection may take
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


class Hostile(Case):
    def setUp(self):
        super().setUp()
        self.served = 0

    def hurt(self, extra="", settings=None):
        """A gateway, an honest client of it, and a connection to do harm with."""
        gateway = self.gateway(extra)
        client = self.client(gateway)
        self.others_are_served(client)
        self.before = self.resident(gateway)
        connection = Connection(gateway.address, settings)
        self.addCleanup(connection.close)
        return gateway, client, connection

    def resident(self, gateway):
        with open(f"/proc/{gateway.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    def others_are_served(self, client):
        self.served += 1
        client.publish(event(f"good-{self.served}"), timeout=WAIT)

    def stays_small(self, gateway, bound=BOUND):
        self.assertLess(self.resident(gateway) - self.before, bound)

    def flood(self, connection, data, times):
        """Sends until the other side has had enough; True if it has."""
        try:
            for _ in range(times):
                connection.send(data)
        except ConnectionError:
            return True
        return False

    def test_heads_that_never_end_close_their_connection(self):
        gateway, client, connection = self.hurt("timeouts: { handshake: 500ms }\n")
        connection.send(frame(HEADERS, 0, 1, head(SERVICE + "Publish")[:20]))
        self.others_are_served(client)
        self.assertEqual(connection.goodbye(), http2.ENHANCE_YOUR_CALM)
        until("no call", lambda: gateway.metric("calls_open") == 0)
        self.assertEqual(gateway.metric("connections_policed_total"), 1)

    def test_heads_that_are_cut_by_chance_are_no_slow_heads(self):
        gateway, client, connection = self.hurt("timeouts: { handshake: 3s }\n")
        refused = 'calls_total{status="INVALID_ARGUMENT"}'
        rest, stream, end = b"", 1, time.monotonic() + 4
        while time.monotonic() < end:  # whenever the gateway has read all, a head is not complete
            read = gateway.metric(refused)
            one = frame(HEADERS, END_HEADERS | END_STREAM, stream, head(SERVICE + "Publish"))
            connection.send(rest + one[:20])
            if rest:
                until("one more", lambda: gateway.metric(refused) > read)
            rest, stream = one[20:], stream + 2
        connection.send(rest)
        for answered in range(1, stream, 2):
            self.assertEqual(connection.await_frame(HEADERS)[2], answered)
        self.assertEqual(gateway.metric("connections_policed_total"), 0)

    def test_a_body_that_never_comes_ends_at_its_deadline(self):
        gateway, client, connection = self.hurt()
        connection.send(frame(HEADERS, END_HEADERS, 1, head(SERVICE + "Publish", ("grpc-timeout", "300m")))
                        + frame(DATA, 0, 1, message(event("slow"))[:10]))
        self.others_are_served(client)
        self.assertEqual(connection.await_frame(HEADERS)[1:3], (END_HEADERS | END_STREAM, 1))
        until("no call", lambda: gateway.metric("calls_open") == 0)

    def test_rapid_resets_close_their_connection(self):
        gateway, client, connection = self.hurt("limits: { resets: 100 }\n")
        reset = struct.pack(">I", 8)
        for i in range(200):  # as many as nobody reads the answers of
            if self.flood(connection, b"".join(
                frame(HEADERS, END_HEADERS, 200 * i + 2 * k + 1, head(SERVICE + "PublishStream")) + frame(RST_STREAM, 0, 200 * i + 2 * k + 1, reset)
                for k in range(100)
            ), 1):
                break
        self.assertEqual(connection.goodbye(), http2.ENHANCE_YOUR_CALM)
        self.others_are_served(client)
        self.assertLess(gateway.metric("resets_total"), 110)
        self.stays_small(gateway)

    def test_resets_that_the_gateway_is_made_to_send_count_too(self):
        gateway, client, connection = self.hurt("limits: { resets: 100 }\n")
        most = struct.pack(">I", 2**31 - 1)  # more than a window can be: the call has to be reset
        for stream in range(1, 201, 2):  # its settings count, too
            connection.send(frame(HEADERS, END_HEADERS, stream, head(SERVICE + "PublishStream"))
                            + frame(http2.WINDOW_UPDATE, 0, stream, most))
            self.assertEqual(connection.await_frame(RST_STREAM)[2], stream)
        self.assertEqual(connection.goodbye(), http2.ENHANCE_YOUR_CALM)
        self.others_are_served(client)
        self.stays_small(gateway)

    def test_settings_without_end_close_their_connection(self):
        gateway, client, connection = self.hurt("limits: { resets: 100 }\n")
        connection.send(frame(SETTINGS, payload=struct.pack(">HI", 4, 65535)) * 200)
        self.assertEqual(connection.goodbye(), http2.ENHANCE_YOUR_CALM)
        self.others_are_served(client)
        self.stays_small(gateway)

    def test_empty_data_without_end_closes_its_connection(self):
        gateway, client, connection = self.hurt()
        connection.send(frame(HEADERS, END_HEADERS, 1, head(SERVICE + "PublishStream")))
        self.flood(connection, frame(DATA, 0, 1) * 500, 20)
        self.assertEqual(connection.goodbye(), http2.ENHANCE_YOUR_CALM)
        self.others_are_served(client)
        self.stays_small(gateway)

    def test_pings_without_end_close_their_connection(self):
        gateway, client, connection = self.hurt()
        self.flood(connection, frame(PING, payload=b"12345678") * 1000, 20)
        self.assertEqual(connection.goodbye(), http2.ENHANCE_YOUR_CALM)
        self.others_are_served(client)
        self.stays_small(gateway)

    def test_a_huge_list_of_headers_is_not_kept(self):
        gateway, client, connection = self.hurt()
        more = b"".join(literal(f"x-{i}", "y" * 3900) for i in range(4))
        connection.send(frame(HEADERS, END_STREAM, 1, head(SERVICE + "Publish")))
        self.flood(connection, frame(http2.CONTINUATION, 0, 1, more), 2000)
        self.others_are_served(client)
        self.stays_small(gateway)

    def test_headers_that_unpack_to_many_times_their_size_are_refused(self):
        gateway, client, connection = self.hurt()
        connection.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head(SERVICE + "Publish") + literal("x-bomb", "y" * 3900, indexed=True)))
        self.assertEqual(connection.await_frame(HEADERS)[2], 1)
        for i in range(50):  # a byte each, and 4 KB when unpacked
            connection.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 3, head(SERVICE + "Publish") + b"\xbe" * 15000))
        self.others_are_served(client)
        self.stays_small(gateway)
        connection.call(1001, event("after"))
        while connection.await_frame(HEADERS)[2] != 1001:
            pass
        self.assertEqual(records(self.topic)[-1]["ce_type"], "auto.policy.cancelled.v1")

    def ask_much(self, connection, times=200):
        """Calls whose answers are not read: many questions in each."""
        question = reflection_pb2.ServerReflectionRequest(file_containing_symbol="auto.events.v1.PolicyEvents")
        for stream in range(1, 512, 2):
            connection.send(frame(HEADERS, END_HEADERS, stream, head(REFLECTION)) + frame(DATA, 0, stream, message(question) * times))

    def test_a_window_of_nothing_keeps_no_more_than_a_bounded_answer(self):
        gateway, client, connection = self.hurt(settings=http2.settings(_4=0))
        self.ask_much(connection)
        until("all calls", lambda: gateway.metric("calls_open") == 256)
        self.others_are_served(client)
        self.stays_small(gateway)
        connection.close()
        until("no calls", lambda: gateway.metric("calls_open") == 0)
        self.others_are_served(client)

    def test_answers_that_nobody_reads_keep_no_more_than_a_bounded_answer(self):
        gateway, client, connection = self.hurt(settings=http2.settings(_4=2**31 - 1))
        connection.send(frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**30)))  # it is the socket that is full
        self.ask_much(connection, 50)  # as many as fit into the connection's window
        until("all calls", lambda: gateway.metric("calls_open") == 256)
        self.others_are_served(client)
        self.stays_small(gateway)

    def test_a_client_that_was_stalled_goes_on_when_it_reads(self):
        gateway, _, connection = self.hurt(settings=http2.settings(_4=0))
        self.ask_much(connection)
        until("all calls", lambda: gateway.metric("calls_open") == 256)
        self.assertLess(gateway.metric("messages_received_total"), 10000)
        connection.send(http2.settings(_4=2**31 - 1) + frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65535)))
        for stream in range(1, 512, 2):
            connection.send(frame(DATA, END_STREAM, stream))
        ended = set()
        while len(ended) < 256:
            kind, flags, stream, _ = connection.frame()
            if kind == HEADERS and flags & END_STREAM:
                ended.add(stream)
        self.assertEqual(gateway.metric("messages_received_total"), 1 + 256 * 200)

    def test_more_calls_than_it_may_have_end_its_connection(self):
        gateway, client, connection = self.hurt("limits: { streams: 10 }\n")
        for stream in range(1, 23, 2):
            self.assertLessEqual(gateway.metric("calls_open"), 10)
            connection.send(frame(HEADERS, END_HEADERS, stream, head(SERVICE + "Publish")))
        self.assertEqual(connection.goodbye(), http2.PROTOCOL_ERROR)
        self.others_are_served(client)

    def test_a_thousand_idle_connections_cost_little(self):
        gateway, client, connection = self.hurt()
        idle = [Connection(gateway.address) for _ in range(1000)]
        until("all of them", lambda: gateway.metric("connections_open") == 1002)
        self.others_are_served(client)
        self.stays_small(gateway, 64 * MIB)
        for one in idle:
            one.close()
        until("none of them", lambda: gateway.metric("connections_open") == 2)
