// Package upstream runs the other end of a lab service on the loopback
// interface and knows how many clients are still connected to it.
package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// HTTP is a web server that counts its connections.
type HTTP struct {
	*httptest.Server
	open atomic.Int64
}

// NewHTTP starts a server.
func NewHTTP(handler http.Handler) *HTTP {
	h := &HTTP{Server: httptest.NewUnstartedServer(handler)}
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			h.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			h.open.Add(-1)
		}
	}
	h.Start()
	return h
}

// Connections counts the connections that clients hold open.
func (h *HTTP) Connections() (int, error) {
	return int(h.open.Load()), nil
}

// Stop drops all clients and ends the server. It does not wait for clients that
// never read their answers, as [httptest.Server.Close] would.
func (h *HTTP) Stop() error {
	h.CloseClientConnections()
	return h.Config.Close()
}

// TCP greets each client with a banner and keeps the line open until the client
// hangs up.
type TCP struct {
	listener net.Listener
	open     atomic.Int64
	clients  sync.WaitGroup
}

// NewTCP starts a server.
func NewTCP(banner string) (*TCP, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &TCP{listener: listener}
	t.clients.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			t.open.Add(1)
			t.clients.Go(func() {
				defer t.open.Add(-1)
				defer conn.Close()
				if _, err := io.WriteString(conn, banner); err == nil {
					io.Copy(io.Discard, conn)
				}
			})
		}
	})
	return t, nil
}

// Addr is where the server listens.
func (t *TCP) Addr() string { return t.listener.Addr().String() }

// Connections counts the connections that clients hold open.
func (t *TCP) Connections() (int, error) {
	return int(t.open.Load()), nil
}

// Stop ends the server. Clients that are still connected keep their handlers
// until the process ends.
func (t *TCP) Stop() error { return t.listener.Close() }
