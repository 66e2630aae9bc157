// Command fixed keeps a session log for each client and checks, before it
// does, that the disk is writable.
package main

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
)

// directory is a raw descriptor of a directory.
type directory struct {
	fd int
}

// openDirectory opens path.
func openDirectory(path string) (*directory, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &directory{fd}, nil
}

func (d *directory) close() error { return unix.Close(d.fd) }

// sync makes the directory's entries durable.
func (d *directory) sync() error { return unix.Fsync(d.fd) }

// clients is how many there are at once, at most.
const clients = 64

type sessions struct {
	path string
	logs []*os.File
}

// open starts the log of one more client.
func (s *sessions) open() error {
	dir, err := openDirectory(s.path)
	if err != nil {
		return err
	}
	err = dir.sync()
	dir.close()
	if err != nil {
		return err
	}
	// It gets the number that the directory had.
	log, err := os.CreateTemp(s.path, "session-*.log")
	if err != nil {
		return err
	}
	s.logs = append(s.logs, log)
	s.end(clients)
	return nil
}

// end ends the oldest sessions until no more than most are left.
func (s *sessions) end(most int) {
	for len(s.logs) > most {
		s.logs[0].Close()
		s.logs = s.logs[1:]
	}
}

// lost counts the logs whose descriptor was closed behind their back.
func (s *sessions) lost() (int, error) {
	n := 0
	for _, log := range s.logs {
		if _, err := log.Stat(); err != nil {
			n++
		}
	}
	return n, nil
}

func start() (drive.Service, error) {
	path, err := os.MkdirTemp("", "lab-sessions")
	if err != nil {
		return drive.Service{}, err
	}
	service := &sessions{path: path}
	return drive.Service{
		Meter:   drive.NewMeter("session logs closed by a stranger", service.lost),
		Request: func(context.Context) error { return service.open() },
		Close: func() error {
			service.end(0)
			return os.RemoveAll(path)
		},
	}, nil
}

func main() { drive.Main(start) }
