// Another client than grpcio: grpc-go, and the library of grpcurl. GATEWAY names the gateway's address; the events that are published
// here are compared by the caller with what is in the topic.
package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fullstorydev/grpcurl"
	"github.com/jhump/protoreflect/grpcreflect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "pawl/tests/gateway/gen"
)

const wait = 60 * time.Second

func event(id string) *pb.PublishRequest {
	return &pb.PublishRequest{Event: &pb.PolicyEvent{
		EventId: id, PolicyId: "p-1", OccurredAtUs: 1772366400000000,
		Body: &pb.PolicyEvent_Cancelled{Cancelled: &pb.PolicyCancelled{CancelledOn: "2026-07-01"}},
	}}
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, creds credentials.TransportCredentials) *grpc.ClientConn {
	conn, err := grpc.NewClient(os.Getenv("GATEWAY"), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func plain(t *testing.T) (context.Context, pb.PolicyEventsClient, *grpc.ClientConn) {
	conn := dial(t, insecure.NewCredentials())
	return within(t, wait), pb.NewPolicyEventsClient(conn), conn
}

func refused(t *testing.T, err error, code codes.Code) *status.Status {
	t.Helper()
	st, ok := status.FromError(err)
	if !ok || st.Code() != code {
		t.Fatalf("got %v, not %v", err, code)
	}
	return st
}

func TestUnary(t *testing.T) {
	ctx, client, _ := plain(t)
	for i := 0; i < 50; i++ {
		id := fmt.Sprintf("unary-%d", i)
		answer, err := client.Publish(ctx, event(id))
		if err != nil || answer.EventId != id || answer.Offset < 0 {
			t.Fatalf("%v, %v", answer, err)
		}
	}
}

func TestClientStream(t *testing.T) {
	ctx, client, _ := plain(t)
	stream, err := client.PublishAll(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 500; i++ {
		if err := stream.Send(event(fmt.Sprintf("all-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := stream.CloseAndRecv()
	if err != nil || answer.Published != 500 {
		t.Fatalf("%v, %v", answer, err)
	}
}

// The client goes on sending when the call has ended already: Send says io.EOF, and the status is that of the event.
func TestClientStreamEndsAtABadEvent(t *testing.T) {
	ctx, client, _ := plain(t)
	stream, err := client.PublishAll(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for err = stream.Send(event("")); err == nil; {
		err = stream.Send(event(""))
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	_, err = stream.CloseAndRecv()
	if st := refused(t, err, codes.InvalidArgument); !strings.Contains(st.Message(), "request 1: event.event_id") {
		t.Fatal(st)
	}
}

func TestBidiStream(t *testing.T) {
	ctx, client, _ := plain(t)
	stream, err := client.PublishStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 100; i++ {
		id := fmt.Sprintf("stream-%d", i)
		if i == 50 {
			id = "not an id"
		}
		if err := stream.Send(event(id)); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil || answer.Sequence != uint64(i+1) {
			t.Fatalf("%v, %v", answer, err)
		}
		if no := answer.GetRefused(); (no != nil) != (i == 50) || no != nil && no.Violations[0].Field != "event.event_id" {
			t.Fatal(answer)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
}

func TestGzip(t *testing.T) {
	ctx, client, _ := plain(t)
	request := event("gzip-0")
	request.Event.GetCancelled().Reason = strings.Repeat("x", 200)
	if _, err := client.Publish(ctx, request, grpc.UseCompressor(gzip.Name)); err != nil {
		t.Fatal(err)
	}
	stream, err := client.PublishStream(ctx, grpc.UseCompressor(gzip.Name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 20; i++ {
		if err := stream.Send(event(fmt.Sprintf("gzip-%d", i))); err != nil {
			t.Fatal(err)
		}
		if answer, err := stream.Recv(); err != nil || answer.GetPublished() == nil {
			t.Fatalf("%v, %v", answer, err)
		}
	}
}

func TestErrorDetails(t *testing.T) {
	ctx, client, _ := plain(t)
	request := event("refused")
	request.Event.PolicyId = ""
	request.Event.GetCancelled().CancelledOn = "2026-02-30"
	_, err := client.Publish(ctx, request)
	details := refused(t, err, codes.InvalidArgument).Details()
	if len(details) != 1 {
		t.Fatal(details)
	}
	fields := []string{}
	for _, violation := range details[0].(*errdetails.BadRequest).FieldViolations {
		fields = append(fields, violation.Field)
	}
	if got := strings.Join(fields, " "); got != "event.policy_id event.cancelled.cancelled_on" {
		t.Fatal(got)
	}
}

func TestTooLargeAMessage(t *testing.T) {
	ctx, client, _ := plain(t)
	request := event("refused")
	request.Source = "/" + strings.Repeat("s", 100000)
	_, err := client.Publish(ctx, request)
	refused(t, err, codes.ResourceExhausted)
	_, err = client.Publish(metadata.AppendToOutgoingContext(ctx, "x-note", strings.Repeat("y", 17000)), event("refused"))
	if code := status.Code(err); code != codes.ResourceExhausted && code != codes.Internal { // the client itself knows the limit
		t.Fatal(err)
	}
}

func TestUnknownMethod(t *testing.T) {
	ctx, _, conn := plain(t)
	refused(t, conn.Invoke(ctx, "/auto.events.v1.PolicyEvents/Nothing", event("refused"), &pb.PublishResponse{}), codes.Unimplemented)
}

func TestHealth(t *testing.T) {
	ctx, _, conn := plain(t)
	client := grpc_health_v1.NewHealthClient(conn)
	for _, service := range []string{"", "auto.events.v1.PolicyEvents"} {
		answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "x"})
	refused(t, err, codes.NotFound)
	watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := watch.Recv()
	if err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", answer, err)
	}
}

// What `grpcurl list`, `describe` and a call with JSON do.
func TestGrpcurl(t *testing.T) {
	ctx, _, conn := plain(t)
	client := grpcreflect.NewClientAuto(ctx, conn)
	defer client.Reset()
	source := grpcurl.DescriptorSourceFromServer(ctx, client)
	services, err := grpcurl.ListServices(source)
	if err != nil || !strings.Contains(strings.Join(services, " "), "auto.events.v1.PolicyEvents") {
		t.Fatalf("%v, %v", services, err)
	}
	methods, err := grpcurl.ListMethods(source, "auto.events.v1.PolicyEvents")
	if err != nil || len(methods) != 3 {
		t.Fatalf("%v, %v", methods, err)
	}
	for symbol, part := range map[string]string{
		"auto.events.v1.PolicyEvents.PublishStream": "stream .auto.events.v1.PublishStreamResponse",
		"auto.events.v1.PolicyEvent":                "string event_id = 1;",
		"grpc.health.v1.Health":                     "rpc Watch",
	} {
		found, err := source.FindSymbol(symbol)
		if err != nil {
			t.Fatal(err)
		}
		text, err := grpcurl.GetDescriptorText(found, source)
		if err != nil || !strings.Contains(text, part) {
			t.Fatalf("%s is described as %s, %v", symbol, text, err)
		}
	}
	in := strings.NewReader(`{"event": {"event_id": "curl-0", "policy_id": "p-1", "occurred_at_us": "1772366400000000",
		"cancelled": {"cancelled_on": "2026-03-01"}}}`)
	var out bytes.Buffer
	parse, format, err := grpcurl.RequestParserAndFormatter(grpcurl.FormatJSON, source, in, grpcurl.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	handler := &grpcurl.DefaultEventHandler{Out: &out, Formatter: format}
	if err := grpcurl.InvokeRPC(ctx, source, conn, "auto.events.v1.PolicyEvents/Publish", nil, handler, parse.Next); err != nil {
		t.Fatal(err)
	}
	if handler.Status.Code() != codes.OK || !strings.Contains(out.String(), `"eventId": "curl-0"`) {
		t.Fatalf("%v %s", handler.Status, out.String())
	}
}

// The caller has stopped the broker.
func TestDeadline(t *testing.T) {
	if os.Getenv("SILENT_BROKER") == "" {
		t.Skip("not asked for")
	}
	_, client, _ := plain(t)
	began := time.Now()
	_, err := client.Publish(within(t, 500*time.Millisecond), event("deadline"))
	refused(t, err, codes.DeadlineExceeded)
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Fatal(took)
	}
}

// KEYS names a folder with ca.pem, and for each client a NAME.pem and NAME.key.
func secured(t *testing.T, client string) (context.Context, pb.PolicyEventsClient) {
	keys := os.Getenv("KEYS")
	if keys == "" {
		t.Skip("not asked for")
	}
	ca, err := os.ReadFile(keys + "/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	if client != "" {
		pair, err := tls.LoadX509KeyPair(keys+"/"+client+".pem", keys+"/"+client+".key")
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return within(t, wait), pb.NewPolicyEventsClient(dial(t, credentials.NewTLS(config)))
}

func TestTLS(t *testing.T) {
	ctx, client := secured(t, "")
	_, err := client.Publish(ctx, event("nobody"))
	refused(t, err, codes.Unavailable)
	ctx, client = secured(t, "forged")
	_, err = client.Publish(ctx, event("forged"))
	refused(t, err, codes.Unavailable)
	ctx, client = secured(t, "agents")
	if _, err := client.Publish(ctx, event("tls-0")); err != nil {
		t.Fatal(err)
	}
	request := event("refused")
	request.Source = "/portal"
	_, err = client.Publish(ctx, request)
	refused(t, err, codes.PermissionDenied)
}
