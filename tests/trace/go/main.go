// collector: the OTLP receiver of the OpenTelemetry collector. Each request that it takes becomes a line of JSON on stdout.
// Usage: collector HOST:PORT [CERTIFICATE KEY], the latter for TLS; it ends with its standard input.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func take(_ context.Context, traces ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	if err == nil {
		_, err = fmt.Printf("%s\n", line)
	}
	return err
}

func run(endpoint string, files []string) error {
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	http := map[string]any{"endpoint": endpoint}
	if len(files) == 2 {
		http["tls"] = map[string]any{"cert_file": files[0], "key_file": files[1]}
	}
	wanted := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": http}})
	if err := component.UnmarshalConfig(wanted, config); err != nil {
		return err
	}
	next, err := consumer.NewTraces(take)
	if err != nil {
		return err
	}
	settings := receiver.CreateSettings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	traces, err := factory.CreateTracesReceiver(context.Background(), settings, config, next)
	if err != nil {
		return err
	}
	if err := traces.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		return err
	}
	fmt.Println("listening")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return traces.Shutdown(context.Background())
}

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "collector:", err)
		os.Exit(1)
	}
}
