// Command fixed writes a receipt for each client, after it has read the
// template from a descriptor that it opened without following links.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
)

// template reads a file that must not be a link.
func template(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// From here on the descriptor is the file's.
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	return io.ReadAll(f)
}

// waiting is how many receipts wait for their clients, at most.
const waiting = 64

type receipts struct {
	dir  string
	open []*os.File
}

// write makes one more receipt.
func (r *receipts) write() error {
	text, err := template(filepath.Join(r.dir, "template"))
	if err != nil {
		return err
	}
	// It gets the number that the template had.
	f, err := os.CreateTemp(r.dir, "receipt-*.txt")
	if err != nil {
		return err
	}
	r.open = append(r.open, f)
	r.handOut(waiting)
	_, err = f.Write(text)
	return err
}

// handOut hands out the oldest receipts until no more than most wait.
func (r *receipts) handOut(most int) {
	for len(r.open) > most {
		r.open[0].Close()
		r.open = r.open[1:]
	}
}

// lost counts the receipts whose descriptor was closed behind their back.
func (r *receipts) lost() (int, error) {
	n := 0
	for _, f := range r.open {
		if _, err := f.Stat(); err != nil {
			n++
		}
	}
	return n, nil
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-receipts")
	if err != nil {
		return drive.Service{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "template"), []byte("Thank you\n"), 0o600); err != nil {
		return drive.Service{}, errors.Join(err, os.RemoveAll(dir))
	}
	service := &receipts{dir: dir}
	return drive.Service{
		Meter:   drive.NewMeter("receipts closed by a stranger", service.lost),
		Request: func(context.Context) error { return service.write() },
		Close: func() error {
			service.handOut(0)
			return os.RemoveAll(dir)
		},
	}, nil
}

func main() { drive.Main(start) }
