package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"

	"soci-layout.test/peer/e2e/sandbox"
)

// event is a message of the worker: "ready", then its tally.
type event struct {
	Ready          bool
	Done           bool
	Passed, Failed int
}

// supervise runs all checks in a worker and then looks at what is left on the machine.
func supervise(o options) int {
	runtime.LockOSThread()
	sandbox.IgnorePipe()
	start := time.Now()
	w, err := sandbox.Start(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return failed
	}
	finished := make(chan struct{})
	w.Watch(finished, o.limit)
	sum := lastEvent(w.Events)
	err = w.Command.Wait()
	close(finished)

	t := newTally(o, os.Stdout)
	t.passed, t.failed = sum.Passed, sum.Failed
	if !sum.Done {
		t.report("the run came to its end", 0, []string{fmt.Sprintf("it did not: %v", err)})
	}
	cleanUp(t, w)
	t.end(start)
	if t.failed > 0 {
		return failed
	}
	return passed
}

// lastEvent reads the worker's messages until it has none more.
func lastEvent(events *json.Decoder) event {
	var last event
	for {
		var e event
		if events.Decode(&e) != nil {
			return last
		}
		last = e
	}
}
