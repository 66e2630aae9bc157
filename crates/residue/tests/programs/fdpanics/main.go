// Command fdpanics panics and recovers in a way that its first argument names, with descriptors open. What it prints is the
// truth: panics, recoveries, descriptors lost.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

//go:noinline
func raw() int {
	fd, err := syscall.Open("/etc/passwd", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return fd
}

type node struct{ next *node }

// convert fails in one of the ways in which Go panics.
//
//go:noinline
func convert(n int) int {
	var list *node
	numbers := make([]int, 3)
	switch n % 4 {
	case 0:
		panic("not a text")
	case 1:
		return numbers[n] // n is at least 5
	case 2:
		if list.next != nil { // a fault
			return 1
		}
	}
	return n / (n % 4 / 4)
}

// inner panics and recovers by itself, as parsers do.
//
//go:noinline
func inner() (err error) {
	defer func() { err, _ = recover().(error) }()
	panic(fmt.Errorf("inner"))
}

//go:noinline
func leaky(n int) error {
	fd := raw()
	_ = inner()
	convert(n)
	return syscall.Close(fd)
}

//go:noinline
func fixed(n int) error {
	fd := raw()
	defer syscall.Close(fd)
	_ = inner()
	convert(n)
	return nil
}

// itself opens, panics and recovers in one function.
//
//go:noinline
func itself(n int) (err error) {
	defer func() { err, _ = recover().(error) }()
	fd := raw()
	convert(n)
	return syscall.Close(fd)
}

var kept []int

// keeps has a descriptor owned by somebody who lives on.
//
//go:noinline
func keeps(int) error {
	kept = append(kept, raw())
	return nil
}

//go:noinline
func onlyPanics(n int) error {
	convert(n)
	return nil
}

// late closes on another way, after the panic.
//
//go:noinline
func late(n int) error {
	fd := raw()
	kept = append(kept, fd)
	convert(n)
	return nil
}

//go:noinline
func safely(job func(int) error, n int) (recovered bool) {
	defer func() {
		if recover() != nil {
			recovered = true
		}
	}()
	return job(n) != nil
}

func main() {
	what, times := os.Args[1], 20
	if len(os.Args) > 2 {
		times, _ = strconv.Atoi(os.Args[2])
	}
	recovered := 0
	var lock sync.Mutex
	switch what {
	case "leaky", "fixed":
		job := leaky
		if what == "fixed" {
			job = fixed
		}
		// On goroutines of their own, as a server has them.
		var wait sync.WaitGroup
		for g := 0; g < 4; g++ {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for n := 0; n < times/4; n++ {
					if safely(job, n+4) {
						lock.Lock()
						recovered++
						lock.Unlock()
					}
				}
			}()
		}
		wait.Wait()
	case "itself":
		for n := 0; n < times; n++ {
			_ = itself(n + 4)
		}
		recovered = times
	case "keeps":
		for n := 0; n < times; n++ {
			safely(keeps, n)
			if safely(onlyPanics, n+4) {
				recovered++
			}
		}
	case "late":
		for n := 0; n < times; n++ {
			if safely(late, n+4) {
				recovered++
			}
		}
		for _, fd := range kept {
			syscall.Close(fd)
		}
	case "forever": // and says now and then that it is fine
		fmt.Println("ready")
		for {
			lost := 0
			for n := 0; n < 1000; n++ {
				if !safely(fixed, n+4) {
					lost++
				}
				time.Sleep(50 * time.Microsecond)
			}
			if lost > 0 {
				fmt.Println("lost", lost)
			}
			fmt.Println("fine")
		}
	case "crash":
		fd := raw()
		convert(4)
		syscall.Close(fd)
	}
	runtime.KeepAlive(kept)
	fmt.Println(what, times, recovered)
}
