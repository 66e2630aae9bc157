// Command fdlibrary makes maps with contents that don't fit: cilium/ebpf v0.7.0 forgets the descriptor then (issue 725).
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/cilium/ebpf"
)

//go:noinline
func provision() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(1), Value: uint32(1)}, {Key: uint32(2), Value: uint32(2)}},
	})
	if err == nil {
		m.Close()
	}
	return err
}

func main() {
	debug.SetGCPercent(-1) // a collection would close what was forgotten, sooner or later
	failed := 0
	for i := 0; i < 50; i++ {
		if provision() != nil {
			failed++
		}
	}
	if failed != 50 {
		fmt.Fprintln(os.Stderr, "the contents fit:", failed)
		os.Exit(1)
	}
}
