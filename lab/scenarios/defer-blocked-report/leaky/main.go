// Command leaky runs jobs in goroutines of their own. Whoever read their
// reports has long ended.
package main

import (
	"context"
	"sync/atomic"

	"residue.example/lab/internal/drive"
)

var (
	running atomic.Int64
	done    atomic.Int64
	// Somebody was to read the reports one day.
	reports = make(chan int64)
)

// run does a job, and tells that it has.
func run(n int64) {
	defer running.Add(-1)
	defer func() { reports <- n }()
	done.Add(1)
}

func start() (drive.Service, error) {
	var jobs atomic.Int64
	return drive.Service{
		Meter: drive.NewMeter("workers that don't end", func() (int, error) { return int(running.Load()), nil }),
		Request: func(context.Context) error {
			running.Add(1)
			go run(jobs.Add(1))
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
