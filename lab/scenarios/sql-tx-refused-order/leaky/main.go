// Command leaky takes orders on account, unless the tenant owes too much.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

var errCredit = errors.New("the tenant owes too much")

// limit is how much a tenant may owe, in cents.
const limit = 5000

type orders struct {
	db *sql.DB
}

// place books one more invoice for a tenant.
func (s orders) place(ctx context.Context, tenant, cents int) error {
	tx, err := s.db.BeginTx(ctx, nil) // lab: begun
	if err != nil {
		return err
	}
	var owed int
	if err := tx.QueryRow("SELECT sum(cents) FROM invoice WHERE tenant = ? AND paid = 0", tenant).Scan(&owed); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if owed+cents > limit {
		return fmt.Errorf("tenant %d: %w", tenant, errCredit)
	}
	if _, err := tx.Exec("INSERT INTO invoice (tenant, cents, paid) VALUES (?, ?, 0)", tenant, cents); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func start() (drive.Service, error) {
	db, err := ledger.Open("orders")
	if err != nil {
		return drive.Service{}, err
	}
	service, tenant := orders{db.DB}, 0
	return drive.Service{
		Meter: drive.NewMeter("connections lent out by the pool", db.InUse),
		Request: func(ctx context.Context) error {
			tenant = (tenant + 1) % ledger.Tenants
			if err := service.place(ctx, tenant, 100); !errors.Is(err, errCredit) {
				return fmt.Errorf("the order was not refused: %w", err)
			}
			return nil
		},
		// The pool waits for lent connections, which never come back here.
		Close: db.Remove,
	}, nil
}

func main() { drive.Main(start) }
