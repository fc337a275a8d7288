package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"time"
)

// shown is how many problems of a check are printed.
const shown = 8

// tally prints a line for each check and counts them.
type tally struct {
	options
	out            io.Writer
	passed, failed int
	// notes of the check that runs.
	notes []string
	// ended says why there can be no more checks, nil if there can.
	ended func() error
}

func newTally(o options, out io.Writer) *tally {
	return &tally{options: o, out: out, ended: func() error { return nil }}
}

// check runs one check, which gives its problems. A panic is one.
func (t *tally) check(name string, f func() []string) {
	if !t.only.MatchString(name) || t.ended() != nil {
		return
	}
	t.always(name, f)
}

// always runs a check that is not to be left out.
func (t *tally) always(name string, f func() []string) {
	start := time.Now()
	problems := guarded(f)
	t.report(name, time.Since(start), problems)
}

func guarded(f func() []string) (problems []string) {
	defer func() {
		if r := recover(); r != nil {
			problems = append(problems, fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	return f()
}

func (t *tally) report(name string, took time.Duration, problems []string) {
	word := "ok  "
	if len(problems) == 0 {
		t.passed++
	} else {
		t.failed++
		word = "FAIL"
	}
	fmt.Fprintf(t.out, "  %s  %s (%.1f s)\n", word, name, took.Seconds())
	for _, n := range t.notes {
		fmt.Fprintf(t.out, "          %s\n", n)
	}
	t.notes = nil
	for i, p := range problems {
		if i == shown && !t.verbose {
			fmt.Fprintf(t.out, "        … and %d more (-v shows all)\n", len(problems)-shown)
			break
		}
		fmt.Fprintf(t.out, "        %s\n", p)
	}
}

// note says what a check has seen; it is printed below the check.
func (t *tally) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *tally) end(start time.Time) {
	fmt.Fprintf(t.out, "%d passed, %d failed in %.0f s\n", t.passed, t.failed, time.Since(start).Seconds())
}
