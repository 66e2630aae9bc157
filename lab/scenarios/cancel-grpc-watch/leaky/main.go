// Command leaky waits until a gRPC backend says that it serves.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

const service = "shop.Orders"

// awaitServing watches the backend's health until it serves.
func awaitServing(ctx context.Context, client grpc_health_v1.HealthClient) error {
	ctx, cancel := context.WithCancel(ctx) // lab: derived
	watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		cancel()
		return fmt.Errorf("watch %s: %w", service, err)
	}
	for {
		update, err := watch.Recv()
		if err != nil {
			cancel()
			return fmt.Errorf("watch %s: %w", service, err)
		}
		if update.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return nil
		}
	}
}

func start() (drive.Service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return drive.Service{}, err
	}
	checker := health.NewServer()
	checker.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING)
	backend := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(backend, checker)
	served := make(chan error, 1)
	go func() { served <- backend.Serve(listener) }()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		backend.Stop()
		return drive.Service{}, err
	}
	client := grpc_health_v1.NewHealthClient(conn)
	return drive.Service{
		// One in the backend that sends, one in the client that waits for ctx.
		Meter:   drive.NewMeter("goroutines", gauge.Goroutines),
		Request: func(ctx context.Context) error { return awaitServing(ctx, client) },
		Close: func() error {
			err := conn.Close()
			backend.Stop()
			return errors.Join(err, <-served)
		},
	}, nil
}

func main() { drive.Main(start) }
