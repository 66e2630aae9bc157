// Package gauge counts what a Go process holds: descriptors, goroutines and
// contexts.
package gauge

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
)

// OpenFiles counts the descriptors of this process. The one that reads
// /proc/self/fd is not counted.
func OpenFiles() (int, error) {
	return OpenLinks("")
}

// OpenLinks counts the descriptors whose link target starts with prefix, for
// example "anon_inode:bpf-map".
func OpenLinks(prefix string) (int, error) {
	const table = "/proc/self/fd"
	entries, err := os.ReadDir(table)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, entry := range entries {
		// The descriptor of the directory itself is gone by now.
		target, err := os.Readlink(table + "/" + entry.Name())
		if err == nil && strings.HasPrefix(target, prefix) {
			n++
		}
	}
	return n, nil
}

// Goroutines counts the goroutines alive.
func Goroutines() (int, error) {
	return runtime.NumGoroutine(), nil
}

// Children counts the contexts that parent still knows: children that were
// neither cancelled nor timed out. A lost cancel function is such a child for
// as long as its parent lives. The field has no accessor, so it is read by
// reflection; only a quiet program may call this.
func Children(parent context.Context) (int, error) {
	v := reflect.Indirect(reflect.ValueOf(parent))
	if v.Kind() == reflect.Struct {
		if children := v.FieldByName("children"); children.Kind() == reflect.Map {
			return children.Len(), nil
		}
	}
	return 0, fmt.Errorf("%T has no map of children", parent)
}
