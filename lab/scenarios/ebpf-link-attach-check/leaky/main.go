// Command leaky checks that its exec watcher can be attached, as a node
// agent does when it starts or is asked for its readiness.
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

// ready attaches the watcher and looks whether the kernel knows the link.
func ready(watcher *ebpf.Program) error {
	tracepoint, err := link.AttachRawTracepoint(link.RawTracepointOptions{ // lab: attached
		Name:    "sched_process_exec",
		Program: watcher,
	})
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	info, err := tracepoint.Info()
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if info.ID == 0 {
		return errors.New("attach: the link has no id")
	}
	return nil
}

func start() (_ drive.Service, err error) {
	watcher, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "lab_exec_watch",
		Type:         ebpf.RawTracepoint,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		License:      "Dual MIT/GPL",
	})
	if err != nil {
		return drive.Service{}, fmt.Errorf("watcher: %w", err)
	}
	defer func() {
		if err != nil {
			watcher.Close()
		}
	}()
	info, err := watcher.Info()
	if err != nil {
		return drive.Service{}, err
	}
	id, ok := info.ID()
	if !ok {
		return drive.Service{}, fmt.Errorf("watcher has no id: %w", ebpf.ErrNotSupported)
	}
	return drive.Service{
		Meter:   drive.NewMeter("links of the watcher", func() (int, error) { return kernel.Links(id) }),
		Request: func(context.Context) error { return ready(watcher) },
		Close:   watcher.Close,
	}, nil
}

func main() { drive.Main(start) }
