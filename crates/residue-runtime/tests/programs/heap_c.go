//go:build withc

package main

// #include <unistd.h>
// static void wait_forever(void) { for (;;) pause(); }
import "C"

func init() { go C.wait_forever() }
