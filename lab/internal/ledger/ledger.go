// Package ledger opens the SQL data base that the lab's services share: tenants
// with their invoices, in a file, behind a driver that counts statements. As with
// any other data base, each connection is a descriptor.
package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Tenants is the number of tenants in a new ledger.
const Tenants = 24

const invoicesPerTenant = 20

// DB is a ledger.
type DB struct {
	*sql.DB
	dir        string
	statements atomic.Int64
}

// Open makes a ledger of that name.
func Open(name string) (*DB, error) {
	dir, err := os.MkdirTemp("", "lab-ledger-")
	if err != nil {
		return nil, err
	}
	db := &DB{dir: dir}
	db.DB = sql.OpenDB(connector{
		// Readers that never end don't keep others from writing.
		dsn:        "file:" + filepath.Join(dir, name+".db") + "?_pragma=journal_mode(wal)&_pragma=synchronous(off)",
		statements: &db.statements,
	})
	db.SetMaxIdleConns(4)
	if err := db.fill(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close closes the connections, which waits for those that are lent out, and
// removes the file.
func (db *DB) Close() error {
	return errors.Join(db.DB.Close(), db.Remove())
}

// Remove removes the file. Connections go on.
func (db *DB) Remove() error {
	return os.RemoveAll(db.dir)
}

func (db *DB) fill() (err error) {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if _, err := tx.Exec(`CREATE TABLE invoice (
		id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, cents INTEGER NOT NULL, paid INTEGER NOT NULL)`); err != nil {
		return err
	}
	for tenant := range Tenants {
		for i := range invoicesPerTenant {
			if _, err := tx.Exec("INSERT INTO invoice (tenant, cents, paid) VALUES (?, ?, ?)",
				tenant, 1000+i, i%2); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// InUse counts the pool's connections that are lent out.
func (db *DB) InUse() (int, error) {
	return db.Stats().InUse, nil
}

// Statements counts the prepared statements that the data base still holds.
func (db *DB) Statements() (int, error) {
	return int(db.statements.Load()), nil
}

// connector opens counted connections.
type connector struct {
	dsn        string
	statements *atomic.Int64
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c.statements}, nil
}

func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

// countedConn hides the driver's optional interfaces, so that every statement
// goes through Prepare and is counted.
type countedConn struct {
	driver.Conn
	statements *atomic.Int64
}

func (c countedConn) Prepare(query string) (driver.Stmt, error) {
	stmt, err := c.Conn.Prepare(query)
	if err != nil {
		return nil, err
	}
	c.statements.Add(1)
	return countedStmt{stmt, c.statements}, nil
}

type countedStmt struct {
	driver.Stmt
	statements *atomic.Int64
}

func (s countedStmt) Close() error {
	s.statements.Add(-1)
	return s.Stmt.Close()
}
