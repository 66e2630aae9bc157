// Command fixed sums what each tenant owes, for the monthly reminder.
package main

import (
	"context"
	"database/sql"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

// reminder sums debts. Its progress function is called after each tenant.
type reminder struct {
	db       *sql.DB
	progress func() error
}

// debts returns what each tenant owes, in cents.
func (r reminder) debts(ctx context.Context, tenants int) ([]int64, error) {
	debts := make([]int64, tenants)
	for tenant := range tenants {
		debt, err := r.debt(ctx, tenant)
		if err != nil {
			return nil, err
		}
		debts[tenant] = debt
		if err := r.progress(); err != nil {
			return nil, err
		}
	}
	return debts, nil
}

// debt sums the oldest three open invoices of one tenant.
func (r reminder) debt(ctx context.Context, tenant int) (int64, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT cents FROM invoice WHERE tenant = ? AND paid = 0", tenant)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var debt int64
	for range 3 {
		var cents int64
		if !rows.Next() {
			break
		}
		if err := rows.Scan(&cents); err != nil {
			return 0, err
		}
		debt += cents
	}
	return debt, rows.Err()
}

func start() (drive.Service, error) {
	db, err := ledger.Open("reminder")
	if err != nil {
		return drive.Service{}, err
	}
	meter := drive.NewMeter("connections lent out by the pool", db.InUse)
	service := reminder{db: db.DB, progress: meter.Sample}
	return drive.Service{
		Meter: meter,
		Request: func(ctx context.Context) error {
			_, err := service.debts(ctx, ledger.Tenants)
			return err
		},
		Close: db.Close,
	}, nil
}

func main() { drive.Main(start) }
