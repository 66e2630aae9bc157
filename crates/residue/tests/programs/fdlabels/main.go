// Command fdlabels opens descriptors on goroutines with labels of runtime/pprof, and never closes one.
package main

import (
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

//go:noinline
func open() {
	if _, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0); err != nil {
		panic(err)
	}
}

func main() {
	done := make(chan bool)
	labelled := func(labels ...string) {
		go func() {
			pprof.Do(context.Background(), pprof.Labels(labels...), func(context.Context) { open() })
			done <- true
		}()
		<-done
	}
	// More than are kept, and longer.
	many := []string{}
	for i := 0; i < 12; i++ {
		many = append(many, fmt.Sprintf("key%02d", i), fmt.Sprint("value", i))
	}
	fmt.Println("ready")
	for {
		labelled("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736", "span_id", "00f067aa0ba902b7")
		labelled("handler", "upload")
		labelled(many...)
		labelled(strings.Repeat("k", 100), strings.Repeat("v", 1000), "empty", "")
		open()
		time.Sleep(100 * time.Millisecond)
	}
}
