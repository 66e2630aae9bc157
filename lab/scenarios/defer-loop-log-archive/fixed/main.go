// Command fixed archives the day's log files into one digest.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// files is how many logs a day has.
const files = 64

// archiver digests logs. Its progress function is called after each one.
type archiver struct {
	progress func() error
}

// archive digests every log in dir.
func (a archiver) archive(dir string) ([]byte, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	for _, path := range paths {
		if err := add(digest, path); err != nil {
			return nil, err
		}
		if err := a.progress(); err != nil {
			return nil, err
		}
	}
	return digest.Sum(nil), nil
}

// add digests one log.
func add(digest hash.Hash, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(digest, f)
	return err
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-logs")
	if err != nil {
		return drive.Service{}, err
	}
	for i := range files {
		name := filepath.Join(dir, fmt.Sprintf("%03d.log", i))
		if err := os.WriteFile(name, []byte("GET /cart 200\n"), 0o600); err != nil {
			return drive.Service{}, err
		}
	}
	meter := drive.NewMeter("open files", gauge.OpenFiles)
	service := archiver{progress: meter.Sample}
	return drive.Service{
		Meter: meter,
		Request: func(context.Context) error {
			_, err := service.archive(dir)
			return err
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
