// Keeps threads busy, blocked and dying, counts the signals it gets, and answers each line with the count.
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
		fmt.Println(got.Load())
	}
}
