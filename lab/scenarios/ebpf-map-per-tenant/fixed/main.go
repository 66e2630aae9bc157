// Command fixed tries a tenant's rate limits in a kernel map before they
// go live.
package main

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/kernel"
)

const mapName = "lab_limits"

// limits is what the data path looks up, in packets a second.
type limits map[uint32]uint64

// accepts tells whether the kernel takes these limits and gives them back.
func accepts(l limits) error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name:       mapName,
		Type:       ebpf.Hash,
		KeySize:    4,
		ValueSize:  8,
		MaxEntries: 64,
	})
	if err != nil {
		return fmt.Errorf("limits map: %w", err)
	}
	defer m.Close()
	for address, rate := range l {
		if err := m.Put(address, rate); err != nil {
			return err
		}
		var got uint64
		if err := m.Lookup(address, &got); err != nil {
			return err
		}
		if got != rate {
			return fmt.Errorf("limit of %#x: put %d, got %d", address, rate, got)
		}
	}
	return nil
}

func start() (drive.Service, error) {
	tenant := limits{0x0a000001: 5000, 0x0a000002: 800}
	return drive.Service{
		Meter:   drive.NewMeter("maps in the kernel", func() (int, error) { return kernel.Maps(mapName) }),
		Request: func(context.Context) error { return accepts(tenant) },
	}, nil
}

func main() { drive.Main(start) }
