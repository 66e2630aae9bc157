// Command leaky asks the kernel to tell when a certificate's directory
// changes.
package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// rotated tells whether something was written to dir since it was last armed.
// The check is made without waiting.
func rotated(dir string) (bool, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK) // lab: initialised
	if err != nil {
		return false, fmt.Errorf("inotify: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO); err != nil {
		return false, fmt.Errorf("watch %s: %w", dir, err)
	}
	events := make([]byte, unix.SizeofInotifyEvent+unix.NAME_MAX+1)
	n, err := unix.Read(fd, events)
	if err == unix.EAGAIN {
		return false, nil
	}
	return n > 0, err
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-certificates")
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter: drive.NewMeter("inotify descriptors", func() (int, error) {
			return gauge.OpenLinks("anon_inode:inotify")
		}),
		Request: func(context.Context) error {
			_, err := rotated(dir)
			return err
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
