// Command leaky serves reports that take a while. Until a report is ready, a
// heartbeat keeps the proxy in front of it from giving up.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"residue.example/lab/internal/drive"
)

// report writes heartbeats while it works. Nobody tells the heart that the work
// is done: it goes on for a while, and w is somebody else's answer by then.
func report(w http.ResponseWriter, r *http.Request) {
	// The first sign of life goes out at once, which commits the answer.
	fmt.Fprintf(w, "# working for %s\n", r.FormValue("tenant"))
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	stop := time.After(4 * work)
	go func() {
		tick := time.NewTicker(work / 20)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(w, "# working for %s\n", r.FormValue("tenant")) // lab: late
			case <-stop:
				return
			}
		}
	}()
	time.Sleep(work)
	fmt.Fprintln(w, "total 1000")
}

// balance takes long enough to be hit.
func balance(w http.ResponseWriter, r *http.Request) {
	time.Sleep(work / 2)
	fmt.Fprintf(w, "%s owes 1000\n", r.FormValue("tenant"))
}

// work is how long a report takes.
const work = 20 * time.Millisecond

// proxy has one connection to the service, which all of its clients share.
type proxy struct {
	client *http.Client
	target string
	mixed  int
}

func (p *proxy) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target+path, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// serve forwards one request of alice, and then what bob asks until alice's
// heart has stopped.
func (p *proxy) serve(ctx context.Context) error {
	if _, err := p.get(ctx, "/report?tenant=alice"); err != nil {
		return err
	}
	mixed := false
	for start := time.Now(); time.Since(start) < 4*work; {
		body, err := p.get(ctx, "/balance?tenant=bob")
		if err != nil {
			return err
		}
		mixed = mixed || strings.Contains(body, "alice")
	}
	if mixed {
		p.mixed++
	}
	return nil
}

func start() (drive.Service, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /report", report)
	mux.HandleFunc("GET /balance", balance)
	server := httptest.NewServer(mux)
	front := &proxy{
		client: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}},
		target: server.URL,
	}
	return drive.Service{
		Meter:   drive.NewMeter("visits of bob that were told of alice", func() (int, error) { return front.mixed, nil }),
		Request: front.serve,
		Close:   func() error { server.Close(); return nil },
	}, nil
}

func main() { drive.Main(start) }
