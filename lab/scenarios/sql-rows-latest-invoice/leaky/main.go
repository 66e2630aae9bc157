// Command leaky answers which invoice of a tenant is the latest.
package main

import (
	"context"
	"database/sql"
	"errors"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

var errNoInvoice = errors.New("the tenant has no invoice")

type invoices struct {
	db *sql.DB
}

// latest returns the id of a tenant's latest invoice.
func (s invoices) latest(ctx context.Context, tenant int) (int64, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id FROM invoice WHERE tenant = ? ORDER BY id DESC", tenant) // lab: queried
	if err != nil {
		return 0, err
	}
	if !rows.Next() {
		return 0, errors.Join(errNoInvoice, rows.Err())
	}
	var id int64
	if err := rows.Scan(&id); err != nil {
		return 0, err
	}
	return id, nil
}

func start() (drive.Service, error) {
	db, err := ledger.Open("latest")
	if err != nil {
		return drive.Service{}, err
	}
	service, tenant := invoices{db.DB}, 0
	return drive.Service{
		Meter: drive.NewMeter("connections lent out by the pool", db.InUse),
		Request: func(ctx context.Context) error {
			tenant = (tenant + 1) % ledger.Tenants
			_, err := service.latest(ctx, tenant)
			return err
		},
		// The pool waits for lent connections, which never come back here.
		Close: db.Remove,
	}, nil
}

func main() { drive.Main(start) }
