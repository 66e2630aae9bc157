// Command fixed looks up customers in a cache that must answer in time.
package main

import (
	"context"
	"errors"
	"time"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

var errUnknown = errors.New("unknown customer")

// cache answers from memory, unless its caller has given up.
type cache struct {
	names map[int]string
}

func (c cache) get(ctx context.Context, id int) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	name, ok := c.names[id]
	if !ok {
		return "", errUnknown
	}
	return name, nil
}

type directory struct {
	cache cache
	// life ends with the service.
	life context.Context
}

// customer looks a name up, within a generous limit.
func (d directory) customer(id int) (string, error) {
	ctx, cancel := context.WithTimeout(d.life, 10*time.Minute)
	defer cancel()
	return d.cache.get(ctx, id)
}

func start() (drive.Service, error) {
	life, end := context.WithCancel(context.Background())
	service := directory{cache{map[int]string{7: "Grete Hermann"}}, life}
	return drive.Service{
		Meter: drive.NewMeter("contexts the service's context keeps", func() (int, error) {
			return gauge.Children(life)
		}),
		Request: func(context.Context) error {
			_, err := service.customer(7)
			return err
		},
		Close: func() error { end(); return nil },
	}, nil
}

func main() { drive.Main(start) }
