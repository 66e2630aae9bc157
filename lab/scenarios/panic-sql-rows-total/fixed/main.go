// Command fixed answers how much a tenant owes, in the unit that the client
// asks for.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

type invoices struct {
	db *sql.DB
}

// in converts an amount.
func in(unit string, cents int64) int64 {
	switch unit {
	case "cent":
		return cents
	case "euro":
		return cents / 100
	}
	panic("unknown unit " + unit)
}

// total answers with the sum of a tenant's invoices. A unit that nobody knows
// makes it panic; net/http recovers that and serves on.
func (s invoices) total(w http.ResponseWriter, r *http.Request) {
	rows, err := s.db.Query("SELECT cents FROM invoice WHERE tenant = ?", r.FormValue("tenant"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer rows.Close()
	var sum, cents int64
	for rows.Next() {
		if err = rows.Scan(&cents); err != nil {
			break
		}
		sum += in(r.FormValue("unit"), cents)
	}
	if err := errors.Join(err, rows.Err()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, sum)
}

func start() (drive.Service, error) {
	db, err := ledger.Open("total")
	if err != nil {
		return drive.Service{}, err
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(invoices{db.DB}.total))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	// A connection that is used once: a client repeats what fails on one that
	// it has used before.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return drive.Service{
		Meter: drive.NewMeter("connections lent out by the pool", db.InUse),
		Request: func(ctx context.Context) error {
			return ask(ctx, client, server.URL+"?tenant=1&unit=dollar")
		},
		// The pool waits for lent connections, which never come back here.
		Close: func() error { server.Close(); return db.Remove() },
	}, nil
}

// ask is a client that the server hangs up on.
func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return fmt.Errorf("answered with %s", resp.Status)
}

func main() { drive.Main(start) }
