// Command leaky fetches exchange rates before each quote.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/upstream"
)

// rates are units of a currency for one euro.
type rates map[string]float64

type quoter struct {
	client *http.Client
	source string
}

// fetch asks the bank for today's rates.
func (q quoter) fetch() (rates, error) {
	resp, err := q.client.Get(q.source) // lab: answered
	if err != nil {
		return nil, fmt.Errorf("rates: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("rates: %s", resp.Status)
	}
	today := rates{}
	if err := json.NewDecoder(resp.Body).Decode(&today); err != nil {
		return nil, fmt.Errorf("rates: %w", err)
	}
	return today, nil
}

// quote converts a price in euro cents.
func (q quoter) quote(cents int64, currency string) (int64, error) {
	today, err := q.fetch()
	if err != nil {
		return 0, err
	}
	rate, ok := today[currency]
	if !ok {
		return 0, fmt.Errorf("no rate for %s", currency)
	}
	return int64(math.Round(float64(cents) * rate)), nil
}

func start() (drive.Service, error) {
	// The padding is what a real list of rates adds: the decoder stops at the
	// closing brace and leaves the rest of the answer unread.
	list := `{"SEK": 11.03, "PLN": 4.26}` + strings.Repeat("\n", 1<<20)
	bank := upstream.NewHTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, list)
	}))
	service := quoter{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}, bank.URL + "/rates"}
	return drive.Service{
		Meter: drive.NewMeter("connections to the bank", bank.Connections),
		Request: func(context.Context) error {
			_, err := service.quote(4900, "SEK")
			return err
		},
		Close: bank.Stop,
	}, nil
}

func main() { drive.Main(start) }
