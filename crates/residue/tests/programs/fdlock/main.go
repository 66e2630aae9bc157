// Command fdlock tries a lock that somebody else has, again and again, as a job does that must not run twice.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// run does the job if nobody else does.
func run(path string) error {
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err != nil || !locked {
		return err
	}
	return lock.Unlock()
}

func main() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("fdlock-%d", os.Getpid()))
	defer os.Remove(path)
	held := flock.New(path)
	if locked, err := held.TryLock(); err != nil || !locked {
		fmt.Fprintln(os.Stderr, "not locked:", err)
		os.Exit(1)
	}
	for range 50 {
		if err := run(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	held.Unlock()
}
