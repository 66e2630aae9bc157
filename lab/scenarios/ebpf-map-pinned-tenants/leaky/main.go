// Command leaky counts requests for each tenant in a kernel map of its own,
// pinned so that a restart finds it again.
package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/kernel"
)

const mapName = "lab_tenant"

type tenant struct {
	name     string
	requests *ebpf.Map
}

// tenants are found by name while they are customers.
var tenants = map[string]*tenant{}

func arrive(name, path string) (*tenant, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{ // lab: opened
		Name:       mapName,
		Type:       ebpf.Array,
		KeySize:    4,
		ValueSize:  8,
		MaxEntries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("tenant map: %w", err)
	}
	t := &tenant{name: name, requests: m}
	tenants[name] = t
	if err := m.Pin(path); err != nil {
		return nil, err
	}
	info, err := m.Info()
	if err != nil {
		return nil, err
	}
	id, _ := info.ID()
	fmt.Printf("tenant path=%s map=%d fd=%d object=%p\n", path, id, m.FD(), m)
	return t, nil
}

// leave ends a tenant's time, and tells how many requests there were.
func (t *tenant) leave() (uint64, error) {
	var requests uint64
	err := t.requests.Lookup(uint32(0), &requests)
	return requests, err
}

func start() (drive.Service, error) {
	dir, remove, err := kernel.FileSystem()
	if err != nil {
		return drive.Service{}, err
	}
	next := 0
	return drive.Service{
		Meter: drive.NewMeter("maps in the kernel", func() (int, error) { return kernel.Maps(mapName) }),
		Request: func(context.Context) error {
			next++
			name := fmt.Sprint("tenant-", next)
			t, err := arrive(name, filepath.Join(dir, name))
			if err != nil {
				return err
			}
			_, err = t.leave()
			return err
		},
		Close: remove,
	}, nil
}

func main() { drive.Main(start) }
