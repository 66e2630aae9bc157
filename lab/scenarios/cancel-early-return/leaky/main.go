// Command leaky places orders: it reserves the goods and charges the card,
// with one deadline for both.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

var errSoldOut = errors.New("sold out")

type warehouse struct{ stock map[string]int }

func (w warehouse) reserve(ctx context.Context, item string) error {
	if w.stock[item] == 0 {
		return fmt.Errorf("%s: %w", item, errSoldOut)
	}
	return ctx.Err()
}

type cards struct{}

func (cards) charge(ctx context.Context, cents int) error { return ctx.Err() }

type shop struct {
	warehouse warehouse
	cards     cards
	// life ends with the service.
	life context.Context
}

// order reserves, charges, and lets the deadline go.
func (s shop) order(item string, cents int) error {
	deadline := time.Now().Add(10 * time.Minute)
	ctx, cancel := context.WithDeadlineCause(s.life, deadline, errors.New("the customer has left")) // lab: derived
	if err := s.warehouse.reserve(ctx, item); err != nil {
		return err
	}
	if err := s.cards.charge(ctx, cents); err != nil {
		cancel()
		return err
	}
	cancel()
	return nil
}

func start() (drive.Service, error) {
	life, end := context.WithCancel(context.Background())
	service := shop{warehouse{map[string]int{"lamp": 3}}, cards{}, life}
	return drive.Service{
		Meter: drive.NewMeter("contexts the service's context keeps", func() (int, error) {
			return gauge.Children(life)
		}),
		Request: func(context.Context) error {
			// A sold out item is an ordinary answer.
			if err := service.order("chair", 4900); !errors.Is(err, errSoldOut) {
				return err
			}
			return service.order("lamp", 2900)
		},
		Close: func() error { end(); return nil },
	}, nil
}

func main() { drive.Main(start) }
