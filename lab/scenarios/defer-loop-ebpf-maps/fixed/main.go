// Command fixed adds up the packet counters of all shards of a map.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// shards is how many maps share the counting.
const shards = 32

// counter adds up shards. Its progress function is called after each one.
type counter struct {
	progress func() error
}

// total adds up the first counter of every shard.
func (c counter) total(ids []ebpf.MapID) (uint64, error) {
	var total uint64
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return 0, fmt.Errorf("shard %d: %w", id, err)
		}
		var packets uint64
		err = m.Lookup(uint32(0), &packets)
		m.Close() // before the next shard is opened
		if err != nil {
			return 0, fmt.Errorf("shard %d: %w", id, err)
		}
		total += packets
		if err := c.progress(); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// newShards makes the maps; in production the data path does. They are closed by
// the returned function.
func newShards() (ids []ebpf.MapID, closeAll func() error, err error) {
	var maps []*ebpf.Map
	closeAll = func() error {
		var errs []error
		for _, m := range maps {
			errs = append(errs, m.Close())
		}
		return errors.Join(errs...)
	}
	for range shards {
		m, err := ebpf.NewMap(&ebpf.MapSpec{
			Name: "lab_shard", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		})
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("shard: %w", err), closeAll())
		}
		maps = append(maps, m)
		info, err := m.Info()
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		id, ok := info.ID()
		if !ok {
			return nil, nil, errors.Join(fmt.Errorf("shard has no id: %w", ebpf.ErrNotSupported), closeAll())
		}
		ids = append(ids, id)
	}
	return ids, closeAll, nil
}

func start() (drive.Service, error) {
	ids, closeAll, err := newShards()
	if err != nil {
		return drive.Service{}, err
	}
	meter := drive.NewMeter("descriptors of maps", func() (int, error) {
		return gauge.OpenLinks("anon_inode:bpf-map")
	})
	service := counter{progress: meter.Sample}
	return drive.Service{
		Meter: meter,
		Request: func(context.Context) error {
			_, err := service.total(ids)
			return err
		},
		Close: closeAll,
	}, nil
}

func main() { drive.Main(start) }
