// Command fixed drains the events that a data path has left in a ring buffer,
// whenever it is asked for them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// drain counts the events there are, without waiting for more.
func drain(events *ebpf.Map) (int, error) {
	reader, err := ringbuf.NewReader(events)
	if err != nil {
		return 0, fmt.Errorf("events: %w", err)
	}
	defer reader.Close()
	reader.SetDeadline(time.Now())
	n := 0
	for {
		if _, err := reader.Read(); errors.Is(err, os.ErrDeadlineExceeded) {
			return n, nil
		} else if err != nil {
			return n, fmt.Errorf("events: %w", err)
		}
		n++
	}
}

func start() (drive.Service, error) {
	events, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "lab_events", Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize()),
	})
	if err != nil {
		return drive.Service{}, fmt.Errorf("events map: %w", err)
	}
	return drive.Service{
		Meter: drive.NewMeter("epoll descriptors", func() (int, error) {
			return gauge.OpenLinks("anon_inode:[eventpoll]")
		}),
		Request: func(context.Context) error {
			_, err := drain(events)
			return err
		},
		Close: events.Close,
	}, nil
}

func main() { drive.Main(start) }
