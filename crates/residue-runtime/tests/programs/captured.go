// Variables that deferred calls have captured, each living somewhere else, and a stack that was used deeper before.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync"
)

var (
	mu    sync.Mutex
	told  sync.WaitGroup
	never = make(chan int)
	sink  int
)

func tell(kind string) {
	buf := make([]byte, 64)
	id := bytes.Fields(buf[:runtime.Stack(buf, false)])[1]
	mu.Lock()
	fmt.Printf("g %s %s\n", id, kind)
	mu.Unlock()
	told.Done()
}

//go:noinline
func use(n *int) { sink += *n }

//go:noinline
func say(text string) { sink += len(text) }

// byReference changes what it has captured, so the closure has its address; it stays in the frame.
//
//go:noinline
func byReference(n int) {
	counter := n
	defer func() { use(&counter) }()
	counter++
	tell("reference")
	<-never
}

// byValue never changes it again: the closure has a copy.
//
//go:noinline
func byValue(secret string) {
	defer func() { say(secret) }()
	tell("value")
	<-never
}

// inLoop escapes: closures that are deferred in a loop, and what they refer to, are on the heap.
//
//go:noinline
func inLoop(n int) {
	counter := n
	for i := 0; i < 2; i++ {
		defer func() { use(&counter) }()
	}
	counter++
	tell("loop")
	<-never
}

// deep leaves its frame behind.
//
//go:noinline
func deep(n int) int {
	var buffer [512]int
	for i := range buffer {
		buffer[i] = i * n
	}
	sink += buffer[n]
	return shallow(buffer[:])
}

//go:noinline
func shallow(numbers []int) int {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	runtime.Gosched()
	return sum
}

//go:noinline
func returned(n int) {
	sink += deep(n)
	tell("returned")
	<-never
}

func main() {
	n := len(os.Args) + 6
	for _, start := range []func(){
		func() { byReference(n) },
		func() { byValue(string(bytes.Repeat([]byte("s"), 3*n))) },
		func() { inLoop(n) },
		func() { returned(n) },
	} {
		told.Add(1)
		go start()
	}
	told.Wait()
	runtime.Gosched()
	fmt.Println("ready")
	fmt.Scanln()
}
