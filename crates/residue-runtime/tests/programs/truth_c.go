//go:build withc

package main

// #include <unistd.h>
// static void wait_forever(void) { for (;;) pause(); }
import "C"

func inC() {
	defer nothing("in C", 1)
	tell("c")
	C.wait_forever()
}

func init() { more = append(more, inC) }
