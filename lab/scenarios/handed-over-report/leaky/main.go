// Command leaky prints reports whose files are handed over through a socket.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

const report = "pages: 3\n"

// received takes one report's descriptor from a socket, and prints the report.
func received(socket int, printer io.Writer) error {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC) // lab: arrived
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return errors.Join(errors.New("not one message"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return errors.Join(errors.New("not one descriptor"), err)
	}
	// Whoever has handed it over may read on: the printer reads by a number of its own.
	fd, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("duplicate: %w", err)
	}
	file := os.NewFile(uintptr(fd), "report")
	defer file.Close()
	_, err = io.Copy(printer, io.NewSectionReader(file, 0, int64(len(report))))
	return err
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-report")
	if err != nil {
		return drive.Service{}, err
	}
	path := filepath.Join(dir, "report")
	if err := os.WriteFile(path, []byte(report), 0o600); err != nil {
		return drive.Service{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return drive.Service{}, err
	}
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return drive.Service{}, errors.Join(err, file.Close())
	}
	rights := unix.UnixRights(int(file.Fd()))
	return drive.Service{
		Meter: drive.NewMeter("descriptors of reports", func() (int, error) {
			return gauge.OpenLinks(path)
		}),
		Request: func(context.Context) error {
			if err := unix.Sendmsg(sockets[0], []byte("r"), rights, nil, 0); err != nil {
				return fmt.Errorf("hand over: %w", err)
			}
			return received(sockets[1], io.Discard)
		},
		Close: func() error {
			return errors.Join(unix.Close(sockets[0]), unix.Close(sockets[1]), file.Close(), os.RemoveAll(dir))
		},
	}, nil
}

func main() { drive.Main(start) }
