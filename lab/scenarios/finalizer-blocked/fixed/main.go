// Command fixed hands out leases of a directory. Clients that forget to give
// theirs back are caught by a finalizer, which reports them before it closes.
package main

import (
	"context"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// lost tells which leases were forgotten. Somebody was to read it one day.
var lost = make(chan int)

type lease struct{ fd int }

func newLease(dir string) (*lease, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	l := &lease{fd: fd}
	runtime.SetFinalizer(l, forgotten)
	return l, nil
}

// forgotten reports a lease and closes it.
func forgotten(l *lease) {
	select {
	case lost <- l.fd:
	default: // nobody listens
	}
	unix.Close(l.fd)
}

// touch uses a lease.
func (l *lease) touch() error { return unix.Fsync(l.fd) }

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-leases")
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter: drive.NewMeter("open leases", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			l, err := newLease(dir)
			if err != nil {
				return err
			}
			return l.touch()
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
