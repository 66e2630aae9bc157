// Command leaky marks invoices as paid, as payments come in.
package main

import (
	"context"
	"database/sql"
	"fmt"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

type payments struct {
	db *sql.DB
}

// settle marks one invoice as paid.
func (p payments) settle(ctx context.Context, invoice int) error {
	mark, err := p.db.PrepareContext(ctx, "UPDATE invoice SET paid = 1 WHERE id = ?") // lab: prepared
	if err != nil {
		return err
	}
	result, err := mark.ExecContext(ctx, invoice)
	if err != nil {
		return err
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if changed != 1 {
		return fmt.Errorf("invoice %d: %d rows changed", invoice, changed)
	}
	return nil
}

func start() (drive.Service, error) {
	db, err := ledger.Open("payments")
	if err != nil {
		return drive.Service{}, err
	}
	service, paid := payments{db.DB}, 0
	return drive.Service{
		Meter: drive.NewMeter("prepared statements in the data base", db.Statements),
		Request: func(ctx context.Context) error {
			paid++
			return service.settle(ctx, paid)
		},
		Close: db.Close,
	}, nil
}

func main() { drive.Main(start) }
