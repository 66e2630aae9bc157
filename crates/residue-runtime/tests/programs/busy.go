// Never holds still: goroutines come and go, stacks grow and shrink, defers and panics run all the time, and a list of
// 1,000 nodes is turned: at each moment all of them are there, one of them perhaps in a register only.
//
// Prints "ready", then answers each line with the number of rounds that its goroutines have made.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

var rounds atomic.Int64

// Large enough for the runtime to note its type beside it.
type node struct {
	next *node
	pad  [80]uint64
}

var first, last *node

func turn() {
	for {
		n := first
		first = n.next
		n.next = nil
		last.next = n
		last = n
	}
}

func deep(n int) (sum int) {
	var pad [64]int
	defer func() { sum += pad[n%64] }()
	if n > 0 {
		return deep(n-1) + 1
	}
	return 0
}

func panics(n int) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = caught.(error)
		}
	}()
	for i := 0; i < n%5; i++ {
		defer func(i int) { rounds.Add(int64(i - i)) }(i)
	}
	panic(errors.New("again"))
}

func work(seed int, done chan<- int) {
	m := map[int]string{}
	for i := 0; i < 50; i++ {
		m[i*seed] = fmt.Sprint(i)
		deep(seed % 200)
		_ = panics(seed + i)
		rounds.Add(1)
	}
	done <- len(m)
}

func main() {
	last = &node{}
	first = last
	for i := 1; i < 1000; i++ {
		first = &node{next: first}
	}
	go turn()
	for i := 0; i < 16; i++ {
		go func() {
			for seed := i; ; seed++ {
				done := make(chan int)
				go work(seed, done)
				<-done
			}
		}()
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(rounds.Load())
	}
}
