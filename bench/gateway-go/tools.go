//go:build tools

// Programs of others that are built with the versions in go.mod.
package gateway

import (
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
