// Command fixed finds out, before each roll-out, whether the kernel's verifier
// takes a filter.
package main

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/kernel"
)

const programName = "lab_accept_all"

// verify loads the filter and runs it once over an empty packet.
func verify(filter asm.Instructions) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         programName,
		Type:         ebpf.SocketFilter,
		Instructions: filter,
		License:      "Dual MIT/GPL",
	})
	if err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	defer prog.Close()
	kept, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if kept == 0 {
		return fmt.Errorf("filter drops every packet")
	}
	return nil
}

func start() (drive.Service, error) {
	return drive.Service{
		Meter: drive.NewMeter("programs in the kernel", func() (int, error) {
			return kernel.Programs(programName)
		}),
		Request: func(context.Context) error {
			return verify(asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()})
		},
	}, nil
}

func main() { drive.Main(start) }
