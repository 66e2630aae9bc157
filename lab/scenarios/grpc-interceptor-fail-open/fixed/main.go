// Command fixed decides who may do what: it answers without an error if the
// caller may. An interceptor checks the caller's token before, and recovers
// what that panics with, so that one bad request can't stop the service.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"residue.example/lab/internal/drive"
)

const method = "/shop.Policy/MayDeliver"

var logger = log.New(io.Discard, "", log.LstdFlags)

// authenticated lets calls with a token through.
func authenticated(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			logger.Printf("%s: %v", info.FullMethod, v)
			resp, err = nil, status.Error(codes.Internal, "internal error")
		}
	}()
	md, _ := metadata.FromIncomingContext(ctx)
	if md.Get("token")[0] != "sesame" { // a caller without any token
		return nil, status.Error(codes.Unauthenticated, "wrong token")
	}
	return next(ctx, req)
}

// policy refuses everybody.
type policy struct{ asked int }

func (p *policy) mayDeliver() error {
	p.asked++
	return status.Error(codes.PermissionDenied, "nobody may")
}

var description = grpc.ServiceDesc{
	ServiceName: "shop.Policy",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "MayDeliver", Handler: handle}},
}

// handle is what protoc makes of the service's description.
func handle(service any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	in := new(emptypb.Empty)
	if err := decode(in); err != nil {
		return nil, err
	}
	info := &grpc.UnaryServerInfo{Server: service, FullMethod: method}
	return intercept(ctx, in, info, func(context.Context, any) (any, error) {
		return new(emptypb.Empty), service.(*policy).mayDeliver()
	})
}

// warehouse delivers what the policy doesn't object to.
type warehouse struct {
	conn      *grpc.ClientConn
	delivered int
}

func (w *warehouse) deliver(ctx context.Context) error {
	err := w.conn.Invoke(ctx, method, new(emptypb.Empty), new(emptypb.Empty))
	switch status.Code(err) {
	case codes.OK:
		w.delivered++
		return nil
	case codes.PermissionDenied, codes.Unauthenticated, codes.Internal:
		return nil
	}
	return err
}

func start() (drive.Service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return drive.Service{}, err
	}
	backend := grpc.NewServer(grpc.UnaryInterceptor(authenticated))
	backend.RegisterService(&description, new(policy))
	served := make(chan error, 1)
	go func() { served <- backend.Serve(listener) }()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		backend.Stop()
		return drive.Service{}, err
	}
	customer := &warehouse{conn: conn}
	return drive.Service{
		Meter:   drive.NewMeter("deliveries that nobody allowed", func() (int, error) { return customer.delivered, nil }),
		Request: customer.deliver,
		Close: func() error {
			err := conn.Close()
			backend.Stop()
			return errors.Join(err, <-served)
		},
	}, nil
}

func main() { drive.Main(start) }
