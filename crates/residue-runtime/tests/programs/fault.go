// Goroutines that fault and are held in a deferred call: what their frames lead to is dead where nothing is deferred, and where
// only deferred calls are still to come.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

type lost struct {
	next *int
	rest [100]uint64
}

type kept struct {
	next *int
	rest [100]uint64
}

var (
	died    atomic.Int64
	reached atomic.Int64
	hold    = make(chan bool)
)

//go:noinline
func touch(values ...*uint64) {
	for _, value := range values {
		*value++
	}
}

//go:noinline
func newLost() *lost {
	made := new(lost)
	runtime.SetFinalizer(made, func(*lost) { died.Add(1) })
	return made
}

//go:noinline
func newKept() *kept {
	return new(kept)
}

// It has deferred a call, so it goes on at its end.
//
//go:noinline
func withDefer(address *int) {
	held, dead := newKept(), newLost()
	defer func() {
		reached.Add(1)
		<-hold
		touch(&held.rest[0])
	}()
	touch(&dead.rest[1])
	*address = 1
	touch(&dead.rest[2])
}

// It hasn't, so it never goes on.
//
//go:noinline
func without(address *int) {
	dead := newLost()
	touch(&dead.rest[1])
	*address = 1
	touch(&dead.rest[2])
}

func main() {
	go withDefer(nil)
	go func() {
		defer func() {
			reached.Add(1)
			<-hold
		}()
		without(nil)
	}()
	for reached.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	if len(os.Args) > 1 {
		for died.Load() < 2 {
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
	}
	fmt.Println("ready")
	var end string
	fmt.Scanln(&end)
}
