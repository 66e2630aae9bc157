// Command fdleaks leaves descriptors open in a way that its first argument names, or doesn't. What it prints is the truth.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
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

type store struct{ files []*os.File }

//go:noinline
func (s *store) keep() {
	f, err := os.Open("/etc/hosts")
	if err != nil {
		panic(err)
	}
	s.files = append(s.files, f)
}

//go:noinline
func closed() {
	f, err := os.Open("/etc/hosts")
	if err != nil {
		panic(err)
	}
	f.Close()
}

// deep puts ten equal frames between the opener and those who want something opened.
//
//go:noinline
func deep(n int) int {
	if n == 0 {
		return raw()
	}
	return deep(n-1) | 0
}

//go:noinline
func first() { deep(10) }

//go:noinline
func second() { deep(10) }

//go:noinline
func twice() {
	fd := raw()
	syscall.Close(fd)
	syscall.Close(fd)
}

//go:noinline
func stranger() {
	f, err := os.Open("/etc/hosts")
	if err != nil {
		panic(err)
	}
	syscall.Close(int(f.Fd()))
	f.Close()
}

//go:noinline
func lost() { raw() }

// storm opens and closes with as many goroutines as fast as they can, and loses some on the way.
func storm(goroutines int, wanted time.Duration) {
	var opens, leaks atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(wanted)
	for i := 0; i < goroutines; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; time.Now().Before(end); i++ {
				syscall.Close(raw())
				opens.Add(1)
				if i%1000 == 0 && i < 50_000 {
					lost()
					leaks.Add(1)
				}
			}
		}()
	}
	all.Wait()
	fmt.Println("opens", opens.Load(), "leaks", leaks.Load())
}

func main() {
	s := new(store)
	number := func() int {
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		return n
	}
	switch os.Args[1] {
	case "leaky":
		for i := 0; i < 20; i++ {
			raw()
			s.keep()
			closed()
		}
	case "fixed":
		for i := 0; i < 20; i++ {
			syscall.Close(raw())
			s.keep()
			closed()
		}
		for _, f := range s.files {
			f.Close()
		}
	case "twins":
		for i := 0; i < 3; i++ {
			first()
			second()
			second()
		}
	case "many":
		for i, n := 0, number(); i < n; i++ {
			raw()
		}
	case "twice":
		for i := 0; i < 5; i++ {
			twice()
		}
	case "stranger":
		for i := 0; i < 5; i++ {
			stranger()
		}
	case "storm":
		storm(8, time.Duration(number())*time.Millisecond)
	case "forks":
		for i, n := 0, number(); i < n; i++ {
			exec.Command("/bin/true").Run()
		}
		raw()
		raw()
	case "child":
		child := exec.Command(os.Args[0], "leaky")
		if err := child.Run(); err != nil {
			panic(err)
		}
	case "grow": // until its input ends
		for i := 0; i < 10; i++ {
			raw()
		}
		fmt.Println("ready")
		go func() {
			for {
				lost()
				time.Sleep(5 * time.Millisecond)
			}
		}()
		os.Stdin.Read(make([]byte, 1))
	}
	fmt.Println("done", len(s.files))
}
