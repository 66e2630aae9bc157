// Command types loads packages with their whole dependencies from source, bodies typed, as analysers that need typed
// syntax do, and prints how many packages, files and bytes that were.
//
//	types PATTERN...
package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/tools/go/packages"
)

func main() {
	config := &packages.Config{Mode: packages.LoadAllSyntax, Env: append(os.Environ(), "CGO_ENABLED=0")}
	roots, err := packages.Load(config, os.Args[1:]...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var count, files, size int
	packages.Visit(roots, nil, func(p *packages.Package) {
		count++
		for _, file := range p.Syntax {
			files++
			size += int(file.FileEnd - file.FileStart)
		}
	})
	fmt.Println(count, files, size)
	runtime.KeepAlive(roots)
}
