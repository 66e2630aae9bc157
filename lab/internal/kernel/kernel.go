// Package kernel counts the eBPF objects of the running kernel, and mounts a
// file system for pins.
package kernel

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Maps counts the maps of that name in the whole kernel, not only those this
// process has a descriptor of.
func Maps(name string) (int, error) {
	n := 0
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		id = next
		m, err := ebpf.NewMapFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // gone since it was listed
		}
		if err != nil {
			return 0, err
		}
		info, err := m.Info()
		m.Close()
		if err != nil {
			return 0, err
		}
		if info.Name == name {
			n++
		}
	}
}

// FileSystem mounts a bpf file system of its own. When it is removed, all pins
// in it go.
func FileSystem() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "lab-bpf-")
	if err != nil {
		return "", nil, err
	}
	if err := syscall.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		os.Remove(dir)
		return "", nil, fmt.Errorf("bpf file system: %w", err)
	}
	return dir, func() error {
		return errors.Join(syscall.Unmount(dir, syscall.MNT_DETACH), os.Remove(dir))
	}, nil
}

// Programs counts the programs of that name in the whole kernel.
func Programs(name string) (int, error) {
	n := 0
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // gone since it was listed
		}
		if err != nil {
			return 0, err
		}
		info, err := p.Info()
		p.Close()
		if err != nil {
			return 0, err
		}
		if info.Name == name {
			n++
		}
	}
}

// Links counts the links of one program in the whole kernel.
func Links(program ebpf.ProgramID) (int, error) {
	it := new(link.Iterator)
	defer it.Close()
	n := 0
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil {
			return 0, err
		}
		if info.Program == program {
			n++
		}
	}
	return n, it.Err()
}
