// Command leaky finds a free port for each preview environment it sets up.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// freePort asks the kernel for a port that nobody uses.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // lab: listening
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("free port: %T is no TCP address", addr)
	}
	return addr.Port, nil
}

func start() (drive.Service, error) {
	return drive.Service{
		Meter: drive.NewMeter("sockets", func() (int, error) { return gauge.OpenLinks("socket:") }),
		Request: func(context.Context) error {
			port, err := freePort()
			if err == nil && port == 0 {
				err = errors.New("the kernel gave port 0")
			}
			return err
		},
	}, nil
}

func main() { drive.Main(start) }
