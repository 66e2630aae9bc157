// Command leaky merges the parts of an upload. It opens each part once and
// remembers it by its name for as long as the merge takes.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// parts is how many files an upload has.
const parts = 8

// merge returns how long the whole will be, in the order that is asked for.
func merge(dir string, order []int) (size int64, err error) {
	open := make(map[int]*os.File)
	for _, i := range order {
		f, ok := open[i]
		if !ok {
			f, err = os.Open(part(dir, i)) // lab: opened
			if err != nil {
				return 0, err
			}
			open[i] = f
		}
		info, err := f.Stat()
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}

func part(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%02d.part", i)) }

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-upload")
	if err != nil {
		return drive.Service{}, err
	}
	var order []int
	for i := range parts {
		if err := os.WriteFile(part(dir, i), []byte("part"), 0o600); err != nil {
			return drive.Service{}, err
		}
		order = append(order, i, i)
	}
	return drive.Service{
		Meter: drive.NewMeter("open parts", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			_, err := merge(dir, order)
			return err
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
