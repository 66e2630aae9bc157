// Command leaky serves thumbnails from files that it keeps open in a sync.Map.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// cache keeps one file open for each name.
type cache struct {
	dir  string
	open sync.Map // of *os.File by name
}

// size returns how long a picture is.
func (c *cache) size(name string) (int64, error) {
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

// file returns the one open file of that name. Who comes second, or comes
// again, has opened one more that the map does not take.
func (c *cache) file(name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(c.dir, name)) // lab: opened
	if err != nil {
		return nil, err
	}
	kept, _ := c.open.LoadOrStore(name, f)
	return kept.(*os.File), nil
}

// Close lets all of them go.
func (c *cache) Close() (err error) {
	for _, f := range c.open.Range {
		err = errors.Join(err, f.(*os.File).Close())
	}
	c.open.Clear()
	return err
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-thumbnails")
	if err != nil {
		return drive.Service{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "cat.jpg"), []byte("JFIF"), 0o600); err != nil {
		return drive.Service{}, err
	}
	thumbnails := &cache{dir: dir}
	return drive.Service{
		Meter: drive.NewMeter("open thumbnails", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error {
			_, err := thumbnails.size("cat.jpg")
			return err
		},
		Close: func() error { return errors.Join(thumbnails.Close(), os.RemoveAll(dir)) },
	}, nil
}

func main() { drive.Main(start) }
