// Command fixed takes documents into a spool. A document that can't be read
// must not stop the others, so each job is recovered.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

type spool struct {
	lock  string
	pages int
}

// pages counts the pages of a document; its header says how many there are.
func pages(document []byte) int {
	return len(document) / int(document[0])
}

// store takes a document in, under the spool's lock.
func (s *spool) store(document []byte) error {
	fd, err := unix.Open(s.lock, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("open lock: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Flock(fd, unix.LOCK_SH); err != nil {
		return err
	}
	s.pages += pages(document)
	return nil
}

// job stores one document, whatever comes of it.
func (s *spool) job(document []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("document: %v", v)
		}
	}()
	return s.store(document)
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-spool")
	if err != nil {
		return drive.Service{}, err
	}
	s := &spool{lock: filepath.Join(dir, "lock")}
	return drive.Service{
		Meter: drive.NewMeter("locks held", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			if err := s.job([]byte{0, 1}); err == nil {
				return errors.New("the document was understood")
			}
			return nil
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
