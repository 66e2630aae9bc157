// Command leaky checks the data base's integrity on a connection of its own,
// because the setting it needs is the session's.
package main

import (
	"context"
	"database/sql"
	"fmt"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/ledger"
)

// intact runs the data base's own check.
func intact(ctx context.Context, db *sql.DB) error {
	session, err := db.Conn(ctx) // lab: taken
	if err != nil {
		return err
	}
	if _, err := session.ExecContext(ctx, "PRAGMA cell_size_check = ON"); err != nil {
		return err
	}
	var verdict string
	if err := session.QueryRowContext(ctx, "PRAGMA quick_check").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("integrity: %s", verdict)
	}
	return nil
}

func start() (drive.Service, error) {
	db, err := ledger.Open("integrity")
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter:   drive.NewMeter("connections lent out by the pool", db.InUse),
		Request: func(ctx context.Context) error { return intact(ctx, db.DB) },
		Close:   db.Close,
	}, nil
}

func main() { drive.Main(start) }
