// Command fixed compares names the way the C library's locale does.
package main

// #include <stdlib.h>
// #include <string.h>
import "C"

import (
	"context"
	"errors"
	"strings"
	"unsafe"

	"residue.example/lab/internal/cheap"
	"residue.example/lab/internal/drive"
)

// document is what one request compares, in bytes.
const document = 4096

// collates tells whether a sorts before b.
func collates(a, b string) bool {
	first := C.CString(a)
	defer C.free(unsafe.Pointer(first))
	second := C.CString(b)
	defer C.free(unsafe.Pointer(second))
	return C.strcoll(first, second) < 0
}

func start() (drive.Service, error) {
	a, b := strings.Repeat("a", document), strings.Repeat("b", document)
	return drive.Service{
		Meter: drive.NewMeter("documents in the C heap", func() (int, error) {
			return cheap.Blocks(document)
		}),
		Request: func(context.Context) error {
			if !collates(a, b) {
				return errors.New("a sorts after b")
			}
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
