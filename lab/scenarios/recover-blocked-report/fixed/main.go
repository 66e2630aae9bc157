// Command fixed runs jobs in goroutines of their own, some of which panic. Whoever read their
// reports has long ended.
package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"residue.example/lab/internal/drive"
)

var (
	running atomic.Int64
	// Somebody was to read the reports one day.
	reports = make(chan string)
)

// run does a job that can't be done.
func run(n int64) {
	defer running.Add(-1)
	defer func() {
		if caught := recover(); caught != nil {
			select {
			case reports <- fmt.Sprint(caught):
			default:
			}
		}
	}()
	var sizes []int
	sizes[n%8]++
}

func start() (drive.Service, error) {
	var jobs atomic.Int64
	return drive.Service{
		Meter: drive.NewMeter("jobs that don't end", func() (int, error) { return int(running.Load()), nil }),
		Request: func(context.Context) error {
			running.Add(1)
			go run(jobs.Add(1))
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
