// Command leaky asks a backend for its health, as a load balancer does.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/upstream"
)

type prober struct {
	client  *http.Client
	target  string
	healthy bool
}

// probe asks once and remembers the answer.
func (p *prober) probe(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req) // lab: answered
	if err != nil {
		p.healthy = false
		return err
	}
	p.healthy = resp.StatusCode == http.StatusOK
	if !p.healthy {
		return fmt.Errorf("%s: %s", p.target, resp.Status)
	}
	return nil
}

func start() (drive.Service, error) {
	// Longer than a transport buffers, so that an unread answer keeps its
	// connection busy.
	report := strings.Repeat("queue=ok disk=ok peers=ok\n", 4096)
	backend := upstream.NewHTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, report)
	}))
	p := &prober{
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
		target: backend.URL + "/healthz",
	}
	return drive.Service{
		Meter:   drive.NewMeter("connections to the backend", backend.Connections),
		Request: p.probe,
		Close:   backend.Stop,
	}, nil
}

func main() { drive.Main(start) }
