// Command parse measures go/parser: it reads all Go files below some directories into memory, parses them, and prints
// how many files and bytes that were, how many files were refused, and the CPU time in nanoseconds, the collector's
// included.
//
// crates/residue-syntax/examples/throughput.rs does the same for the other side.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const mode = parser.ParseComments | parser.SkipObjectResolution

func main() {
	log.SetFlags(0)
	keep := flag.Bool("keep-trees", false, "keep all trees to the end")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	var files [][]byte
	bytes := 0
	for _, dir := range flag.Args() {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".go" {
				return err
			}
			src, err := os.ReadFile(path)
			files = append(files, src)
			bytes += len(src)
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	var trees []*ast.File
	refused := 0
	runtime.GC()
	before := cpuTime()
	for _, src := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), "", src, mode)
		if err != nil {
			refused++
		}
		if *keep {
			trees = append(trees, tree)
		}
	}
	took := cpuTime() - before
	runtime.KeepAlive(trees)
	fmt.Println(len(files), bytes, refused, took.Nanoseconds())
}

// cpuTime is the user and system time of the process.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
