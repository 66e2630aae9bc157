// Command leaky spools mail: a spool knows its writer, and the writer knows the
// spool it belongs to.
package main

import (
	"context"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

type spool struct {
	fd     int
	writer *writer
}

type writer struct {
	spool   *spool
	pending []byte
}

// openSpool opens a directory for a message. Callers forget to close it now and
// then, so a finalizer does.
func openSpool(dir string) (*spool, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s := &spool{fd: fd}
	s.writer = &writer{spool: s}
	runtime.SetFinalizer(s, func(s *spool) { unix.Close(s.fd) })
	runtime.SetFinalizer(s.writer, func(w *writer) { w.pending = nil })
	return s, nil
}

// deliver takes one message.
func (s *spool) deliver(message string) error {
	s.writer.pending = append(s.writer.pending, message...)
	return unix.Fsync(s.fd)
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-spool")
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter: drive.NewMeter("open spools", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			s, err := openSpool(dir)
			if err != nil {
				return err
			}
			return s.deliver("Received: from mx.shop.example\r\n")
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
