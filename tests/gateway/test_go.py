"""Programs of others, written in Go: grpc-go, the library of grpcurl, and h2spec. PAWL_GATEWAY_GO is the folder that holds them."""
import os
import signal
import subprocess

from kit import WAIT, Case, Cluster, Keys, records, until

PROGRAMS = os.environ["PAWL_GATEWAY_GO"]


class Interop(Case):
    def run_go(self, gateway, pattern, **env):
        run = subprocess.run(
            [f"{PROGRAMS}/interop", "-test.v", "-test.run", f"^({pattern})$"], env={**os.environ, "GATEWAY": gateway.address, **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=5 * WAIT,
        )
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertNotIn("--- SKIP", run.stdout)
        self.assertIn("--- PASS", run.stdout)

    def test_grpc_go_and_grpcurl(self):
        self.run_go(self.gateway(), "TestUnary|TestClientStream|TestClientStreamEndsAtABadEvent|TestBidiStream|TestGzip|TestErrorDetails"
                    "|TestTooLargeAMessage|TestUnknownMethod|TestHealth|TestGrpcurl")
        expected = [f"unary-{i}" for i in range(50)] + [f"all-{i}" for i in range(500)] + [f"gzip-{i}" for i in range(20)]
        expected += [f"stream-{i}" for i in range(100) if i != 50] + ["curl-0"]
        self.assertEqual(sorted(row["ce_id"] for row in records(self.topic)), sorted(expected))

    def test_grpc_go_keeps_its_deadline(self):
        gateway = self.gateway()
        pid = Cluster.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            self.run_go(gateway, "TestDeadline", SILENT_BROKER="1")
        finally:
            os.kill(pid, signal.SIGCONT)
        until("the event to arrive", lambda: gateway.metric("events_in_flight") == 0)
        self.assertEqual([row["ce_id"] for row in records(self.topic)], ["deadline"])

    def test_grpc_go_with_certificates(self):
        keys = Keys()
        keys.authority("ca")
        keys.authority("other-ca")
        keys.certificate("server", "ca", "DNS:localhost,IP:127.0.0.1")
        keys.certificate("agents", "ca", "DNS:agents.example.org")
        keys.certificate("forged", "other-ca", "DNS:agents.example.org")
        gateway = self.gateway(keys.tls(f", client_ca: {keys.folder}/ca.pem, identities: {{ agents.example.org: [/agents] }}"))
        self.run_go(gateway, "TestTLS", KEYS=keys.folder)
        self.assertEqual([row["ce_id"] for row in records(self.topic)], ["tls-0"])


class Conformance(Case):
    def h2spec(self, gateway, *args):
        host, port = gateway.address.rsplit(":", 1)
        run = subprocess.run([f"{PROGRAMS}/h2spec", "-S", "-o", "5", "-h", host, "-p", port, *args], stdout=subprocess.PIPE, text=True,
                             check=False, timeout=5 * WAIT)
        self.assertRegex(run.stdout, r"\n146 tests, 146 passed, 0 skipped, 0 failed\n", run.stdout[run.stdout.find("Failures:"):])
        self.assertEqual(run.returncode, 0)

    def test_http2_is_as_h2spec_wants_it(self):
        self.h2spec(self.gateway())

    def test_http2_is_as_h2spec_wants_it_over_tls(self):
        keys = Keys()
        keys.authority("ca")
        keys.certificate("server", "ca", "DNS:localhost,IP:127.0.0.1")
        self.h2spec(self.gateway(keys.tls()), "-t", "-k")
