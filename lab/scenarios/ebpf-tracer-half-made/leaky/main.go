// Command leaky starts a tracer for whoever asks. The tracer is a small library
// of its own: New makes it, Close ends it.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/kernel"
)

const mapName = "lab_tracer"

// tracer counts what happens at a tracepoint.
type tracer struct {
	counts *ebpf.Map
	count  *ebpf.Program
	hook   link.Link
}

// newTracer makes the map, then the program, then attaches it. What was made is
// lost where a later step fails.
func newTracer(event string) (*tracer, error) {
	counts, err := ebpf.NewMap(&ebpf.MapSpec{ // lab: counts
		Name: mapName, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	count, err := ebpf.NewProgram(&ebpf.ProgramSpec{ // lab: count
		Name:         mapName,
		Type:         ebpf.RawTracepoint,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		License:      "Dual MIT/GPL",
	})
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	hook, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: event, Program: count})
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", event, err)
	}
	return &tracer{counts, count, hook}, nil
}

// Close ends the tracing.
func (t *tracer) Close() error {
	return errors.Join(t.hook.Close(), t.count.Close(), t.counts.Close())
}

// trace starts a tracer and ends it.
func trace(event string) error {
	t, err := newTracer(event)
	if err != nil {
		return err
	}
	return t.Close()
}

func start() (drive.Service, error) {
	// Fails here, not at the first request, where eBPF isn't permitted.
	if err := trace("sched_process_exec"); err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter: drive.NewMeter("maps in the kernel", func() (int, error) { return kernel.Maps(mapName) }),
		Request: func(context.Context) error {
			if err := trace("no_such_event"); err == nil {
				return errors.New("attached to what there isn't")
			}
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
