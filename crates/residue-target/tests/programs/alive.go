// Keeps threads busy, blocked and dying, counts the signals it gets, and answers each line with the count. At the line "wait"
// a thread begins to wait for three seconds where nothing can interrupt it.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var marker = [16]byte{'a', 'l', 'i', 'v', 'e', 0, 0, 0, 0x5a, 0xa5, 1, 2, 3, 4, 5, 6}

func main() {
	counted := syscall.Signal(40)
	signals := make(chan os.Signal, 1<<16)
	signal.Notify(signals, counted)
	var got atomic.Int64
	go func() {
		for range signals {
			got.Add(1)
		}
	}()
	// Threads come and go.
	go func() {
		for {
			done := make(chan bool)
			go func() {
				runtime.LockOSThread()
				close(done)
			}()
			<-done
			time.Sleep(time.Millisecond)
		}
	}()
	for i := 0; i < 4; i++ {
		go func() {
			for n := 0; ; n++ {
				if n%1000 == 0 {
					time.Sleep(time.Microsecond)
				}
			}
		}()
	}
	fmt.Printf("%p\n", &marker)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if in.Text() == "wait" {
			go waitUninterrupted()
		}
		fmt.Println(got.Load())
	}
}

// The parent of a vfork waits until the child ends, killable but not interruptible.
func waitUninterrupted() {
	time := syscall.Timespec{Sec: 3}
	child, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, syscall.CLONE_VFORK|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 {
		syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&time)), 0, 0)
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}
