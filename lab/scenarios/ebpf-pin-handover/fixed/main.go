// Command fixed hands each job's verdicts to a helper, which finds them in a
// map pinned under the job's name.
package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/kernel"
)

const mapName = "lab_verdicts"

// handOver puts the verdicts where the helper looks for them, and waits until
// it has read them.
func handOver(path string, verdicts map[uint32]uint32) error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: mapName, Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 64,
	})
	if err != nil {
		return fmt.Errorf("verdicts map: %w", err)
	}
	defer m.Close()
	for address, verdict := range verdicts {
		if err := m.Put(address, verdict); err != nil {
			return err
		}
	}
	if err := m.Pin(path); err != nil {
		return err
	}
	defer m.Unpin()
	return help(path, len(verdicts))
}

// help is the helper's work; in production another process does it.
func help(path string, want int) error {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return fmt.Errorf("helper: %w", err)
	}
	defer m.Close()
	n := 0
	var address, verdict uint32
	it := m.Iterate()
	for it.Next(&address, &verdict) {
		n++
	}
	if n != want {
		return fmt.Errorf("helper: %d verdicts, want %d", n, want)
	}
	return it.Err()
}

func start() (drive.Service, error) {
	dir, remove, err := kernel.FileSystem()
	if err != nil {
		return drive.Service{}, err
	}
	job := 0
	return drive.Service{
		// Every descriptor is closed: what is counted is what the kernel keeps.
		Meter: drive.NewMeter("maps in the kernel", func() (int, error) { return kernel.Maps(mapName) }),
		Request: func(context.Context) error {
			job++
			return handOver(filepath.Join(dir, fmt.Sprint("job-", job)), map[uint32]uint32{0x0a000001: 1, 0x0a000002: 0})
		},
		Close: remove,
	}, nil
}

func main() { drive.Main(start) }
