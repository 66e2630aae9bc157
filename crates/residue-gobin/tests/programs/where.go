// Prints what the runtime says of each instruction whose address comes in: function, file, line.
//
// The first number is where this function should be, for programs that are loaded somewhere else.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (p pair[K, V]) describe(f func(K) string) string {
	defer func() { _ = p.value }()
	return f(p.key)
}

//go:noinline
func (p *pair[K, V]) set(value V) { p.value = value }

func short(n int) int { return n + len(os.Args) }

func longer(n int) int { return short(n) * short(n+1) }

func main() {
	p := pair[int, string]{key: longer(3)}
	p.set(p.describe(func(n int) string { return strings.Repeat("x", n%3) }))
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	var slide uintptr
	for first := true; in.Scan(); first = false {
		pc, _ := strconv.ParseUint(in.Text(), 16, 64)
		if first {
			slide = here() - uintptr(pc)
			continue
		}
		// A return address is one more than the instruction that is meant.
		frame, _ := runtime.CallersFrames([]uintptr{uintptr(pc) + slide + 1}).Next()
		fmt.Fprintf(out, "%s\t%s\t%d\n", frame.Function, frame.File, frame.Line)
	}
}

// here is where main.here begins.
//
//go:noinline
func here() uintptr {
	pc, _, _, _ := runtime.Caller(0)
	return runtime.FuncForPC(pc).Entry()
}
