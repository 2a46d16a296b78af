"""Health, reflection, and who may come in."""
import os
import shutil
import signal

import grpc

from kit import WAIT, Case, Keys, Client, event, method, records
from auto.events.v1 import events_pb2, gateway_pb2
from google.protobuf import descriptor_pb2
from grpc.health.v1 import health_pb2
from grpc.reflection.v1 import reflection_pb2


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


class Access(Case):
    @classmethod
    def setUpClass(cls):
        cls.keys = Keys()
        cls.keys.authority("ca")
        cls.keys.authority("other-ca")
        cls.keys.certificate("server", "ca", "DNS:localhost,IP:127.0.0.1")
        cls.keys.certificate("portal", "ca", "URI:spiffe://acme/portal,DNS:portal.example.org")
        cls.keys.certificate("agents", "ca", "DNS:agents.example.org")
        cls.keys.certificate("stranger", "ca", "DNS:stranger.example.org")
        cls.keys.certificate("forged", "other-ca", "DNS:agents.example.org")

    def test_clients_that_trust_the_certificate_get_in_and_others_do_not(self):
        gateway = self.gateway(self.keys.tls())
        Client(gateway.channel(self.keys.credentials())).publish(event("e-1"), timeout=WAIT)
        with self.assertRaises(grpc.RpcError) as caught:
            Client(gateway.channel(self.keys.credentials(ca="other-ca"))).publish(event("e-2"), timeout=WAIT)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        with self.assertRaises(grpc.RpcError):
            Client(gateway.channel()).publish(event("e-3"), timeout=WAIT)
        self.assertEqual([row["ce_id"] for row in records(self.topic)], ["e-1"])

    def test_a_certificate_decides_which_sources_a_client_may_use(self):
        gateway = self.gateway(
            self.keys.tls(f", client_ca: {self.keys.folder}/ca.pem, identities: {{ "
                     "\"spiffe://acme/portal\": [/portal, /portal/test], agents.example.org: [/agents] }")
        )
        portal = Client(gateway.channel(self.keys.credentials("portal")))
        agents = Client(gateway.channel(self.keys.credentials("agents")))
        portal.publish(event("e-1"), timeout=WAIT)
        portal.publish(event("e-2", source="/portal/test"), timeout=WAIT)
        agents.publish(event("e-3", source="/agents"), timeout=WAIT)
        self.refused(grpc.StatusCode.PERMISSION_DENIED, agents.publish, event("e-4", source="/portal"), timeout=WAIT)
        stranger = Client(gateway.channel(self.keys.credentials("stranger")))
        self.refused(grpc.StatusCode.PERMISSION_DENIED, stranger.publish, event("e-5"), timeout=WAIT)
        answers = list(agents.stream(iter((event("e-6"), event("e-7", source="/x"), event("e-8"))), timeout=WAIT))
        self.assertEqual([answer.WhichOneof("outcome") for answer in answers], ["published", "refused", "published"])
        for name in ("forged", None):
            with self.assertRaises(grpc.RpcError) as caught:
                Client(gateway.channel(self.keys.credentials(name))).publish(event("e-9"), timeout=WAIT)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(sorted(row["ce_id"] for row in records(self.topic)), ["e-1", "e-2", "e-3", "e-6", "e-8"])

    def test_a_new_certificate_is_taken_without_a_restart_and_a_broken_one_is_not(self):
        for end in ("key", "pem"):
            shutil.copy(f"{self.keys.folder}/server.{end}", f"{self.keys.folder}/live.{end}")
        gateway = self.gateway(f"tls: {{ certificate: {self.keys.folder}/live.pem, key: {self.keys.folder}/live.key }}\n")
        old = Client(gateway.channel(self.keys.credentials()))
        old.publish(event("e-1"), timeout=WAIT)
        with open(f"{self.keys.folder}/live.pem", "w", encoding="utf-8") as out:
            out.write("nonsense\n")
        gateway.process.send_signal(signal.SIGHUP)
        self.assertIn("the old one stays in use", gateway.await_log("gateway.certificate"))
        Client(gateway.channel(self.keys.credentials(), grpc__use_local_subchannel_pool=1)).publish(event("e-2"), timeout=WAIT)
        self.keys.certificate("renewed", "other-ca", "DNS:localhost,IP:127.0.0.1")
        for end in ("key", "pem"):
            shutil.copy(f"{self.keys.folder}/renewed.{end}", f"{self.keys.folder}/live.{end}")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_log("gateway.certificate", 2)
        Client(gateway.channel(self.keys.credentials(ca="other-ca"))).publish(event("e-3"), timeout=WAIT)
        old.publish(event("e-4"), timeout=WAIT)
        self.assertEqual(len(records(self.topic)), 4)
