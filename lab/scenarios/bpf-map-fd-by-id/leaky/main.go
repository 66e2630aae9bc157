// Command leaky looks for a map by its name, with the bpf system call made by
// hand: an agent that links no library.
package main

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// Commands of the bpf system call.
const (
	mapGetNextID    = 12
	mapGetFDByID    = 14
	objGetInfoByFD  = 15
	watched         = "lab_quota"
	mapInfoNameAt   = 24
	mapInfoNameSize = 16
)

var errNoMap = errors.New("no such map")

// bpf makes the system call. For commands that give one, the result is a
// descriptor: a number, which nothing closes but a call.
func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (uintptr, error) {
	result, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
	if errno != 0 {
		return 0, errno
	}
	return result, nil
}

// byName returns the id of the map with that name.
func byName(name string) (uint32, error) {
	for id := uint32(0); ; {
		next := struct{ start, next, flags uint32 }{start: id}
		if _, err := bpf(mapGetNextID, unsafe.Pointer(&next), unsafe.Sizeof(next)); err != nil {
			return 0, fmt.Errorf("%s: %w", name, errors.Join(errNoMap, err))
		}
		id = next.next
		get := struct{ id, next, flags uint32 }{id: id}
		fd, _, errno := unix.Syscall(unix.SYS_BPF, mapGetFDByID, uintptr(unsafe.Pointer(&get)), unsafe.Sizeof(get)) // lab: got
		if errno != 0 {
			continue // gone since it was listed
		}
		found, err := nameOf(int(fd))
		if err != nil {
			unix.Close(int(fd))
			return 0, err
		}
		if found == name {
			return id, nil
		}
		unix.Close(int(fd))
	}
}

// nameOf asks the kernel for the name of the map behind a descriptor.
func nameOf(fd int) (string, error) {
	info := new([256]byte)
	attr := struct {
		fd, length uint32
		info       uint64
	}{uint32(fd), uint32(len(info)), uint64(uintptr(unsafe.Pointer(info)))}
	if _, err := bpf(objGetInfoByFD, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(info[mapInfoNameAt : mapInfoNameAt+mapInfoNameSize]), nil
}

func start() (drive.Service, error) {
	// In production another program makes it.
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: watched, Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	if err != nil {
		return drive.Service{}, fmt.Errorf("map: %w", err)
	}
	return drive.Service{
		Meter: drive.NewMeter("descriptors of maps", func() (int, error) {
			return gauge.OpenLinks("anon_inode:bpf-map")
		}),
		Request: func(context.Context) error {
			_, err := byName(watched)
			return err
		},
		Close: m.Close,
	}, nil
}

func main() { drive.Main(start) }
