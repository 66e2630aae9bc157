// Goroutines in every state that can be held still, each telling its number and what it is before it gets there.
//
// A line on stdin asks for the stacks of all, as the runtime prints them.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"time"
)

var (
	mu     sync.Mutex
	told   sync.WaitGroup
	forage = make(chan int)
	locked sync.Mutex
	more   []func()
	spin   = len(os.Args) > 100
)

type custom struct{ code int }

func (c *custom) Error() string { return "custom" }

// tell prints who runs this.
func tell(kind string) {
	buf := make([]byte, 64)
	id := bytes.Fields(buf[:runtime.Stack(buf, false)])[1]
	mu.Lock()
	fmt.Printf("g %s %s\n", id, kind)
	mu.Unlock()
	told.Done()
}

func hold(kind string) {
	tell(kind)
	<-forage
}

//go:noinline
func nothing(string, int) {}

func open(name string) {
	n := 7
	defer nothing(name, n)
	defer func() { fmt.Fprintln(os.Stderr, name) }()
	hold("open")
}

func conditional(second bool) {
	defer nothing("first", 1)
	if second {
		defer nothing("second", 2)
	}
	hold("conditional")
}

func loop() {
	for i := 0; i < 3; i++ {
		defer nothing("loop", i)
	}
	hold("loop")
}

func records() {
	defer nothing("1", 1)
	defer nothing("2", 2)
	defer nothing("3", 3)
	defer nothing("4", 4)
	defer nothing("5", 5)
	defer nothing("6", 6)
	defer nothing("7", 7)
	defer nothing("8", 8)
	defer nothing("9", 9)
	hold("records")
}

func nilFunction(f func()) {
	defer f()
	hold("nil")
}

func panickingText() {
	defer nothing("kept", 1)
	defer hold("panicking-text")
	panic("a secret of twenty-four.")
}

func panickingError() {
	defer func() { hold("panicking-error") }()
	panic(&custom{3})
}

func panickingRecords() {
	for i := 0; i < 2; i++ {
		defer nothing("kept", i)
	}
	for range []int{0} {
		defer hold("panicking-records")
	}
	panic(errors.New("x"))
}

func returning() {
	defer nothing("kept", 1)
	defer func() { hold("returning") }()
}

func returningRecords() {
	for i := 0; i < 2; i++ {
		defer nothing("kept", i)
	}
	for range []int{0} {
		defer hold("returning-records")
	}
}

func recovered() {
	defer nothing("kept", 1)
	defer func() {
		_ = recover()
		hold("recovered")
	}()
	panic(errors.New("x"))
}

func exiting() {
	defer hold("exiting")
	runtime.Goexit()
}

func nested() {
	defer func() {
		defer hold("nested")
		panic("second")
	}()
	panic(&custom{1})
}

func fault(p *custom) {
	defer hold("fault")
	p.code = 1
}

func inner(n int) { hold("inlined") }

func middle(n int) { inner(n + 1) }

func inlined() {
	middle(len(os.Args))
	nothing("", 0)
}

func main() {
	start := func(f func()) {
		told.Add(1)
		go f()
	}
	for i := 0; i < 20; i++ {
		name := strings.Repeat("n", 10+i)
		start(func() { open(name) })
	}
	start(func() { conditional(true) })
	start(func() { conditional(false) })
	start(loop)
	start(records)
	start(func() { nilFunction(nil) })
	start(panickingText)
	start(panickingError)
	start(panickingRecords)
	start(returning)
	start(returningRecords)
	start(recovered)
	start(exiting)
	start(nested)
	start(func() { fault(nil) })
	start(inlined)
	for _, f := range more {
		start(f)
	}
	locked.Lock()
	start(func() { tell("mutex"); locked.Lock() })
	start(func() { tell("select"); select {} })
	start(func() { tell("sleep"); time.Sleep(time.Hour) })
	start(func() { tell("send"); make(chan<- int) <- 1 })
	r, w, _ := os.Pipe()
	start(func() { tell("read"); _, _ = r.Read(make([]byte, 1)) })
	start(func() { runtime.LockOSThread(); hold("locked") })
	start(func() {
		tell("running")
		// By turns in code of its own and in the kernel's that tells the time.
		for !spin {
			for begun := time.Now(); time.Since(begun) < time.Millisecond; {
			}
			for i := 0; i < 1000000 && !spin; i++ {
			}
		}
	})
	for _, count := range []int{2, 20} {
		labels := []string{"tenant", "acme"}
		for i := 1; i < count; i++ {
			labels = append(labels, fmt.Sprintf("key%02d", i), strings.Repeat("v", i))
		}
		start(func() {
			pprof.Do(context.Background(), pprof.Labels(labels...), func(context.Context) { hold("labelled") })
		})
	}
	told.Wait()
	time.Sleep(50 * time.Millisecond)
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		buf := make([]byte, 1<<20)
		fmt.Printf("%s\nend\n", buf[:runtime.Stack(buf, true)])
	}
	runtime.KeepAlive(w)
}
