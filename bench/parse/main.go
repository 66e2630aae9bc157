// Command parse measures go/parser: it reads all Go files below some directories into memory, parses them a number of
// times, and prints how many bytes that were and how much CPU time the fastest round took, the collector's included.
//
// crates/residue-syntax/examples/throughput.rs does the same for the other side.
package main

import (
	"flag"
	"fmt"
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
	rounds := flag.Int("rounds", 1, "how often to parse everything")
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

	fastest := time.Duration(0)
	refused := 0
	for range *rounds {
		runtime.GC()
		refused = 0
		before := cpuTime()
		for _, src := range files {
			if _, err := parser.ParseFile(token.NewFileSet(), "", src, mode); err != nil {
				refused++
			}
		}
		if took := cpuTime() - before; fastest == 0 || took < fastest {
			fastest = took
		}
	}
	fmt.Println(len(files), bytes, refused, fastest.Nanoseconds())
}

// cpuTime is the user and system time of the process.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
