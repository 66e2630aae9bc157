// Command leaky exports a price list. Its middleware answers panics with 500,
// whatever was written before.
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

// recovered answers what next panics with.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil { // lab: recovered
				logger.Printf("%s: %v", r.URL.Path, v)
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

type product struct {
	name  string
	price *int
}

type catalogue []product

// export writes a line for each product. The first line is what commits the
// answer: from then on it is a 200, and a status that comes later is dropped.
func (c catalogue) export(w http.ResponseWriter, _ *http.Request) {
	for _, p := range c {
		fmt.Fprintf(w, "%s %d\n", p.name, *p.price)
	}
}

// partner is a client that imports what it gets with a 200.
type partner struct {
	client *http.Client
	target string
	wrong  int
}

func (p *partner) importAll(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if errors.Is(err, io.EOF) {
		return nil // no list is better than half a list
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode == http.StatusOK {
		p.wrong++
	}
	return nil
}

func start() (drive.Service, error) {
	price := 100
	products := catalogue{{"apple", &price}, {"pear", nil}}
	server := httptest.NewUnstartedServer(recovered(http.HandlerFunc(products.export)))
	server.Config.ErrorLog = logger
	server.Start()
	customer := &partner{client: server.Client(), target: server.URL}
	return drive.Service{
		Meter:   drive.NewMeter("half lists imported", func() (int, error) { return customer.wrong, nil }),
		Request: customer.importAll,
		Close:   func() error { server.Close(); return nil },
	}, nil
}

func main() { drive.Main(start) }
