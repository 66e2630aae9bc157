// Command fixed exports the machine's load average to Prometheus.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// loadCollector reads the load average anew at each scrape.
type loadCollector struct {
	path string
	desc *prometheus.Desc
}

func newLoadCollector(path string) *loadCollector {
	return &loadCollector{path, prometheus.NewDesc("node_load1", "Load average of one minute.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (c *loadCollector) Describe(descs chan<- *prometheus.Desc) { descs <- c.desc }

// Collect implements prometheus.Collector.
func (c *loadCollector) Collect(metrics chan<- prometheus.Metric) {
	load, err := c.read()
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(c.desc, err)
		return
	}
	metrics <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, load)
}

func (c *loadCollector) read() (float64, error) {
	f, err := os.Open(c.path)
	if err != nil {
		return 0, err
	}
	line := make([]byte, 64)
	n, err := f.Read(line)
	f.Close()
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(line[:n]), " ")
	return strconv.ParseFloat(first, 64)
}

func start() (drive.Service, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(newLoadCollector("/proc/loadavg")); err != nil {
		return drive.Service{}, err
	}
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
	return drive.Service{
		Meter: drive.NewMeter("open load average files", func() (int, error) {
			return gauge.OpenLinks("/proc/loadavg")
		}),
		Request: func(ctx context.Context) error {
			scrape := httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", http.NoBody)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, scrape)
			if answer.Code != http.StatusOK {
				return fmt.Errorf("scrape: %d %s", answer.Code, answer.Body)
			}
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
