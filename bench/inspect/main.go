// Command inspect-bench holds a heap still: trees of small objects, a list of larger ones, blobs, files in a map and
// goroutines with deferred calls. It prints what the runtime says of it, then waits.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
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

func main() {
	count := flag.Int("trees", 40, "trees of 262,143 objects, and as many names")
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
	for range 5000 {
		ready.Add(1)
		go wait(os.Stdin, &ready)
	}
	ready.Wait()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("ready", stats.HeapObjects, stats.HeapAlloc)
	// Not a channel: the runtime would find that nothing can ever happen any more.
	os.Stdin.Read(make([]byte, 1))
	fmt.Println(len(trees), list.next, len(blobs), len(sessions))
}
