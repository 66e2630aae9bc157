// Command loops opens and closes descriptors as fast as it can, and prints the processor time that one pair took, as the
// kernel counted it for the thread, and the time on the wall.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockThreadCPU = 3 // CLOCK_THREAD_CPUTIME_ID
	bpfObjGet      = 7 // BPF_OBJ_GET
	bpfObjPin      = 6 // BPF_OBJ_PIN
	bpfMapCreate   = 0 // BPF_MAP_CREATE
)

func main() {
	what := flag.String("what", "open", "open: open and close a file; objget: a pinned map, at -pin; getpid: neither")
	pairs := flag.Int("pairs", 100_000, "pairs to make")
	depth := flag.Int("depth", 8, "calls below main")
	pin := flag.String("pin", "", "a path in a bpf file system")
	rate := flag.Int("rate", 0, "pairs a second that are made, for -for; else as many as can be")
	duration := flag.Duration("for", time.Minute, "how long, with -rate")
	flag.Parse()
	runtime.LockOSThread()

	call := pair(*what, *pin)
	below(*depth, func() { // what is done first is not counted
		for range *pairs / 10 {
			call()
		}
	})
	if *rate > 0 {
		below(*depth, func() { steadily(call, *rate, *duration) })
		return
	}
	began, start := time.Now(), cpu()
	below(*depth, func() {
		for range *pairs {
			call()
		}
	})
	took, wall := cpu()-start, time.Since(began).Nanoseconds()
	fmt.Printf("%s ns %d wall %d\n", *what, took/int64(*pairs), wall/int64(*pairs))
}

func steadily(call func(), rate int, duration time.Duration) {
	began := time.Now()
	for made := 0; ; {
		passed := time.Since(began)
		if passed > duration {
			fmt.Printf("made %d in %v\n", made, passed.Round(time.Millisecond))
			return
		}
		for due := int(passed.Seconds() * float64(rate)); made < due; made++ {
			call()
		}
		time.Sleep(time.Millisecond)
	}
}

//go:noinline
func below(depth int, call func()) {
	if depth > 0 {
		below(depth-1, call)
		return
	}
	call()
}

func pair(what, pin string) func() {
	switch what {
	case "open":
		return func() {
			fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
			if err != nil {
				fail(err)
			}
			syscall.Close(fd)
		}
	case "objget":
		return objGet(pin)
	case "getpid":
		return func() { syscall.Getpid(); syscall.Getpid() }
	}
	fail(fmt.Errorf("unknown -what %q", what))
	return nil
}

// path is given to the kernel by its address, and must not move.
var path []byte

func objGet(pin string) func() {
	path = append([]byte(pin), 0)
	create := struct{ kind, key, value, entries, flags uint32 }{2, 4, 8, 1, 0}
	fd, _, errno := syscall.Syscall(sysBPF, bpfMapCreate, uintptr(unsafe.Pointer(&create)), unsafe.Sizeof(create))
	if errno != 0 {
		fail(errno)
	}
	object := struct {
		path  uintptr
		fd    uint32
		flags uint32
	}{uintptr(unsafe.Pointer(&path[0])), uint32(fd), 0}
	os.Remove(pin)
	if _, _, errno := syscall.Syscall(sysBPF, bpfObjPin, uintptr(unsafe.Pointer(&object)), 16); errno != 0 {
		fail(errno)
	}
	object.fd = 0
	return func() {
		fd, _, errno := syscall.Syscall(sysBPF, bpfObjGet, uintptr(unsafe.Pointer(&object)), 16)
		if errno != 0 {
			fail(errno)
		}
		syscall.Close(int(fd))
	}
}

func cpu() int64 {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
