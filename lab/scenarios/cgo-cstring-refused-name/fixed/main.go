// Command fixed registers names, after the C library has said whether they are
// made of letters that its locale can compare.
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

// document is what one request carries, in bytes.
const document = 4096

var errRefused = errors.New("the name has a slash")

// register checks a name.
func register(name string) (int, error) {
	cs := C.CString(name)
	defer C.free(unsafe.Pointer(cs))
	if C.strchr(cs, '/') != nil {
		return 0, errRefused
	}
	return int(C.strlen(cs)), nil
}

func start() (drive.Service, error) {
	name := strings.Repeat("a", document) + "/"
	return drive.Service{
		Meter: drive.NewMeter("documents in the C heap", func() (int, error) {
			return cheap.Blocks(document)
		}),
		Request: func(context.Context) error {
			if _, err := register(name); !errors.Is(err, errRefused) {
				return errors.New("the name was not refused")
			}
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
