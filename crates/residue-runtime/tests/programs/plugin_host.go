// Opens the plugins that it is told, which say what they hold and start. A line on stdin asks for the stacks of all
// goroutines, as the runtime prints them.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"plugin"
	"runtime"
	"sync"
)

var mu sync.Mutex

func say(format string, args ...any) {
	mu.Lock()
	defer mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func main() {
	for _, path := range os.Args[1:] {
		opened, err := plugin.Open(path)
		if err != nil {
			panic(err)
		}
		start, err := opened.Lookup("Start")
		if err != nil {
			panic(err)
		}
		start.(func(func(string, ...any)))(say)
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Printf("%s\nend\n", bytes.TrimSpace(stacks))
	}
}
