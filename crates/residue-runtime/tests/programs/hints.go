// Has objects that nothing keeps and that are there still, and says where their addresses are left.
package main

import (
	"fmt"
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

type lost struct{ thing }
type slotted struct{ thing }
type boxed struct{ thing }
type inner struct{ thing }
type behind struct{ thing }
type queued struct {
	child *child
	pad   [80]uint64
}
type child struct{ thing }
type kept struct{ thing }

// Of a size that nothing else has, so that its place stays free.
type box struct {
	pad  [200]uint64
	held *boxed
}

type owner struct {
	pad   [80]uint64
	inner *inner
}

type first struct {
	pad    [80]uint64
	behind *behind
}

type ring struct {
	other *ring
	pad   [80]uint64
}

var (
	block     = make(chan struct{})
	sum       uint64
	keepBoxed *boxed
	keepBox   *box
	keepOther *box
	keepKept  *kept
)

//go:noinline
func say(what string, p unsafe.Pointer) {
	fmt.Printf("object %s %#x\n", what, uintptr(p))
}

// What a function returns that isn't inlined lies on the heap.
//
//go:noinline
func made[T any]() *T { return new(T) }

func waitForever(*queued) { <-block }

func finish(object *lost) { sum += object.tag }

func finishFirst(object *first) { sum += object.pad[0] }

// A queue that goes on no more, and what its objects lead to.
//
//go:noinline
func queue() {
	for i := 0; i < 5; i++ {
		object := made[queued]()
		object.child = made[child]()
		runtime.SetFinalizer(object, waitForever)
		if i == 2 {
			say("queued", unsafe.Pointer(object))
			say("child", unsafe.Pointer(object.child))
		}
	}
}

// An object that has the address of another, which lives longer.
//
//go:noinline
func boxes() {
	keepBoxed = made[boxed]()
	keepBox = made[box]()
	keepBox.held = keepBoxed
	// A span without any object is given up.
	keepOther = made[box]()
	say("boxed", unsafe.Pointer(keepBoxed))
	say("box", unsafe.Pointer(keepBox))
}

// Its frame keeps the object while it says where that is.
//
//go:noinline
func leave() {
	object := made[lost]()
	runtime.SetFinalizer(object, finish)
	say("lost", unsafe.Pointer(object))
	sum += object.tag
}

// Its frame is large, so that what waits later doesn't reach down to what it calls.
//
//go:noinline
func deep() {
	var pad [4096]byte
	for i := range pad {
		pad[i] = byte(sum)
	}
	leave()
	for i := range pad {
		sum += uint64(pad[i])
	}
}

//go:noinline
func leaves(ready chan<- struct{}) {
	deep()
	ready <- struct{}{}
	<-block
}

//go:noinline
func use(object *slotted) { sum += object.tag }

// The variable is dead when it blocks, though its word is still on the stack.
//
//go:noinline
func forgets(ready chan<- struct{}) {
	object := made[slotted]()
	say("slotted", unsafe.Pointer(object))
	use(object)
	use(object)
	ready <- struct{}{}
	<-block
	sum++
}

//go:noinline
func garbage() {
	one := made[owner]()
	one.inner = made[inner]()
	say("owner", unsafe.Pointer(one))
	say("inner", unsafe.Pointer(one.inner))
	ahead := made[first]()
	ahead.behind = made[behind]()
	runtime.SetFinalizer(ahead, finishFirst)
	say("first", unsafe.Pointer(ahead))
	say("behind", unsafe.Pointer(ahead.behind))
	this, that := made[ring](), made[ring]()
	this.other, that.other = that, this
	runtime.SetFinalizer(this, func(*ring) { sum++ })
	say("ring", unsafe.Pointer(this))
	keepKept = made[kept]()
	say("kept", unsafe.Pointer(keepKept))
}

func main() {
	debug.SetGCPercent(-1)
	queue()
	boxes()
	keepBox = nil
	runtime.GC()
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
	// From here on nothing is collected.
	keepBoxed = nil
	ready := make(chan struct{})
	for _, begin := range []func(chan<- struct{}){leaves, forgets} {
		go begin(ready)
		<-ready
	}
	garbage()
	fmt.Println("ready")
	var line string
	fmt.Scanln(&line)
	fmt.Println(sum, keepKept, keepOther)
}
