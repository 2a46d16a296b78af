// Calls Publish at a fixed rate, whatever the answers take, and says how long they took: from the moment at which a call was due, so that
// a server that stands still is charged for all calls that had to wait. The server's processor time is taken from /proc.
//
// Prints: p50 p95 p99 (ms) calls/s and the server's CPU (us a call), of the time after the warm-up.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "pawl/bench/gateway/gen"
)

const tick = 10 * time.Millisecond // of /proc: USER_HZ is 100 on all of Linux

var (
	address     = flag.String("address", "", "host:port of the server")
	pid         = flag.Int("pid", 0, "the server's process")
	rate        = flag.Float64("rate", 1000, "calls a second")
	warmUp      = flag.Duration("warm-up", 5*time.Second, "not measured")
	measured    = flag.Duration("measured", 20*time.Second, "")
	connections = flag.Int("connections", 8, "")
	policies    = flag.Int("policies", 20000, "")
)

func cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", *pid))
	if err != nil {
		log.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	sum := 0
	for _, field := range fields[11:13] { // utime, stime; of all threads
		ticks, err := strconv.Atoi(field)
		if err != nil {
			log.Fatal(err)
		}
		sum += ticks
	}
	return time.Duration(sum) * tick
}

// By the kernel's clock: Go's timers round up to the millisecond of its poller, and that would be in every figure.
func sleepUntil(due time.Time) {
	for wait := time.Until(due); wait > 0; wait = time.Until(due) {
		ts := syscall.NsecToTimespec(int64(wait))
		_ = syscall.Nanosleep(&ts, nil) // a signal cuts it short
	}
}

func event(i int) *pb.PublishRequest {
	request := &pb.PublishRequest{Event: &pb.PolicyEvent{
		EventId: fmt.Sprintf("%d-%d", os.Getpid(), i), PolicyId: fmt.Sprintf("POL-%06d", rand.Intn(*policies)), OccurredAtUs: 1772366400000000,
	}}
	if i%10 == 0 {
		request.Event.Body = &pb.PolicyEvent_Cancelled{Cancelled: &pb.PolicyCancelled{CancelledOn: "2026-07-01", Reason: "sold"}}
		return request
	}
	request.Event.Body = &pb.PolicyEvent_Issued{Issued: &pb.PolicyIssued{
		Period: &pb.Period{StartsOn: "2026-03-01", EndsOn: "2027-02-28"}, BonusMalusClass: "3",
		Risk: &pb.Risk{VehicleClass: "car_private", Territory: "moscow", EnginePowerHp: 100, UseMonths: 12,
			Drivers: []*pb.Driver{{BirthDate: "1980-02-29", LicensedOn: "1999-06-01"}, {BirthDate: "1984-11-05", LicensedOn: "2004-01-20"}}},
	}}
	return request
}

func main() {
	flag.Parse()
	clients := make([]pb.PolicyEventsClient, *connections)
	for i := range clients {
		conn, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			log.Fatal(err)
		}
		clients[i] = pb.NewPolicyEventsClient(conn)
	}
	warm := int(*rate * warmUp.Seconds())
	total := warm + int(*rate*measured.Seconds())
	took := make([]time.Duration, total)
	failed := make([]error, total)
	var calls sync.WaitGroup
	var cpuBefore time.Duration
	var began time.Time
	runtime.LockOSThread()
	start := time.Now()
	for i := 0; i < total; i++ {
		due := start.Add(time.Duration(float64(i) / *rate * float64(time.Second)))
		sleepUntil(due)
		if i == warm {
			cpuBefore, began = cpu(), time.Now()
		}
		calls.Add(1)
		go func(i int) {
			defer calls.Done()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_, failed[i] = clients[i%len(clients)].Publish(ctx, event(i))
			took[i] = time.Since(due)
		}(i)
	}
	calls.Wait()
	seconds, used := time.Since(began).Seconds(), cpu()-cpuBefore
	for i, err := range failed {
		if err != nil {
			log.Fatalf("call %d: %v", i, err)
		}
	}
	took = took[warm:]
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	at := func(p float64) float64 { return took[int(p*float64(len(took)-1))].Seconds() * 1000 }
	fmt.Printf("%.2f %.2f %.2f %.0f %.1f\n", at(0.5), at(0.95), at(0.99), float64(len(took))/seconds, used.Seconds()*1e6/float64(len(took)))
}
