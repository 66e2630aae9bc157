// Command leaky serves thumbnails and keeps the files it serves open, so that
// the next request finds them.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// pictures is how many thumbnails there are.
const pictures = 400

// cache keeps files open. Nothing is wrong with keeping them; the question is
// who lets them go.
type cache struct {
	dir string

	mu   sync.Mutex
	open map[string]*os.File
}

// size returns how long a picture is.
func (c *cache) size(name string) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := c.file(name)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// file returns an open picture. The caller holds the lock while it uses it.
func (c *cache) file(name string) (*os.File, error) {
	if f, ok := c.open[name]; ok {
		return f, nil
	}
	f, err := os.Open(filepath.Join(c.dir, name)) // lab: opened
	if err != nil {
		return nil, err
	}
	c.open[name] = f
	return f, nil
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-thumbnails")
	if err != nil {
		return drive.Service{}, err
	}
	for i := range pictures {
		if err := os.WriteFile(filepath.Join(dir, name(i)), []byte("JFIF"), 0o600); err != nil {
			return drive.Service{}, err
		}
	}
	thumbnails, next := &cache{dir: dir, open: make(map[string]*os.File)}, 0
	return drive.Service{
		Meter: drive.NewMeter("open thumbnails", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			next = (next + 1) % pictures
			_, err := thumbnails.size(name(next))
			return err
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func name(i int) string { return fmt.Sprintf("%04d.jpg", i) }

func main() { drive.Main(start) }
