#!/usr/bin/env python3
"""auto-events as a client of gRPC, against servers of grpcio that behave well and badly."""
import os
import subprocess
import tempfile
import threading
import unittest
from concurrent import futures

import grpc
from google.protobuf.message import DecodeError

from auto.events.v1 import gateway_pb2

METHOD = "/auto.events.v1.PolicyEvents/PublishStream"
WAIT = 60


class Script:
    """A gateway that does what it is told, once for each call; then it takes everything."""

    def __init__(self, *turns):
        self.turns = list(turns)
        self.calls, self.heard, self.taken = 0, [], []  # heard: (call, request); taken: event_ids that have their answer
        self.lock = threading.Lock()

    def stream(self, requests, context):
        with self.lock:
            self.calls += 1
            call, turn = self.calls, self.turns.pop(0) if self.turns else None
        sequence = 0
        for request in requests:
            sequence += 1
            self.heard.append((call, request))
            answer = turn(self, sequence, request, context) if turn else None
            if answer is False:  # taken, and no answer
                continue
            yield answer or self.published(sequence, request)

    def published(self, sequence, request):
        self.taken.append(request.event.event_id)
        answer = gateway_pb2.PublishStreamResponse(sequence=sequence, event_id=request.event.event_id)
        answer.published.partition, answer.published.offset = 3, len(self.taken)
        return answer

    def ids(self):
        return [request.event.event_id for _, request in self.heard]


def refused(sequence, code, message="because"):
    answer = gateway_pb2.PublishStreamResponse(sequence=sequence)
    answer.refused.code, answer.refused.message = code, message
    return answer


def decoded(data):
    """Bytes that are no event do not end the call, as in a gateway that takes them apart itself."""
    try:
        return gateway_pb2.PublishRequest.FromString(data)
    except DecodeError:
        return gateway_pb2.PublishRequest(source="malformed")


class Served:
    def __init__(self, script, port=0, options=()):
        self.server = grpc.server(futures.ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0), *options))
        handler = grpc.stream_stream_rpc_method_handler(
            script.stream, request_deserializer=decoded,
            response_serializer=gateway_pb2.PublishStreamResponse.SerializeToString)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("auto.events.v1.PolicyEvents", {"PublishStream": handler}),))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()


def command(port, *args):
    return [os.environ["AUTO_EVENTS"], "produce", "--gateway", f"127.0.0.1:{port}", "--seed", "5", *args]


