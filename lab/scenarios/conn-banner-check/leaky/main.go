// Command leaky checks that a mail server answers with its banner.
package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/upstream"
)

const banner = "220 mx.shop.example ESMTP\r\n"

// checkBanner connects and reads the greeting.
func checkBanner(addr string, patience time.Duration) error {
	conn, err := net.DialTimeout("tcp", addr, patience) // lab: dialled
	if err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	greeting := make([]byte, 512)
	n, err := conn.Read(greeting)
	if err != nil {
		return err
	}
	if got := string(greeting[:n]); got != banner {
		return fmt.Errorf("%s greets with %q", addr, got)
	}
	return nil
}

func start() (drive.Service, error) {
	server, err := upstream.NewTCP(banner)
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter:   drive.NewMeter("connections to the mail server", server.Connections),
		Request: func(context.Context) error { return checkBanner(server.Addr(), 5*time.Second) },
		Close:   server.Stop,
	}, nil
}

func main() { drive.Main(start) }
