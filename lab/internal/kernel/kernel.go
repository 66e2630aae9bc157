// Package kernel counts the eBPF objects of the running kernel.
package kernel

import (
	"errors"
	"os"

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
