// Another plugin, with a goroutine and an object.
package main

import (
	"bytes"
	"runtime"
)

type alone struct{ rest [80]*alone }

var (
	keepAlone *alone
	forever   = make(chan int)
)

func wait(say func(string, ...any), started chan int) {
	defer func() { println("never", cap(started)) }()
	buf := make([]byte, 64)
	say("g %s other", bytes.Fields(buf[:runtime.Stack(buf, false)])[1])
	started <- 1
	<-forever
}

// Start does all of it.
func Start(say func(string, ...any)) {
	keepAlone = new(alone)
	say("object alone %p", keepAlone)
	started := make(chan int)
	go wait(say, started)
	<-started
}
