// Package lab_test builds every scenario, runs both variants and compares what
// they leave behind with the scenario's expectations.
package lab_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"residue.example/lab/internal/drive"
)

// patience is how long one program may run. The slowest needs two seconds.
const patience = time.Minute

// expectation is a scenario's expect.toml. Tables of other lenses than the
// run itself are read by their own tests.
type expectation struct {
	Title     string   `toml:"title"`
	Scenarios []string `toml:"scenarios"`
	Run       struct {
		What     string `toml:"what"`
		Requests int    `toml:"requests"`
		Slack    int    `toml:"slack"`
		Leaky    growth `toml:"leaky"`
		Fixed    growth `toml:"fixed"`
	} `toml:"run"`
	Check []struct {
		Rule   string `toml:"rule"`
		File   string `toml:"file"`
		Mark   string `toml:"mark"`
		Missed string `toml:"missed"`
	} `toml:"check"`
	Inspect []struct {
		Rule string `toml:"rule"`
	} `toml:"inspect"`
	Trace []struct {
		Rule     string `toml:"rule"`
		Mark     string `toml:"mark"`
		Function string `toml:"function"`
		Class    string `toml:"class"`
		Each     int    `toml:"each"`
		Fewer    int    `toml:"fewer"`
		Missed   string `toml:"missed"`
	} `toml:"trace"`
}

// growth is how much more there is than at rest.
type growth struct {
	Load      int `toml:"load"`
	Collected int `toml:"collected"`
}

func (g growth) String() string {
	return fmt.Sprintf("%+d after the load, %+d after a collection", g.Load, g.Collected)
}

func (g growth) within(slack int, want growth) bool {
	near := func(a, b int) bool { return max(a-b, b-a) <= slack }
	return near(g.Load, want.Load) && near(g.Collected, want.Collected)
}

func TestScenarios(t *testing.T) {
	dirs, err := filepath.Glob("scenarios/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 {
		t.Fatal("no scenario found")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := readExpectation(t, dir)
			for variant, left := range map[string]growth{"leaky": want.Run.Leaky, "fixed": want.Run.Fixed} {
				t.Run(variant, func(t *testing.T) {
					checkRun(t, filepath.Join(dir, variant), want, left)
				})
			}
		})
	}
}

func readExpectation(t *testing.T, dir string) expectation {
	t.Helper()
	var want expectation
	meta, err := toml.DecodeFile(filepath.Join(dir, "expect.toml"), &want)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range meta.Undecoded() {
		t.Errorf("expect.toml: unknown key %s", key)
	}
	if want.Title == "" || want.Run.What == "" || want.Run.Requests == 0 {
		t.Fatal("expect.toml: title, run.what or run.requests is missing")
	}
	for _, check := range want.Check {
		checkMark(t, filepath.Join(dir, check.File), check.Mark)
	}
	for _, trace := range want.Trace {
		if trace.Mark != "" {
			checkMark(t, filepath.Join(dir, "leaky/main.go"), trace.Mark)
		}
	}
	return want
}

// checkMark makes sure that an expectation points at exactly one line.
func checkMark(t *testing.T, path, mark string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(source)) {
		if strings.HasSuffix(strings.TrimSpace(line), "// lab: "+mark) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%s: %d lines are marked %q, want 1", path, n, mark)
	}
}

func checkRun(t *testing.T, dir string, want expectation, left growth) {
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", program, "./"+dir).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out := runProgram(t, program, want.Run.Requests)
	what, got := parseEvidence(t, out)
	if what != want.Run.What {
		t.Errorf("counted %q, want %q", what, want.Run.What)
	}
	if !got.within(want.Run.Slack, left) {
		t.Errorf("%s: %v, want %v (slack %d)", what, got, left, want.Run.Slack)
	}
}

func runProgram(t *testing.T, program string, requests int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, program, "-requests", strconv.Itoa(requests))
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == drive.ExitNotPermitted {
		t.Skip(strings.TrimSpace(stderr.String()))
	}
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	return string(out)
}

var evidence = regexp.MustCompile(`(?m)^evidence: what="(.*)" requests=\d+ rest=(\d+) load=(\d+) collected=(\d+)$`)

func parseEvidence(t *testing.T, out string) (what string, left growth) {
	t.Helper()
	match := evidence.FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("no evidence in\n%s", out)
	}
	var counts [3]int
	for i := range counts {
		n, err := strconv.Atoi(match[2+i])
		if err != nil {
			t.Fatal(err)
		}
		counts[i] = n
	}
	rest, load, collected := counts[0], counts[1], counts[2]
	return match[1], growth{load - rest, collected - rest}
}
