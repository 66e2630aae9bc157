// Command leaky takes uploads and remembers what to tell about each when the
// day's report is written.
package main

import (
	"context"
	"os"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

// report is written at the end of the day: a line from each of these.
var report []func() string

// take stores an upload and remembers to tell about it.
func take(dir string, body []byte) error {
	f, err := os.CreateTemp(dir, "upload-*") // lab: opened
	if err != nil {
		return err
	}
	if _, err := f.Write(body); err != nil {
		f.Close()
		return err
	}
	report = append(report, func() string { return "stored " + f.Name() })
	return nil
}

func start() (drive.Service, error) {
	dir, err := os.MkdirTemp("", "lab-uploads")
	if err != nil {
		return drive.Service{}, err
	}
	return drive.Service{
		Meter:   drive.NewMeter("open uploads", func() (int, error) { return gauge.OpenLinks(dir) }),
		Request: func(context.Context) error { return take(dir, []byte("invoice")) },
		Close:   func() error { return os.RemoveAll(dir) },
	}, nil
}

func main() { drive.Main(start) }
