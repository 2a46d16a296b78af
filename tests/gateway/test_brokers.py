#!/usr/bin/env python3
"""Three brokers, two of which must hold an event: brokers and the gateway die under load, and no answer is a lie."""
import collections
import threading

import grpc

import kit
from kit import WAIT, Case, Client, Cluster, Slow, event, kafka, records, until

UNSURE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
CLIENTS = 6


class Load:
    """Clients that publish one event after the other, each again with the same id until it is acknowledged."""

    def __init__(self, case, gateway):
        self.case, self.gateway, self.stopped = case, gateway, threading.Event()
        self.acked, self.again, self.errors, self.pushbacks = {}, collections.Counter(), collections.Counter(), set()
        self.threads = [threading.Thread(target=self.publish, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        case.addCleanup(self.stop)

    def publish(self, number):
        gateway, client = None, None
        for i in range(10**9):
            name = f"e-{number}-{i}"
            while name not in self.acked:
                if self.stopped.is_set():
                    return
                if gateway is not self.gateway:
                    gateway, client = self.gateway, Client(self.gateway.channel())
                try:
                    answer = client.publish(event(name, f"p-{number}"), timeout=20)
                    self.acked[name] = (answer.partition, answer.offset)
                except grpc.RpcError as error:
                    self.errors[error.code()] += 1
                    self.again[name] += 1
                    pushback = dict(error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
                    self.pushbacks.add(pushback)
                    self.stopped.wait(int(pushback or 100) / 1000)

    def more(self, count=100):
        """Until so many more are acknowledged."""
        goal = len(self.acked) + count
        until(lambda: f"{goal - len(self.acked)} more acknowledgements; {self.errors}; {self.gateway.lines()[-20:]}", lambda: len(self.acked) >= goal)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(WAIT)

    def check(self):
        self.stop()
        found = records(self.case.topic)
        places = {(int(row["partition"]), int(row["offset"])): row["ce_id"] for row in found}
        wrong = {name: place for name, place in self.acked.items() if places.get(place) != name}
        self.case.assertEqual(wrong, {}, "each event is where its acknowledgement says")
        for name, times in collections.Counter(row["ce_id"] for row in found).items():
            self.case.assertLessEqual(times, 1 + self.again[name], f"{name} is there more often than it was sent")
        self.case.assertEqual(set(self.errors) - UNSURE, set())


class Brokers(Case):
    def setUp(self):
        super().setUp()
        self.folder = Cluster.folder + "/kafka"

    def up(self, *numbers):
        for number in numbers:
            kafka("up", self.folder, str(number))
        kafka("wait", self.folder, "3")

    def kill(self, *numbers):
        for number in numbers:
            kafka("kill", self.folder, str(number))
            self.addCleanup(kafka, "up", self.folder, str(number))

    def test_each_broker_dies_in_turn_and_the_gateway_with_one_of_them(self):
        load = Load(self, self.gateway())
        load.more()
        for number in (1, 2, 3):  # each leads one of the partitions
            self.kill(number)
            if number == 2:
                load.gateway.process.kill()
                load.gateway = self.gateway()
            load.more()
            self.up(number)
            load.more()
        load.check()
        self.assertEqual(load.gateway.metric("events_in_flight"), 0)

    def test_with_too_few_replicas_nothing_is_acknowledged_and_then_all_goes_on(self):
        gateway = self.gateway("timeouts: { delivery: 2s }\n")
        load = Load(self, gateway)
        requests = Slow()
        answers = self.client(gateway).stream(requests, timeout=3 * WAIT)
        requests.put(event("stream-before"))
        self.assertEqual(next(answers).WhichOneof("outcome"), "published")
        load.more()
        self.kill(2, 3)
        # What two brokers held before they died may still be acknowledged; what comes now cannot.
        requests.put(event("stream-during"))
        answer = next(answers)
        self.assertEqual((answer.WhichOneof("outcome"), answer.refused.code), ("refused", grpc.StatusCode.UNAVAILABLE.value[0]))
        acked = len(load.acked)
        failed = sum(load.errors.values())
        until("every client to fail again", lambda: sum(load.errors.values()) >= failed + 2 * CLIENTS)
        self.assertEqual(len(load.acked), acked)
        self.up(2, 3)
        load.more()
        requests.put(event("stream-after"))
        self.assertEqual(next(answers).WhichOneof("outcome"), "published")
        requests.close()
        self.assertEqual(list(answers), [])
        load.check()
        self.assertIn("1000", load.pushbacks)
        self.assertEqual(gateway.process.poll(), None)


if __name__ == "__main__":
    kit.main(3)
