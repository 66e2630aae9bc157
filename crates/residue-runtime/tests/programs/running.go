// A program with a goroutine that never stops running and alone has an object, by turns in code of its own, in the kernel's that
// tells the time, and in the race detector's.
package main

import (
	"fmt"
	"os"
	"time"
	"unsafe"
)

type held struct {
	next *held
	tag  uint64
}

var stop = len(os.Args) > 100

//go:noinline
func made() *held { return new(held) }

//go:noinline
func works(ready chan<- uintptr) uint64 {
	object := made()
	ready <- uintptr(unsafe.Pointer(object))
	for !stop {
		object.tag += uint64(time.Now().Nanosecond())
		for i := 0; i < 10 && !stop; i++ {
			object.tag++
		}
	}
	return object.tag
}

func main() {
	ready := make(chan uintptr)
	go func() { fmt.Println(works(ready)) }()
	fmt.Printf("object %#x\n", <-ready)
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
