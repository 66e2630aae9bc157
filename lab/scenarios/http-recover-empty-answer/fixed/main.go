// Command fixed takes payments. A middleware keeps the log readable: it
// recovers what a handler panics with, and logs a line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"residue.example/lab/internal/drive"
)

var logger = log.New(io.Discard, "", log.LstdFlags)

// recovered logs what next panics with.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				logger.Printf("%s: %v", r.URL.Path, v)
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

type payments struct {
	booked map[string]int
}

// pay books a payment. Nobody has made the map.
func (p *payments) pay(w http.ResponseWriter, r *http.Request) {
	p.booked[r.FormValue("order")]++
	fmt.Fprintln(w, "booked")
}

// shop is a client that believes in status codes.
type shop struct {
	client  *http.Client
	target  string
	shipped int
}

func (s *shop) order(ctx context.Context, id int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s?order=%d", s.target, id), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if errors.Is(err, io.EOF) {
		return nil // not paid, not shipped
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		s.shipped++
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func start() (drive.Service, error) {
	backend := new(payments)
	server := httptest.NewServer(recovered(http.HandlerFunc(backend.pay)))
	customer, id := &shop{client: server.Client(), target: server.URL}, 0
	return drive.Service{
		Meter: drive.NewMeter("orders shipped without a payment", func() (int, error) {
			return customer.shipped - len(backend.booked), nil
		}),
		Request: func(ctx context.Context) error {
			id++
			return customer.order(ctx, id)
		},
		Close: func() error { server.Close(); return nil },
	}, nil
}

func main() { drive.Main(start) }
