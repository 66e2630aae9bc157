// Command inspect-bench holds a heap still: trees of small objects, a list of larger ones, blobs, files in a map and
// goroutines with deferred calls. It prints what the runtime says of it, then answers each line it reads with the longest
// time in microseconds for which it stood still since the line before.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type node struct {
	id          uint64
	left, right *node
	payload     [4]uint64
	name        string
}

type large struct {
	header [32]uint64
	next   *large
	buffer []byte
	rest   [64]uint64
}

type session struct {
	file   *os.File
	user   string
	counts map[string]int
}

var (
	trees    []*node
	list     *large
	blobs    [][]byte
	sessions = map[string]*session{}
	never    = make(chan struct{})
	nodes    uint64
)

func grow(depth int) *node {
	nodes++
	n := &node{id: nodes, name: "node-" + strconv.FormatUint(nodes, 10)}
	if depth > 0 {
		n.left, n.right = grow(depth-1), grow(depth-1)
	}
	return n
}

//go:noinline
func wait(file *os.File, ready *sync.WaitGroup) {
	defer file.Close()
	for range 3 {
		defer func() { file.Sync() }()
	}
	ready.Done()
	<-never
}

// The longest gap between two looks at the clock, in nanoseconds.
var longest atomic.Int64

// A thread of its own looks at the clock every half millisecond.
func watch() {
	runtime.LockOSThread()
	before := time.Now()
	for {
		time.Sleep(500 * time.Microsecond)
		now := time.Now()
		longest.Store(max(longest.Load(), int64(now.Sub(before))))
		before = now
	}
}

func main() {
	count := flag.Int("trees", 40, "trees of 262,143 objects, and as many names")
	waiting := flag.Int("goroutines", 5000, "goroutines that wait")
	flag.Parse()
	for range *count {
		trees = append(trees, grow(17))
	}
	for range *count * 2500 {
		list = &large{next: list, buffer: make([]byte, 64)}
	}
	for range *count * 5 {
		blobs = append(blobs, make([]byte, 1<<20))
	}
	for i := range 4000 {
		file, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		user := fmt.Sprint("user-", i)
		sessions[user] = &session{file, user, map[string]int{user: i}}
	}
	var ready sync.WaitGroup
	for range *waiting {
		ready.Add(1)
		go wait(os.Stdin, &ready)
	}
	ready.Wait()
	// Nothing but what looks at it is to make it stand still.
	debug.SetGCPercent(-1)
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("ready", stats.HeapObjects, stats.HeapAlloc)
	go watch()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(longest.Swap(0) / 1000)
	}
	fmt.Println(len(trees), list.next, len(blobs), len(sessions))
}
