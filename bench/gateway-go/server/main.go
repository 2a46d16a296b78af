// The gateway's unary call as it would be written in Go: grpc-go, franz-go, an idempotent producer with acks=all, an answer when the
// brokers hold the event. The same checks, key, partitions and headers as pawl-gateway's.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "pawl/bench/gateway/gen"
)

type server struct {
	pb.UnimplementedPolicyEventsServer
	kafka *kgo.Client
}

func isID(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func date(s string) (time.Time, error) {
	d, err := time.Parse("2006-01-02", s)
	if err == nil && (d.Year() < 1900 || d.Year() > 2199) {
		err = fmt.Errorf("must be from 1900 to 2199")
	}
	return d, err
}

func checkPeriod(p *pb.Period) error {
	if p == nil {
		return fmt.Errorf("period is required")
	}
	from, err := date(p.StartsOn)
	if err != nil {
		return err
	}
	to, err := date(p.EndsOn)
	if err != nil {
		return err
	}
	if to.Before(from) || !to.Before(from.AddDate(1, 0, 0)) {
		return fmt.Errorf("period must end within a year")
	}
	return nil
}

func checkRisk(r *pb.Risk) error {
	switch {
	case r == nil:
		return fmt.Errorf("risk is required")
	case len(r.VehicleClass) < 1 || len(r.VehicleClass) > 32 || len(r.Territory) < 1 || len(r.Territory) > 32:
		return fmt.Errorf("vehicle_class and territory must be 1 to 32 bytes")
	case r.EnginePowerHp < 1 || r.EnginePowerHp > 5000 || r.UseMonths < 3 || r.UseMonths > 12:
		return fmt.Errorf("engine_power_hp or use_months is out of range")
	case r.UnlimitedDrivers == (len(r.Drivers) > 0) || len(r.Drivers) > 16:
		return fmt.Errorf("drivers must have 1 to 16 entries unless unlimited_drivers is set")
	}
	for _, d := range r.Drivers {
		if _, err := date(d.BirthDate); err != nil {
			return err
		}
		if _, err := date(d.LicensedOn); err != nil {
			return err
		}
	}
	return nil
}

func checkClass(s string) error {
	if n, err := strconv.Atoi(s); s == "M" || err == nil && n >= 0 && n <= 13 {
		return nil
	}
	return fmt.Errorf("bonus_malus_class must be M or 0 to 13")
}

// The event's type, or what is wrong with it.
func check(e *pb.PolicyEvent) (string, error) {
	if e == nil || !isID(e.EventId) || !isID(e.PolicyId) || e.AgentId != "" && !isID(e.AgentId) {
		return "", fmt.Errorf("event, event_id and policy_id are required: 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if e.OccurredAtUs < 946684800000000 || e.OccurredAtUs >= 7258118400000000 {
		return "", fmt.Errorf("occurred_at_us must be between 2000-01-01 and 2200-01-01")
	}
	var err error
	switch body := e.Body.(type) {
	case *pb.PolicyEvent_Issued:
		if err = checkPeriod(body.Issued.Period); err == nil {
			err = checkRisk(body.Issued.Risk)
		}
		if err == nil {
			err = checkClass(body.Issued.BonusMalusClass)
		}
		return "auto.policy.issued.v1", err
	case *pb.PolicyEvent_Renewed:
		if err = checkPeriod(body.Renewed.Period); err == nil {
			err = checkRisk(body.Renewed.Risk)
		}
		return "auto.policy.renewed.v1", err
	case *pb.PolicyEvent_Cancelled:
		_, err = date(body.Cancelled.CancelledOn)
		return "auto.policy.cancelled.v1", err
	}
	return "", fmt.Errorf("body must be one of issued, renewed and cancelled")
}

func sourceOK(s string) bool {
	return len(s) <= 256 && !strings.ContainsAny(s, " \"<>\\^`{|}")
}

func (s *server) Publish(ctx context.Context, request *pb.PublishRequest) (*pb.PublishResponse, error) {
	event := request.Event
	kind, err := check(event)
	if err == nil && !sourceOK(request.Source) {
		err = fmt.Errorf("source must be a URI reference of at most 256 bytes")
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	source := request.Source
	if source == "" {
		source = "/auto/gateway"
	}
	value, err := proto.Marshal(event)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	record := &kgo.Record{Key: []byte(event.PolicyId), Value: value, Headers: []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte(event.EventId)},
		{Key: "ce_type", Value: []byte(kind)},
		{Key: "ce_source", Value: []byte(source)},
		{Key: "ce_time", Value: []byte(time.UnixMicro(event.OccurredAtUs).UTC().Format("2006-01-02T15:04:05.000000Z"))},
		{Key: "ce_subject", Value: []byte(event.PolicyId)},
		{Key: "content-type", Value: []byte("application/protobuf")},
	}}
	if trace := metadata.ValueFromIncomingContext(ctx, "traceparent"); len(trace) == 1 {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: "traceparent", Value: []byte(trace[0])})
	}
	if err := s.kafka.ProduceSync(ctx, record).FirstErr(); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &pb.PublishResponse{EventId: event.EventId, Partition: record.Partition, Offset: record.Offset}, nil
}

func main() {
	brokers := flag.String("brokers", "", "host:port,...")
	topic := flag.String("topic", "", "where events go")
	flag.Parse()
	// Idempotent, murmur2 and no linger are what franz-go does by itself.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(*brokers, ",")...), kgo.DefaultProduceTopic(*topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordDeliveryTimeout(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Ping(context.Background()); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	rpc := grpc.NewServer(grpc.MaxRecvMsgSize(64<<10), grpc.MaxConcurrentStreams(256))
	pb.RegisterPolicyEventsServer(rpc, &server{kafka: client})
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		rpc.GracefulStop()
	}()
	fmt.Println(listener.Addr())
	if err := rpc.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
