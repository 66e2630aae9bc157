// Command leaky reports what a tenant owes, from one consistent view.
package main

import (
	"context"
	"database/sql"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

type balance struct {
	Invoices, OpenCents int64
}

type reports struct {
	db *sql.DB
}

// balance reads both figures in one transaction.
func (r reports) balance(ctx context.Context, tenant int) (balance, error) {
	tx, err := r.db.BeginTx(ctx, nil) // lab: begun
	if err != nil {
		return balance{}, err
	}
	var b balance
	row := tx.QueryRowContext(ctx, "SELECT count(*) FROM invoice WHERE tenant = ?", tenant)
	if err := row.Scan(&b.Invoices); err != nil {
		return balance{}, err
	}
	row = tx.QueryRowContext(ctx, "SELECT sum(cents) FROM invoice WHERE tenant = ? AND paid = 0", tenant)
	if err := row.Scan(&b.OpenCents); err != nil {
		return balance{}, err
	}
	return b, nil
}

func start() (drive.Service, error) {
	db, err := ledger.Open("reports")
	if err != nil {
		return drive.Service{}, err
	}
	service, tenant := reports{db.DB}, 0
	return drive.Service{
		Meter: drive.NewMeter("connections lent out by the pool", db.InUse),
		Request: func(ctx context.Context) error {
			tenant = (tenant + 1) % ledger.Tenants
			_, err := service.balance(ctx, tenant)
			return err
		},
		// The pool waits for lent connections, which never come back here.
		Close: db.Remove,
	}, nil
}

func main() { drive.Main(start) }
