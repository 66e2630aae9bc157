// Command fixed makes previews of documents. A document that no converter
// understands must not stop the worker, so each job is recovered.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// converter turns the start of a document into text.
type converter func(head []byte) string

// plain is one of the converters. Nobody promises that they don't panic.
func plain(head []byte) string {
	if head[0] == 0 {
		panic("not a text")
	}
	return string(head)
}

type worker struct {
	convert converter
	previews,
	failures int
}

// handle makes one preview, whatever comes of it.
func (w *worker) handle(path string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			w.failures++
			err = fmt.Errorf("%s: %v", filepath.Base(path), v)
		}
	}()
	return w.preview(path)
}

func (w *worker) preview(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err == nil && w.convert(head[:n]) != "" {
		w.previews++
	}
	return err
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-documents")
	if err != nil {
		return drive.Service{}, err
	}
	path := filepath.Join(dir, "scan.tiff")
	if err := os.WriteFile(path, []byte("\x00\x2a pixels"), 0o600); err != nil {
		return drive.Service{}, errors.Join(err, os.RemoveAll(dir))
	}
	w := &worker{convert: plain}
	return drive.Service{
		Meter: drive.NewMeter("open documents", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			if err := w.handle(path); err == nil {
				return errors.New("the document was understood")
			}
			return nil
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
