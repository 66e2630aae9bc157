// Command leaky keeps a session log for each client and asks, before it does,
// how full the disk is.
package main

import (
	"context"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
)

// volume is a raw descriptor of a mount point.
type volume struct {
	fd   int
	path string
}

// openVolume opens path. A cleanup closes what callers forget to close.
func openVolume(path string) (*volume, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	v := &volume{fd: fd, path: path}
	runtime.AddCleanup(v, func(fd int) { unix.Close(fd) }, fd) // lab: armed
	return v, nil
}

// Close closes the volume. That the field is -1 from now on would help against
// a finalizer; the cleanup has the number itself.
func (v *volume) Close() error {
	if v.fd < 0 {
		return os.ErrClosed
	}
	fd := v.fd
	v.fd = -1
	return unix.Close(fd)
}

// free returns how many bytes are left.
func (v *volume) free() (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(v.fd, &stat); err != nil {
		return 0, err
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

// clients is how many there are at once, at most.
const clients = 64

type sessions struct {
	path string
	logs []*os.File
}

// open starts the log of one more client.
func (s *sessions) open() error {
	volume, err := openVolume(s.path)
	if err != nil {
		return err
	}
	_, err = volume.free()
	volume.Close()
	if err != nil {
		return err
	}
	// It gets the number that the volume had.
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
