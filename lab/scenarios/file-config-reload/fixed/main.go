// Command fixed serves a configuration that is read anew whenever its file
// has changed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

type settings struct {
	Listen  string   `json:"listen"`
	Origins []string `json:"origins"`
}

type configStore struct {
	path    string
	changed time.Time
	current settings
}

// reload reads the file if it is newer than what the store holds.
func (s *configStore) reload() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.ModTime().After(s.changed) {
		return nil
	}
	raw := make([]byte, info.Size())
	if _, err := f.ReadAt(raw, 0); err != nil {
		return err
	}
	next := settings{}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&next); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.current, s.changed = next, info.ModTime()
	return nil
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-config")
	if err != nil {
		return drive.Service{}, err
	}
	store := &configStore{path: filepath.Join(dir, "service.json")}
	const first = `{"listen": "127.0.0.1:8443", "origins": ["https://shop.example"]}`
	if err := os.WriteFile(store.path, []byte(first), 0o600); err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter:   drive.NewMeter("open files", gauge.OpenFiles),
		Request: func(context.Context) error { return store.reload() },
		Close:   func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
