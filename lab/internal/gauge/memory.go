package gauge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// Copies counts the places in the writable memory of this process at which
// width bytes satisfy is. The memory it is read through doesn't count. Only a
// quiet program may call this, and is must not keep what it looks for.
func Copies(width int, is func([]byte) bool) (int, error) {
	const step, page = 1 << 20, 4096
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		return 0, err
	}
	defer memory.Close()
	// Not on the heap, where the copies would be found again, and shared, so
	// that it is no private memory.
	buffer, err := syscall.Mmap(-1, 0, step+width, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANON)
	if err != nil {
		return 0, err
	}
	defer syscall.Munmap(buffer)
	zero := make([]byte, page+width)
	ranges, err := writable()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range ranges {
		for at := r[0]; at < r[1]; at += step {
			part := buffer[:min(step+uint64(width)-1, r[1]-at)]
			if _, err := memory.ReadAt(part, int64(at)); err != nil && err != io.EOF {
				break // unmapped meanwhile, or not readable
			}
			for start := 0; start < step && start < len(part); start += page {
				// Most of what Go has reserved was never used.
				near := part[start:min(start+page+width-1, len(part))]
				if bytes.Equal(near, zero[:len(near)]) {
					continue
				}
				for i := 0; i < page && i+width <= len(near); i++ {
					if is(near[i : i+width]) {
						n++
					}
				}
			}
		}
	}
	return n, nil
}

// writable lists the ranges of private memory without a file.
func writable() ([][2]uint64, error) {
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var ranges [][2]uint64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r [2]uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &r[0], &r[1], &mode); err != nil {
			return nil, err
		}
		if mode == "rw-p" && !strings.Contains(lines.Text(), "/") {
			ranges = append(ranges, r)
		}
	}
	return ranges, nil
}
