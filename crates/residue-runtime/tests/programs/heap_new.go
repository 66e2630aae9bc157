//go:build go1.24

package main

import (
	"runtime"
	"unsafe"
	"weak"
)

type cleaned struct{ thing }

type argument struct{ thing }

var (
	keepCleaned []*cleaned
	keepWeak    []weak.Pointer[cleaned]
)

func sayGone(*argument) { sum++ }

// Cleanups of objects that live, with weak pointers to them.
//
//go:noinline
func more() {
	for i := 0; i < 40; i++ {
		object := &cleaned{}
		runtime.AddCleanup(object, sayGone, &argument{})
		keepCleaned = append(keepCleaned, object)
		keepWeak = append(keepWeak, weak.Make(object))
	}
	say("cleaned", unsafe.Pointer(keepCleaned[0]))
}
