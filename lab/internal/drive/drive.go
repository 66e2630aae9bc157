// Package drive puts a bounded load on a lab service and prints, as one line,
// what the load has left behind.
//
// Every program of the lab is a small service that hands itself to [Main]. It
// is warmed up, counted at rest, put under load, counted again, and counted a
// last time after the garbage collector ran, because "a collection closes it"
// and "nothing ever closes it" are different leaks.
//
// With -every it serves at a steady pace instead, for as long as -for says, so
// that what grows can be seen to grow from outside. The collector runs once at
// rest, when two requests are over, and then no more; what the load has left is
// left as it is.
package drive

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// Exit codes of a lab program. A machine that doesn't allow the experiment is
// neither a pass nor a failure, so it has a code of its own.
const (
	ExitFailed       = 1
	ExitUsage        = 2
	ExitNotPermitted = 77
)

// warmUp requests are served before the count at rest, so that pools, pollers
// and other things opened once don't look like leaks.
const warmUp = 2

// Service is a program under load.
type Service struct {
	// Request serves one request. It runs on one goroutine at a time.
	Request func(ctx context.Context) error
	// Meter counts what a request may leave behind.
	Meter *Meter
	// Close ends the service; nil if there is nothing to end.
	Close func() error
}

// Meter counts one kind of thing.
type Meter struct {
	what  string
	count func() (int, error)

	mu      sync.Mutex
	highest int
}

// NewMeter returns a meter of what, which count tells for this moment.
func NewMeter(what string, count func() (int, error)) *Meter {
	return &Meter{what: what, count: count}
}

// Sample takes a reading in the middle of a request. It is for services that
// let go of everything at the end of a request, but too late.
func (m *Meter) Sample() error {
	n, err := m.count()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.highest = max(m.highest, n)
	return nil
}

// takeHighest returns the highest sample and forgets it.
func (m *Meter) takeHighest() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.highest
	m.highest = 0
	return n
}

// settled reads the meter until it stands still: the other end of a connection
// needs a moment to see that it was closed.
func (m *Meter) settled() (int, error) {
	const steady, pause, patience = 8, 25 * time.Millisecond, 5 * time.Second
	last, same := -1, 0
	for deadline := time.Now().Add(patience); same < steady; time.Sleep(pause) {
		n, err := m.count()
		if err != nil {
			return 0, err
		}
		if n != last {
			if time.Now().After(deadline) {
				return 0, fmt.Errorf("%s: still changing after %v", m.what, patience)
			}
			last, same = n, 0
			continue
		}
		same++
	}
	return last, nil
}

// Main starts the service, drives it and prints the evidence. It ends the
// process unless -hold was given.
func Main(start func() (Service, error)) {
	requests := flag.Int("requests", 100, "requests to serve")
	hold := flag.Bool("hold", false, "stay alive after the load, until interrupted")
	every := flag.Duration("every", 0, "serve one request in this time; and don't collect after the load")
	length := flag.Duration("for", 0, "serve requests for so long, however many they are; needs -every")
	flag.Parse()
	if *length > 0 && *every <= 0 {
		fmt.Fprintln(os.Stderr, "error: -for needs -every")
		os.Exit(ExitUsage)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, start, plan{requests: *requests, every: *every, length: *length}, *hold)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOSYS):
		fmt.Fprintln(os.Stderr, "not permitted on this machine:", err)
		os.Exit(ExitNotPermitted)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(ExitFailed)
	}
}

// plan is how much load there is to be.
type plan struct {
	// requests to serve, unless length says how long.
	requests int
	length   time.Duration
	// every is the time from one request to the next; 0 if one follows the other.
	every time.Duration
}

func run(ctx context.Context, start func() (Service, error), plan plan, hold bool) (err error) {
	service, err := start()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if service.Close != nil {
		defer func() { err = errors.Join(err, service.Close()) }()
	}
	if plan.every > 0 {
		fmt.Printf("serving pid=%d\n", os.Getpid())
	}
	var rest, percent int
	requests, err := load(ctx, service, plan, func() error {
		// What the warm-up left to the collector must not be collected under load.
		if rest, err = collected(service.Meter); err != nil {
			return err
		}
		service.Meter.takeHighest()
		// The collector is paused under load: the count is then what the program
		// closes itself, not what the pacer happens to get to in time.
		percent = debug.SetGCPercent(-1)
		return nil
	})
	if err != nil {
		return err
	}
	read := service.Meter.settled
	if plan.every > 0 {
		// Some meters open and close a lot; who watches from outside sees the end of the load by the silence after it.
		read = service.Meter.count
	}
	loaded, err := read()
	if err != nil {
		return err
	}
	loaded = max(loaded, service.Meter.takeHighest())
	fmt.Printf("evidence: what=%q requests=%d rest=%d load=%d", service.Meter.what, requests, rest, loaded)
	if plan.every == 0 {
		debug.SetGCPercent(percent)
		after, err := collected(service.Meter)
		if err != nil {
			return err
		}
		fmt.Printf(" collected=%d", after)
	}
	fmt.Println()
	if hold {
		fmt.Printf("ready pid=%d\n", os.Getpid())
		<-ctx.Done()
	}
	return nil
}

// load serves the requests of the warm-up, says that it is at rest, and serves
// those of the plan, which it counts. All are served in one place, so that a
// stack that is seen under load was seen in the warm-up, too.
func load(ctx context.Context, service Service, plan plan, atRest func() error) (served int, err error) {
	next := time.NewTicker(max(plan.every, 1))
	defer next.Stop()
	var end time.Time
	for i := 0; ; i++ {
		if i == warmUp {
			if err := atRest(); err != nil {
				return 0, err
			}
			end = time.Now().Add(plan.length)
		}
		if i >= warmUp {
			served = i - warmUp
			if plan.length > 0 && time.Now().After(end) || plan.length == 0 && served == plan.requests {
				return served, nil
			}
			if plan.every > 0 {
				<-next.C
			}
		}
		if err := ctx.Err(); err != nil {
			return served, err
		}
		if err := service.Request(ctx); err != nil {
			return served, fmt.Errorf("request %d: %w", i, err)
		}
	}
}

// collected runs the collector and reads the meter. Cleanups and finalizers run
// on goroutines of their own after a collection, and a chain of them takes one
// collection a link, hence the repetition.
func collected(m *Meter) (int, error) {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	return m.settled()
}
