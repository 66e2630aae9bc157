// Command fdbus connects to a bus that asks for a nonce which isn't there, again and again, as a service does that waits for it.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/godbus/dbus/v5"
)

// connect says whether the bus is there.
func connect(address string) bool {
	conn, err := dbus.Dial(address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	address := fmt.Sprintf("nonce-tcp:host=127.0.0.1,port=%d,noncefile=/nonexistent/nonce", port)
	for range 50 {
		if connect(address) {
			fmt.Fprintln(os.Stderr, "it must not connect")
			os.Exit(1)
		}
		peer, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		peer.Close()
	}
	listener.Close()
}
