// Command many makes maps, each with a descriptor and a pin, and descriptors
// of one map, and waits until its standard input ends: a host for
// bench/bpf/run.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	sysBPF            = 321 // on amd64
	mapCreate, objPin = 0, 6
	array             = 2
)

func bpf(cmd uintptr, attr []uint64) int {
	fd, _, errno := syscall.Syscall(sysBPF, cmd, uintptr(unsafe.Pointer(&attr[0])), uintptr(len(attr)*8))
	if errno != 0 {
		fmt.Fprintln(os.Stderr, "bpf:", errno)
		os.Exit(1)
	}
	return int(fd)
}

// The main goroutine stays on the main thread, whose namespace others see.
func init() { runtime.LockOSThread() }

func main() {
	maps := flag.Int("maps", 10_000, "maps")
	pins := flag.Bool("pins", true, "pin each map")
	extra := flag.Int("descriptors", 0, "further descriptors of the last map")
	flag.Parse()
	need := uint64(*maps + *extra + 100)
	limit := syscall.Rlimit{Cur: need, Max: need}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Fprintln(os.Stderr, "descriptors:", err)
	}
	// A file system that goes when this ends.
	dir := ""
	if *pins {
		dir = os.TempDir()
		for _, err := range []error{
			syscall.Unshare(syscall.CLONE_NEWNS),
			syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
			syscall.Mount("bpf", dir, "bpf", 0, ""),
		} {
			if err != nil {
				fmt.Fprintln(os.Stderr, "bpf file system:", err)
				os.Exit(1)
			}
		}
	}
	last := -1
	for i := range *maps {
		last = bpf(mapCreate, []uint64{array | 4<<32, 8 | 1<<32, 0, 0, 0, 0, 0, 0})
		if *pins {
			path := append([]byte(filepath.Join(dir, fmt.Sprint("m", i))), 0)
			bpf(objPin, []uint64{uint64(uintptr(unsafe.Pointer(&path[0]))), uint64(last)})
			runtime.KeepAlive(path)
		}
	}
	for range *extra {
		if _, err := syscall.Dup(last); err != nil {
			fmt.Fprintln(os.Stderr, "dup:", err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
