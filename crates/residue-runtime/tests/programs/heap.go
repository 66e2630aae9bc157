// Holds objects in every way there is, says where each is and who holds it, and how many objects there are.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"
)

// Each is large enough to have its type noted beside it since Go 1.22.
type thing struct {
	next *thing
	tag  uint64
	pad  [80]uint64
}

type listed struct{ thing }
type mapped struct{ thing }
type small struct{ thing }
type captured struct{ thing }
type buffered struct{ thing }
type local struct{ thing }
type boxed struct{ thing }
type deferred struct{ thing }
type timed struct{ thing }
type finalized struct{ thing }
type dead struct{ thing }
type stale struct{ thing }
type chained struct{ thing }

// Linked in a cycle, which its finalizer never breaks.
type ring struct {
	other *ring
	pad   [80]uint64
}

// Leads straight to itself, which does no harm.
type selfish struct {
	self *selfish
	pad  [80]uint64
}

var (
	keepMany   []*uint64
	keepSlice  []*listed
	keepMap    = map[string]*mapped{}
	keepSmall  = map[int]*small{}
	keepFunc   func() uint64
	keepChan   = make(chan *buffered, 32)
	keepAny    any
	keepTimer  *time.Timer
	keepFinal  []*finalized
	keepNested struct {
		first  uint64
		second [3]struct{ deep []*chained }
	}
	block = make(chan struct{})
	sum   uint64
	// Of finalizers, which run on a goroutine of their own.
	ended uint64
)

//go:noinline
func say(what string, p unsafe.Pointer) {
	fmt.Printf("object %s %#x\n", what, uintptr(p))
}

// What a function returns that isn't inlined lies on the heap.
//
//go:noinline
func made[T any]() *T { return new(T) }

//go:noinline
func inFrame(ready chan<- struct{}) {
	held := made[local]()
	say("local", unsafe.Pointer(held))
	ready <- struct{}{}
	<-block
	sum += held.tag
}

//go:noinline
func use(object *stale) { sum += object.tag }

// The variable is dead when it blocks, though its word may still be on the stack.
//
//go:noinline
func forgets(ready chan<- struct{}) {
	object := made[stale]()
	say("stale", unsafe.Pointer(object))
	use(object)
	use(object)
	ready <- struct{}{}
	<-block
	sum++
}

//go:noinline
func defers(ready chan<- struct{}) {
	for i := 0; i < 3; i++ {
		held := made[deferred]()
		if i == 0 {
			say("deferred", unsafe.Pointer(held))
		}
		defer func() { sum += held.tag }()
	}
	ready <- struct{}{}
	<-block
}

//go:noinline
func finalizers() {
	for i := 0; i < 50; i++ {
		object := &finalized{}
		runtime.SetFinalizer(object, func(object *finalized) { ended += object.tag })
		keepFinal = append(keepFinal, object)
		if i == 0 {
			say("finalized", unsafe.Pointer(object))
		}
	}
	for i := 0; i < 7; i++ {
		one, other := &ring{}, &ring{}
		one.other, other.other = other, one
		runtime.SetFinalizer(one, func(one *ring) { ended++ })
		if i == 0 {
			say("cycle", unsafe.Pointer(one))
		}
	}
	for i := 0; i < 3; i++ {
		object := &selfish{}
		runtime.SetFinalizer(object, func(object *selfish) { ended += object.pad[1] })
		object.self = object
	}
	own := &captured{}
	runtime.SetFinalizer(own, func(*captured) { ended += own.tag })
	say("own", unsafe.Pointer(own))
}

//go:noinline
func garbage() {
	for i := 0; i < 100; i++ {
		object := &dead{}
		object.tag = uint64(i)
		sum += object.tag
		if i == 0 {
			say("dead", unsafe.Pointer(object))
		}
		deadSink = object
	}
	deadSink = nil
}

var deadSink *dead

func main() {
	for i := 0; i < 50_000; i++ {
		keepMany = append(keepMany, new(uint64))
	}
	for i := 0; i < 1000; i++ {
		keepSlice = append(keepSlice, &listed{})
	}
	say("listed", unsafe.Pointer(keepSlice[500]))
	for i := 0; i < 500; i++ {
		keepMap[fmt.Sprint("key", i)] = &mapped{}
	}
	say("mapped", unsafe.Pointer(keepMap["key77"]))
	for i := 0; i < 5; i++ {
		keepSmall[i] = &small{}
	}
	say("small", unsafe.Pointer(keepSmall[3]))
	inner := made[captured]()
	keepFunc = func() uint64 { return inner.tag + sum }
	say("captured", unsafe.Pointer(inner))
	for i := 0; i < 20; i++ {
		keepChan <- &buffered{}
	}
	first := <-keepChan
	say("buffered", unsafe.Pointer(first))
	keepChan <- first
	kept := &boxed{}
	keepAny = kept
	say("boxed", unsafe.Pointer(kept))
	late := &timed{}
	keepTimer = time.AfterFunc(time.Hour, func() { sum += late.tag })
	say("timed", unsafe.Pointer(late))
	chain := &chained{}
	for i := 0; i < 30; i++ {
		chain = &chained{thing{next: &chain.thing}}
	}
	keepNested.second[2].deep = append(keepNested.second[2].deep, nil, chain)
	say("chained", unsafe.Pointer(chain))
	ready := make(chan struct{})
	for _, begin := range []func(chan<- struct{}){inFrame, forgets, defers} {
		go begin(ready)
		<-ready
	}
	finalizers()
	more()
	if len(os.Args) > 1 {
		stick(ready)
	}
	// What they need is there before collections end, and nothing is allocated after the figures were read but by printing.
	debug.SetGCPercent(-1)
	runtime.GC()
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
	runtime.GC()
	garbage()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("objects", stats.HeapObjects)
	fmt.Println("bytes", stats.HeapAlloc)
	fmt.Println("cycles", stats.NumGC)
	fmt.Println("forced", stats.NumForcedGC)
	fmt.Println("pause", stats.PauseTotalNs)
	fmt.Println("last", stats.LastGC)
	fmt.Println("ready")
	var line string
	fmt.Scanln(&line)
	runtime.KeepAlive(keepFunc)
	fmt.Println(sum, len(keepSlice), len(keepMap), len(keepSmall), keepTimer, keepAny, keepNested, len(keepFinal))
}

type sticky struct{ thing }

// A finalizer that never returns, and others behind it.
//
//go:noinline
func stick(ready chan<- struct{}) {
	func() {
		for i := 0; i < 10; i++ {
			runtime.SetFinalizer(&sticky{}, waitForever)
		}
	}()
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
}

func waitForever(*sticky) { <-block }
