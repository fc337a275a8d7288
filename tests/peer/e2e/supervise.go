package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"soci-layout.test/peer/e2e/leftovers"
)

// insideVariable names the folder to the process that does the work.
const insideVariable = "SOCI_E2E_FOLDER"

// namespaces that the work is done in: what it mounts and starts ends with its first
// process, however that ends, and there is no network but loopback.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC

// gone is how long the kernel may take to clear up.
const gone = 20 * time.Second

// worker is the process in the namespaces.
type worker struct {
	leftovers.Run
	command *exec.Cmd
	// events is what it has to say: "ready", then its tally.
	events *json.Decoder
}

// event is a message of the worker.
type event struct {
	Ready          bool
	Done           bool
	Passed, Failed int
}

// newWorker starts this program again. The calling goroutine must stay on its thread: the
// worker is killed when that ends.
func newWorker(args []string, out io.Writer) (*worker, error) {
	folder, err := os.MkdirTemp("/tmp", "se2e-") // short: socket paths have to be
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	w := &worker{Run: leftovers.Run{Folder: folder}, events: json.NewDecoder(read)}
	w.command = exec.Command("/proc/self/exe", args...)
	w.command.Env = append(os.Environ(), insideVariable+"="+folder)
	w.command.Stdout, w.command.Stderr = out, os.Stderr
	w.command.ExtraFiles = []*os.File{write}
	w.command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := w.command.Start(); err != nil {
		return nil, fmt.Errorf("new namespaces: %w", err)
	}
	w.Namespace, err = leftovers.NamespaceOf(w.command.Process.Pid)
	return w, err
}

// supervise runs all checks in a worker and then looks at what is left on the machine.
func supervise(o options) int {
	runtime.LockOSThread()
	ignorePipe()
	start := time.Now()
	w, err := newWorker(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return failed
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	finished := make(chan struct{})
	go w.watch(signals, finished, o.limit)
	sum := w.results()
	err = w.command.Wait()
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

// watch passes a signal on, so that the worker ends its programs in their order; a second
// one, or too much time, ends it at once.
func (w *worker) watch(signals <-chan os.Signal, finished <-chan struct{}, limit time.Duration) {
	late := time.After(limit + time.Minute)
	asked := false
	for {
		select {
		case <-finished:
			return
		case <-signals:
			if asked {
				_ = w.command.Process.Kill()
			}
			asked = true
			_ = w.command.Process.Signal(syscall.SIGTERM)
		case <-late:
			fmt.Fprintln(os.Stderr, "e2e: gave up")
			_ = w.command.Process.Kill()
		}
	}
}

// results reads the worker's messages until it has none more.
func (w *worker) results() event {
	var last event
	for {
		var e event
		if w.events.Decode(&e) != nil {
			return last
		}
		last = e
	}
}

// ignorePipe: a reader of the output that goes away must not end a run before its clean-up.
func ignorePipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
