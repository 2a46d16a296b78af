"""TLS and passwords on both sides of the runtime, with real certificates: a broker that wants a password over TLS or a client's certificate, a
PostgreSQL that is asked to prove its name. What must be refused is refused, says why, and shows no secret.

Usage: run PAWL PLUGINS PAWL_KAFKA_ADMIN AUTO_EVENTS CONF"""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
KIT = os.path.join(HERE, "..", "..", "kit")
sys.path.insert(0, os.path.join(HERE, "..", "kit"))

from certificates import Certificates  # noqa: E402
from waiting import until  # noqa: E402

PAWL, PLUGINS, EVENTS, CONF = (os.environ[n] for n in ("PAWL", "PAWL_PLUGINS", "AUTO_EVENTS", "PAWL_CONF"))
PASSWORD = "correct-horse-7"
COUNT = 200
WAIT = 60


def run(*args, check=True, **more):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if check and done.returncode != 0:
        raise RuntimeError(f"{args}: {done.stdout}")
    return done


def free_ports(count):
    """Below the range from which the kernel hands out ports by itself, as kit/kafka chooses its own."""
    found = []
    for port in range(11000 + os.getpid() % 4000, 16384):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


class World:
    """One broker and one PostgreSQL for all tests."""

    folder = None

    @classmethod
    def start(cls):
        cls.folder = tempfile.mkdtemp(prefix="pawl-secure-")
        os.chmod(cls.folder, 0o711)
        cls.certs = Certificates(cls.folder)
        cls.certs.authority("ca")
        cls.certs.authority("other")
        cls.certs.certificate("broker", "ca", "IP:127.0.0.1,DNS:localhost")
        cls.certs.certificate("stranger", "ca", "DNS:elsewhere.example")
        cls.certs.certificate("client", "ca", "DNS:client")
        cls.certs.certificate("late", "ca", "DNS:client", days=-1)
        cls.start_kafka()
        cls.start_postgres()

    @classmethod
    def start_kafka(cls):
        cls.ports = dict(zip(("password", "mtls", "stranger"), free_ports(3)))
        modules = "org.apache.kafka.common.security"
        extra = [f"listener.name.password.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;",
                 f"listener.name.password.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_pawl=\"{PASSWORD}\";",
                 "listener.name.password.sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN",
                 "listener.name.mtls.ssl.client.auth=required"]
        for name, certificate in (("password", "broker"), ("mtls", "broker"), ("stranger", "stranger")):
            extra += [f"listener.name.{name}.ssl.keystore.type=PEM",
                      f"listener.name.{name}.ssl.keystore.location={cls.certs.bundle(certificate)}",
                      f"listener.name.{name}.ssl.truststore.type=PEM",
                      f"listener.name.{name}.ssl.truststore.location={cls.certs.path('ca.pem')}"]
        started = run(os.path.join(KIT, "kafka"), "start", cls.folder + "/kafka", "1", check=False, env={
            **os.environ, "KAFKA_EXTRA": "\n".join(extra),
            "KAFKA_LISTENERS": f"PASSWORD:SASL_SSL:{cls.ports['password']} MTLS:SSL:{cls.ports['mtls']} STRANGER:SSL:{cls.ports['stranger']}",
            "KAFKA_FORMAT": f"--add-scram\nSCRAM-SHA-256=[name=pawl,password={PASSWORD}]"})
        if started.returncode == 77:
            print("SKIPPED: " + started.stdout, file=sys.stderr)
            cls.stop()
            sys.exit(77)
        if started.returncode != 0:
            raise RuntimeError(started.stdout)
        cls.bootstrap = started.stdout.strip().splitlines()[-1]

    @classmethod
    def start_postgres(cls):
        """Its certificate names localhost, not the address."""
        cls.certs.certificate("server", "ca", "DNS:localhost")
        os.chmod(cls.certs.path("server.key"), 0o600)
        if os.getuid() == 0:
            shutil.chown(cls.certs.path("server.key"), "postgres")
        dsn = run(os.path.join(KIT, "pg"), "start", cls.folder + "/pg", env={
            **os.environ, "PG_FSYNC": "off",
            "PG_CONF": f"ssl = on\nssl_cert_file = '{cls.certs.path('server.pem')}'\nssl_key_file = '{cls.certs.path('server.key')}'"})
        cls.pg_port = re.search(r"port=(\d+)", dsn.stdout).group(1)
        with open(cls.folder + "/pg/password", encoding="utf-8") as file:
            cls.pg_password = file.read().strip()

    @classmethod
    def sql(cls, text):
        return run(os.path.join(KIT, "pg"), "psql", cls.folder + "/pg", "-Atqc", text).stdout.strip()

    @classmethod
    def stop(cls):
        run(os.path.join(KIT, "kafka"), "stop", cls.folder + "/kafka", "now", check=False)
        run(os.path.join(KIT, "pg"), "stop", cls.folder + "/pg", "immediate", check=False)
        shutil.rmtree(cls.folder, ignore_errors=True)


