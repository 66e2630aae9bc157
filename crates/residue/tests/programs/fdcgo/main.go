// Command fdcgo opens descriptors in C and in Go. C code has thread variables, which move the place where g is kept.
package main

/*
#include <fcntl.h>
static __thread int counts[37];
static int open_in_c(const char *path) { counts[3]++; return open(path, O_RDONLY | O_CLOEXEC); }
*/
import "C"

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

//go:noinline
func fromC() {
	if C.open_in_c(C.CString("/etc/passwd")) < 0 {
		panic("open")
	}
}

//go:noinline
func fromGo() {
	if _, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0); err != nil {
		panic(err)
	}
}

func main() {
	done := make(chan bool)
	both := func(times int) {
		for _, open := range []func(){fromC, fromGo} {
			go func(open func()) {
				for i := 0; i < times; i++ {
					open()
				}
				done <- true
			}(open)
			<-done
		}
	}
	if len(os.Args) == 1 {
		both(5)
		return
	}
	fmt.Println("ready")
	for {
		both(1)
		time.Sleep(50 * time.Millisecond)
	}
}