def run(port, *args):
    return subprocess.run(command(port, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=WAIT, check=False)


def expected(*args):
    """What there is to send: (event_id, policy_id) in the order of the generator."""
    out = subprocess.run([os.environ["AUTO_EVENTS"], "print", "--seed", "5", *args], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    return [(row[rows[0].index("ce_id")], row[rows[0].index("key")]) for row in rows[1:]]


class ClientTest(unittest.TestCase):
    def serve(self, script, **options):
        served = Served(script, **options)
        self.addCleanup(lambda: served.server.stop(0).wait())
        return served

    def check_all_taken_in_order(self, script, *args):
        want = expected(*args)
        self.assertEqual(sorted(set(script.taken)), sorted({event for event, _ in want}), "each event has an answer")
        policy = dict(want)
        for events in (script.ids(), script.taken):  # nobody may see a policy's second event before its first, and the refused do not count
            order = {}
            for event in dict.fromkeys(events):
                order.setdefault(policy[event], []).append(event)
            for name, found in order.items():
                self.assertEqual(found, [event for event in dict.fromkeys(event for event, _ in want) if policy[event] == name and event in found])

    def test_all_is_sent_in_order_and_the_acknowledgements_are_written_down(self):
        script = Script()
        served = self.serve(script)
        with tempfile.TemporaryDirectory() as folder:
            acks = os.path.join(folder, "acks.tsv")
            done = run(served.port, "--count", "2000", "--duplicates", "100", "--acks", acks, "--source", "/here")
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(acks, encoding="utf-8") as file:
                lines = [line.rstrip("\n").split("\t") for line in file]
        self.assertEqual(len(script.taken), 2100)
        self.check_all_taken_in_order(script, "--count", "2000", "--duplicates", "100")
        self.assertEqual(lines[0], ["event_id", "partition", "offset"])
        self.assertEqual(lines[1:], [[event, "3", str(i + 1)] for i, event in enumerate(script.taken)])
        self.assertEqual({request.source for _, request in script.heard}, {"/here"})
        self.assertIn("2100 events acknowledged, 0 refused as they must be, 0 sent again; 1 calls", done.stderr)

    def test_the_next_event_of_a_policy_waits_for_the_answer_of_the_one_before(self):
        def often(script, sequence, request, context):
            return refused(sequence, 14) if sequence % 50 == 0 else None

        script = Script(often)
        done = run(self.serve(script).port, "--count", "400", "--policies", "3", "--duplicates", "40")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_all_taken_in_order(script, "--count", "400", "--policies", "3", "--duplicates", "40")

    def test_what_has_no_answer_when_the_call_ends_is_sent_again(self):
        def dies(script, sequence, request, context):
            if sequence > 10:
                context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")

        def silent(script, sequence, request, context):
            if sequence == 3:
                context.abort(grpc.StatusCode.CANCELLED, "gone")
            return False  # taken, but the client does not learn it

        script = Script(dies, silent, dies)
        done = run(self.serve(script).port, "--count", "300")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(script.calls, 4)
        self.assertGreaterEqual(len(script.heard), 300 + 3)
        self.check_all_taken_in_order(script, "--count", "300")

    def test_an_event_that_is_refused_for_now_is_sent_again(self):
        def later(script, sequence, request, context):
            return refused(sequence, 14) if sequence in (5, 6, 50) else None

        script = Script(later)
        done = run(self.serve(script).port, "--count", "300")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(script.heard), 303)
        self.assertEqual(len(script.taken), 300)
        self.check_all_taken_in_order(script, "--count", "300")

    def test_a_pushback_is_kept(self):
        def busy(script, sequence, request, context):
            context.set_trailing_metadata((("grpc-retry-pushback-ms", "700"),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")

        script = Script(busy)
        done = run(self.serve(script).port, "--count", "50")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(float(done.stderr.split(" calls in ")[1].split(" ")[0]), 0.7)
        self.check_all_taken_in_order(script, "--count", "50")

    def test_never_is_kept_too(self):
        def never(script, sequence, request, context):
            context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "go away for good")

        script = Script(never)
        done = run(self.serve(script).port, "--count", "5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("go away for good", done.stderr)
        self.assertEqual(script.calls, 1)

    def test_it_goes_elsewhere_when_it_is_asked_to(self):
        script = Script()
        served = self.serve(script, options=(("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 30000)))
        done = run(served.port, "--count", "600", "--rate", "300")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(script.calls, 2)
        self.assertEqual(len(script.heard), 600, "it lets the call end well, so that nothing is sent twice")
        self.check_all_taken_in_order(script, "--count", "600")

    def test_a_gateway_that_is_away_for_a_while_is_waited_for(self):
        script = Script()
        first = Served(script)
        process = subprocess.Popen(command(first.port, "--count", "1500", "--rate", "1000"), stderr=subprocess.PIPE, text=True)
        try:
            while len(script.taken) < 300:
                self.assertIsNone(process.poll())
            first.server.stop(0).wait()
            taken = len(script.taken)
            second = self.serve(script, port=first.port)
            self.assertEqual(second.port, first.port)
            error = process.communicate(timeout=WAIT)[1]
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
        self.assertEqual(process.returncode, 0, error)
        self.assertLess(taken, 1500)
        self.check_all_taken_in_order(script, "--count", "1500")

    def test_it_knows_which_events_must_be_refused(self):
        def judge(script, sequence, request, context):
            period = request.event.renewed.period
            return refused(sequence, 3, "wrong") if request.source == "malformed" or period.starts_on > period.ends_on else None

        for rules, code, text in ((judge, 0, "acknowledged, 4 refused as they must be"), (None, 1, "was published, but must be refused")):
            done = run(self.serve(Script(rules)).port, "--count", "200", "--bad", "12")
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(text, done.stderr)

    def test_a_good_event_that_is_refused_is_a_failure(self):
        def no(script, sequence, request, context):
            return refused(sequence, 3, "event.issued.period: I do not like it") if sequence == 30 else None

        done = run(self.serve(Script(no)).port, "--count", "100")
        self.assertEqual(done.returncode, 1)
        self.assertIn("I do not like it", done.stderr)

    def test_a_status_that_will_not_change_is_a_failure(self):
        def no(script, sequence, request, context):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

        script = Script(no)
        done = run(self.serve(script).port, "--count", "100")
        self.assertEqual(done.returncode, 1)
        self.assertIn("status 7: not you", done.stderr)

    def test_answers_out_of_order_are_a_failure(self):
        def twisted(script, sequence, request, context):
            return script.published(sequence + 1, request) if sequence == 7 else None

        done = run(self.serve(Script(twisted)).port, "--count", "100")
        self.assertEqual(done.returncode, 1)
        self.assertIn("out of order", done.stderr)

    def test_an_answer_of_another_event_is_a_failure(self):
        def mixed(script, sequence, request, context):
            if sequence == 7:
                request.event.event_id = "E-other"
            return None

        done = run(self.serve(Script(mixed)).port, "--count", "100")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another event has its answer", done.stderr)

    def test_options_that_do_not_go_together_are_refused(self):
        for args in (["--gateway", "h:1", "--bootstrap", "b"], ["--gateway", "h:1", "--header", "a=b"], ["--gateway", "h:1", "-X", "a=b"]):
            done = subprocess.run([os.environ["AUTO_EVENTS"], "produce", *args, "--count", "1", "--seed", "1"], stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(done.returncode, 2, args)
        done = subprocess.run([os.environ["AUTO_EVENTS"], "produce", "--bootstrap", "b", "--topic", "t", "--acks", "/dev/null", "--count", "1", "--seed", "1"], stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
