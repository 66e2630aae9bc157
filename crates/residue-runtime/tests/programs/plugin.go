// A plugin with goroutines that wait in its functions, and objects that its variables keep; it says what each is.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// So large that their types are noted beside them, since Go 1.22.
type (
	listed    struct{ rest [80]*listed }
	mapped    struct{ rest [80]*mapped }
	boxed     struct{ rest [80]*boxed }
	spoken    struct{ rest [80]*spoken }
	local     struct{ rest [80]*local }
	pointed   struct{ rest [80]*pointed }
	captured  struct{ rest [80]*captured }
	finalized struct{ rest [80]*finalized }
	dead      struct{ rest [80]*dead }
)

type speaker interface{ speak() int }

func (s *spoken) speak() int { return len(s.rest) }

type failure struct{ why string }

func (f *failure) Error() string { return f.why }

var (
	keepList  *listed
	keepMap   = map[string]*mapped{}
	keepAny   any
	keepIface speaker
	keepFinal []*finalized
	settings  = map[string]*string{"a": new(string)}
	started   sync.WaitGroup
	forever   = make(chan int)
	say       func(string, ...any)
)

// hold says who waits here.
//
//go:noinline
func hold(kind string) {
	buf := make([]byte, 64)
	say("g %s %s", bytes.Fields(buf[:runtime.Stack(buf, false)])[1], kind)
	started.Done()
	<-forever
}

//go:noinline
func use(...any) {}

//go:noinline
func read(string) {}

// Calls that need no record.
func open(name string) {
	defer func() { use(name) }()
	defer read(name)
	hold("open")
}

// Calls with records on the heap.
func loop(names []string) {
	for _, name := range names {
		defer func() { use(name) }()
	}
	hold("loop")
}

func panicking() {
	defer func() { use("never") }()
	defer hold("panicking")
	panic(&failure{"a failure of the plugin"})
}

func middle() { hold("inlined") }

func inlined() { middle() }

func inFrame() {
	object := new(local)
	say("object local %p", object)
	hold("local")
	runtime.KeepAlive(object)
}

//go:noinline
func waits(at *[3]*pointed) {
	hold("pointed")
	use(at[1])
}

// The address of a variable is taken: what it holds is found by way of that.
func inTaken() {
	object := new(pointed)
	say("object pointed %p", object)
	waits(&[3]*pointed{1: object})
}

func inDeferred() {
	for number := 0; number < 3; number++ {
		object := new(captured)
		if number == 1 {
			say("object captured %p", object)
		}
		defer func() { use(object) }()
	}
	hold("deferred")
}

//go:noinline
func die() {
	for number := 0; number < 20; number++ {
		object := new(dead)
		if number == 10 {
			say("object dead %p", object)
		}
		use(object)
	}
}

//go:noinline
func keep() {
	for number := 0; number < 10; number++ {
		list := new(listed)
		list.rest[79], keepList = keepList, list
	}
	say("object listed %p", keepList.rest[79].rest[79])
	for number := 0; number < 20; number++ {
		keepMap[fmt.Sprint("key ", number)] = new(mapped)
	}
	say("object mapped %p", keepMap["key 3"])
	box, speaks := new(boxed), new(spoken)
	keepAny, keepIface = box, speaks
	say("object boxed %p", box)
	say("object spoken %p", speaks)
	for number := 0; number < 5; number++ {
		object := new(finalized)
		runtime.SetFinalizer(object, gone)
		keepFinal = append(keepFinal, object)
	}
	say("object finalized %p", keepFinal[2])
}

func gone(*finalized) { use(errors.New("gone"), settings) }

// Start does all of it.
func Start(f func(string, ...any)) {
	say = f
	keep()
	die()
	all := []func(){func() { loop([]string{"one", "two", "three"}) }, panicking, inlined, inFrame, inTaken, inDeferred}
	for number := 10; number < 14; number++ {
		name := strings.Repeat("n", number)
		all = append(all, func() { open(name) })
	}
	started.Add(len(all))
	for _, f := range all {
		go f()
	}
	started.Wait()
	for number := 0; number < 3; number++ {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}
