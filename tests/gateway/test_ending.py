"""How it starts and how it ends."""
import os
import signal
import socket
import subprocess
import tempfile
import threading

import grpc

import http2
from kit import WAIT, Case, Cluster, Slow, event, records, until
from grpc.health.v1 import health_pb2


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

    def test_a_service_manager_is_told(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, tempfile.TemporaryDirectory() as folder:
            manager.bind(folder + "/notify")
            manager.settimeout(WAIT)
            gateway = self.gateway(
                "drain: { delay: 1s, timeout: 3s }\n", env={"NOTIFY_SOCKET": folder + "/notify", "WATCHDOG_USEC": "400000"}
            )
            told = []

            def await_told(text):
                while not told or text not in told[-1]:
                    told.append(manager.recv(4096).decode())
                return told[-1]

            await_told("READY=1\nSTATUS=ready\n")
            await_told("WATCHDOG=1")
            gateway.process.send_signal(signal.SIGHUP)
            self.assertIn("\nMONOTONIC_USEC=", await_told("RELOADING=1\n"))
            await_told("READY=1\n")
            gateway.term()
            self.assertIn("\nEXTEND_TIMEOUT_USEC=9000000\n", await_told("STOPPING=1\n"))
            self.assertEqual(gateway.process.wait(WAIT), 0)
            self.assertEqual(sum("READY=1" in text for text in told), 2, told)

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

    def test_a_certificate_that_cannot_be_used_says_where_it_was_named(self):
        folder = tempfile.mkdtemp(dir=Cluster.folder)
        for name in ("good", "other"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"],
                cwd=folder, check=True, stderr=subprocess.DEVNULL,
            )
        subprocess.run(["openssl", "pkey", "-in", "good.key", "-out", "locked.key", "-aes256", "-passout", "pass:secret"], cwd=folder, check=True)
        config = os.path.join(folder, "gateway.yaml")
        for certificate, key, client_ca, expected in (
            ("nope.pem", "good.key", "good.pem", f"gateway.yaml:6:16: 'tls.certificate': cannot read {folder}/nope.pem: No such file or directory"),
            (".", "good.key", "good.pem", f"gateway.yaml:6:16: 'tls.certificate': {folder}/. is not a file"),
            ("good.key", "good.key", "good.pem", f"gateway.yaml:6:16: 'tls.certificate': {folder}/good.key holds no certificate in PEM format"),
            ("good.pem", "nope.key", "good.pem", f"gateway.yaml:7:8: 'tls.key': cannot read {folder}/nope.key: No such file or directory"),
            ("good.pem", "other.key", "good.pem", f"gateway.yaml:7:8: 'tls.key': {folder}/other.key is not the key of the certificate"),
            ("good.pem", "locked.key", "good.pem", f"gateway.yaml:7:8: 'tls.key': {folder}/locked.key holds no private key without a password"),
            ("good.pem", "good.key", "good.key", f"gateway.yaml:8:14: 'tls.client_ca': {folder}/good.key holds no certificate in PEM format"),
        ):
            with open(config, "w", encoding="utf-8") as out:
                out.write("version: 1\nlisten: 127.0.0.1:0\ntopic: t\nkafka: { bootstrap.servers: localhost:1 }\ntls:\n"
                          f"  certificate: {certificate}\n  key: {key}\n  client_ca: {client_ca}\n")
            for args in ((), ("--check",)):
                run = subprocess.run([os.environ["PAWL_GATEWAY"], *args, config], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                     text=True, check=False)
                self.assertEqual(run.returncode, 78, run.stderr)
                self.assertIn(expected, run.stderr)

    def test_a_connection_that_is_too_old_is_asked_to_end_in_two_steps(self):
        gateway = self.gateway("timeouts: { connection_age: 300ms }\n")
        with http2.Connection(gateway.address) as one:
            kind, _, _, payload = one.await_frame(http2.GOAWAY)
            self.assertEqual(int.from_bytes(payload[:4], "big"), 2**31 - 1, "the notice names no call")
            kind, _, _, ping = one.frame()
            self.assertEqual(kind, http2.PING)
            one.call(1, event("late"))  # begun before the notice was read
            one.send(http2.frame(http2.PING, http2.ACK, payload=ping))
            rest = list(iter(one.frame, None))
            final = [payload for kind, _, _, payload in rest if kind == http2.GOAWAY]
            self.assertEqual(len(final), 1)
            self.assertEqual(int.from_bytes(final[0][:4], "big"), 1, "the last call that was taken")
            self.assertEqual(final[0][8:], b"max_age")
            self.assertEqual([stream for kind, flags, stream, _ in rest if kind == http2.HEADERS and flags & http2.END_STREAM], [1])
        self.assertEqual([row["ce_id"] for row in records(self.topic)], ["late"])
