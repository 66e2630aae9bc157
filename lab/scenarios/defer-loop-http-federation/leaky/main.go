// Command leaky merges the metrics of many targets, as a federating
// Prometheus does.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/upstream"
)

// targets is how many endpoints one round visits.
const targets = 16

// federator reads targets. Its progress function is called after each one.
type federator struct {
	client   *http.Client
	progress func() error
}

// round reads every target's metrics into out.
func (f federator) round(ctx context.Context, urls []string, out io.Writer) error {
	for _, target := range urls {
		resp, err := f.get(ctx, target)
		if err != nil {
			return err
		}
		defer resp.Body.Close() // lab: deferred
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", target, resp.Status)
		}
		// The head holds the counters; the rest is not federated.
		if _, err := io.CopyN(out, resp.Body, 4096); err != nil {
			return err
		}
		if err := f.progress(); err != nil {
			return err
		}
	}
	return nil
}

func (f federator) get(ctx context.Context, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	return f.client.Do(req)
}

func start() (drive.Service, error) {
	registry := prometheus.NewRegistry()
	orders := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "shop_orders_total", Help: "Orders taken.",
	}, []string{"branch"})
	if err := registry.Register(orders); err != nil {
		return drive.Service{}, err
	}
	for branch := range 500 {
		orders.WithLabelValues("branch-" + strconv.Itoa(branch)).Add(float64(branch))
	}
	backend := upstream.NewHTTP(promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}))
	var urls []string
	for shard := range targets {
		urls = append(urls, backend.URL+"/metrics?"+url.Values{"shard": {strconv.Itoa(shard)}}.Encode())
	}
	meter := drive.NewMeter("connections to the targets", backend.Connections)
	service := federator{
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
		progress: meter.Sample,
	}
	return drive.Service{
		Meter:   meter,
		Request: func(ctx context.Context) error { return service.round(ctx, urls, io.Discard) },
		Close:   backend.Stop,
	}, nil
}

func main() { drive.Main(start) }