class Secure(unittest.TestCase):
    number = 0

    def setUp(self):
        Secure.number += 1
        self.name = f"t{Secure.number}"
        self.folder = os.path.join(World.folder, self.name)
        os.mkdir(self.folder)
        self.process = None
        for topic, parts in ((self.name, "2"), (self.name + ".premiums", "1"), (self.name + ".dlq", "1")):
            run(os.path.join(KIT, "kafka"), "topic", World.folder + "/kafka", topic, parts)
        self.secret("kafka-password", PASSWORD)
        self.secret("pg-password", World.pg_password)
        self.kafka = self.password("PLAIN")
        self.postgres = f"host=localhost sslmode=verify-full sslrootcert={World.certs.path('ca.pem')}"

    def tearDown(self):
        text = self.log() if self.process else ""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(WAIT)
        for secret in (PASSWORD, World.pg_password):
            self.assertNotIn(secret, text)

    def secret(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text + "\n")
        os.chmod(path, 0o600)

    @staticmethod
    def tls(port, ca="ca", **more):
        return {"bootstrap.servers": f"127.0.0.1:{World.ports[port]}", "security.protocol": "ssl",
                "ssl.ca.location": World.certs.path(ca + ".pem"), **more}

    def password(self, mechanism):
        return {**self.tls("password"), "security.protocol": "sasl_ssl", "sasl.mechanism": mechanism, "sasl.username": "pawl",
                "sasl.password": f"${{file:{self.folder}/kafka-password}}"}

    def topology(self):
        path = os.path.join(self.folder, "topology.yaml")
        kafka = "\n".join(f"  {key}: \"{value}\"" for key, value in self.kafka.items())
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"""version: 1
instance: {self.name}
run_dir: {self.folder}/run
plugin_dir: {PLUGINS}
kafka:
{kafka}
postgres:
  dsn: "{self.postgres} port={World.pg_port} user=postgres dbname=pawl password=${{file:{self.folder}/pg-password}}"
pipelines:
  underwriting:
    source: {{ topics: [{self.name}], group: {self.name} }}
    plugin: {{ path: underwriting.so, config: {CONF}/underwriting.cfg }}
    outputs: {{ premiums: {self.name}.premiums }}
    dlq: {{ topic: {self.name}.dlq }}
""")
        os.makedirs(self.folder + "/run", mode=0o700, exist_ok=True)
        return path

    def start(self):
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen([PAWL, "run", self.topology()], stdout=log, stderr=subprocess.STDOUT)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT)

    def log(self):
        with open(self.folder + "/log", encoding="utf-8") as file:
            return file.read()

    def await_log(self, pattern):
        until(lambda: f"'{pattern}' in\n{self.log()[-3000:]}", lambda: re.search(pattern, self.log()))

    def produce(self):
        run(EVENTS, "produce", "--bootstrap", World.bootstrap, "--topic", self.name, "--count", str(COUNT), "--seed", "1")

    def applied(self):
        there = World.sql("SELECT to_regclass('pawl.offsets') IS NOT NULL")
        return there == "t" and int(World.sql(f"SELECT coalesce(sum(next_offset), 0) FROM pawl.offsets WHERE group_name = '{self.name}'"))

    def flows(self):
        """Into PostgreSQL, and out to Kafka with the group's offset."""
        run(PAWL, "migrate", self.topology())
        self.start()
        self.produce()
        until(lambda: f"{COUNT} events, {self.applied()} are there\n{self.log()[-3000:]}", lambda: self.applied() == COUNT)

        def published():
            rows = run(os.path.join(KIT, "kafka"), "group", World.folder + "/kafka", self.name, self.name).stdout.split("\n")
            return sum(int(row.split()[1]) for row in rows if row.strip() and int(row.split()[1]) > 0) == COUNT

        until("the group's offset", published)

    def is_refused(self, pattern):
        run(PAWL, "migrate", self.topology(), check=False)
        self.produce()
        self.start()
        self.await_log(pattern)
        self.assertFalse(self.applied())
        self.assertIsNone(self.process.poll(), "it waits: an outage is no message's fault")

    # ---- what works ----

    def test_scram(self):
        """Kafka 4.1.1 does not understand the SCRAM of librdkafka before 2.6.1 (its issue 4895)."""
        self.kafka = self.password("SCRAM-SHA-256")
        library = re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", run(PAWL, "--version").stdout)
        if tuple(int(n) for n in library.groups()) >= (2, 6, 1) or os.environ.get("KAFKA_VERSION", "4").startswith("3."):
            self.flows()
        else:
            self.is_refused("(?i)authentication failed")

    def test_a_password_over_tls_and_a_postgres_that_proves_its_name(self):
        self.flows()
        ssl = World.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'pawl%'")
        self.assertEqual(ssl, "t")
        status = json.loads(run(PAWL, "status", "--json", self.folder + "/topology.yaml").stdout)
        self.assertNotIn(PASSWORD, json.dumps(status))

    def test_a_clients_certificate(self):
        self.kafka = self.tls("mtls", **{"ssl.certificate.location": World.certs.path("client.pem"),
                                        "ssl.key.location": World.certs.path("client.key")})
        self.flows()

    def test_a_certificate_that_was_rotated_counts_from_the_next_start(self):
        for end in (".pem", ".key"):
            shutil.copy(World.certs.path("late" + end), self.folder + "/own" + end)
        self.kafka = self.tls("mtls", **{"ssl.certificate.location": self.folder + "/own.pem", "ssl.key.location": self.folder + "/own.key"})
        self.is_refused("(?i)certificate")
        self.stop()
        for end in (".pem", ".key"):
            shutil.copy(World.certs.path("client" + end), self.folder + "/own" + end)
        self.start()
        until("the events", lambda: self.applied() == COUNT)

    def test_the_admin_port_over_tls(self):
        """Nothing else has to work for it."""
        for end in (".pem", ".key"):
            shutil.copy(World.certs.path("broker" + end), self.folder + "/admin" + end)
        os.chmod(self.folder + "/admin.key", 0o644)
        self.secret("token", "a-token-for-the-admin-port")
        path = self.topology()
        with open(path, "a", encoding="utf-8") as out:
            out.write(f"admin: {{ listen: \"0.0.0.0:0\", token: \"${{file:{self.folder}/token}}\", certificate: admin.pem, key: admin.key }}\n")
        refused = run(PAWL, "run", path, check=False)
        self.assertIn("admin.key is open to everybody", refused.stdout)
        os.chmod(self.folder + "/admin.key", 0o600)
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen([PAWL, "run", path], stdout=log, stderr=subprocess.STDOUT)
        self.await_log(r"https://0\.0\.0\.0:\d+/")
        port = re.search(r"https://0\.0\.0\.0:(\d+)/", self.log()).group(1)

        def get(**headers):
            request = urllib.request.Request(f"https://127.0.0.1:{port}/api/v1/status", headers=headers)
            trust = ssl.create_default_context(cafile=World.certs.path("ca.pem"))
            return json.load(urllib.request.urlopen(request, timeout=WAIT, context=trust))

        self.assertEqual(get(Authorization="Bearer a-token-for-the-admin-port")["instance"], self.name)
        with self.assertRaises(urllib.error.HTTPError) as without:
            get()
        self.assertEqual(without.exception.code, 401)
        with self.assertRaises(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=WAIT)
        self.assertNotIn("a-token-for-the-admin-port", self.log())

    # ---- what is refused ----

    def test_a_wrong_password(self):
        self.secret("kafka-password", "wrong-horse-8")
        self.is_refused("(?i)authentication failed")
        self.assertNotIn("wrong-horse-8", self.log())

    def test_a_broker_that_has_another_name(self):
        self.kafka = self.tls("stranger")
        self.is_refused("(?i)certificate verify failed")

    def test_a_broker_of_another_authority(self):
        self.kafka = self.tls("mtls", ca="other")
        self.is_refused("(?i)certificate verify failed")

    def test_no_certificate_where_one_is_wanted(self):
        self.kafka = self.tls("mtls")
        self.is_refused("(?i)certificate|SSL")

    def test_a_postgres_that_has_another_name(self):
        self.postgres = self.postgres.replace("host=localhost", "host=127.0.0.1")
        self.is_refused('server certificate for .*localhost.* does not match host name')

    def test_a_postgres_of_another_authority(self):
        self.postgres = self.postgres.replace("ca.pem", "other.pem")
        self.is_refused("certificate verify failed")

    def test_a_wrong_postgres_password(self):
        self.secret("pg-password", "wrong-horse-9")
        self.is_refused("password authentication failed")
        self.assertNotIn("wrong-horse-9", self.log())


if __name__ == "__main__":
    try:
        World.start()
        unittest.main(verbosity=2)
    finally:
        World.stop()
