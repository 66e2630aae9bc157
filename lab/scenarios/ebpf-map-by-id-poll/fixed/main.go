// Command fixed exports how full another program's map is. It finds the map
// by its id, as a metrics agent does.
package main

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// entries counts what the map with that id holds.
func entries(id ebpf.MapID) (int, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return 0, fmt.Errorf("map %d: %w", id, err)
	}
	n := 0
	var key uint32
	var packets uint64
	for it := m.Iterate(); it.Next(&key, &packets); {
		n++
	}
	return n, m.Close()
}

// sessions makes the map that is watched; in production another program does.
func sessions() (*ebpf.Map, ebpf.MapID, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "lab_sessions", Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("sessions map: %w", err)
	}
	info, err := m.Info()
	if err != nil {
		m.Close()
		return nil, 0, err
	}
	id, ok := info.ID()
	if !ok {
		m.Close()
		return nil, 0, fmt.Errorf("sessions map has no id: %w", ebpf.ErrNotSupported)
	}
	return m, id, nil
}

func start() (drive.Service, error) {
	m, id, err := sessions()
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		// Many descriptors, one map: N gets cost N files, not N maps.
		Meter: drive.NewMeter("descriptors of maps", func() (int, error) {
			return gauge.OpenLinks("anon_inode:bpf-map")
		}),
		Request: func(context.Context) error {
			_, err := entries(id)
			return err
		},
		Close: m.Close,
	}, nil
}

func main() { drive.Main(start) }
