// Package sandbox lets a program do its work in namespaces of its own: what it mounts and starts ends with its first
// process, however that ends, and there is no network but loopback.
package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"soci-layout.test/peer/e2e/leftovers"
)

// folderVariable names the folder to the process that does the work.
const folderVariable = "SOCI_E2E_FOLDER"

const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC

// Worker is the process in the namespaces.
type Worker struct {
	leftovers.Run
	Command *exec.Cmd
	// Events is what it has to say.
	Events *json.Decoder
}

// Folder is that of the worker which this process is, "" where it is none.
func Folder() string { return os.Getenv(folderVariable) }

// Start starts this program again. The calling goroutine must stay on its thread: the
// worker is killed when that ends.
func Start(args []string, out io.Writer) (*Worker, error) {
	folder, err := os.MkdirTemp("/tmp", "se2e-") // short: socket paths have to be
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	w := &Worker{Run: leftovers.Run{Folder: folder}, Events: json.NewDecoder(read)}
	w.Command = exec.Command("/proc/self/exe", args...)
	w.Command.Env = append(os.Environ(), folderVariable+"="+folder)
	w.Command.Stdout, w.Command.Stderr = out, os.Stderr
	w.Command.ExtraFiles = []*os.File{write}
	w.Command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := w.Command.Start(); err != nil {
		return nil, fmt.Errorf("new namespaces: %w", err)
	}
	w.Namespace, err = leftovers.NamespaceOf(w.Command.Process.Pid)
	return w, err
}

// Events writes what the worker that this process is has to say.
func Events() *json.Encoder {
	syscall.CloseOnExec(3)
	return json.NewEncoder(os.NewFile(3, "events"))
}

// Watch passes a signal on, so that the worker ends its programs in their order; a second
// one, or too much time, ends it at once. It ends when `finished` is closed.
func (w *Worker) Watch(finished <-chan struct{}, limit time.Duration) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		late := time.After(limit + time.Minute)
		asked := false
		for {
			select {
			case <-finished:
				return
			case <-signals:
				if asked {
					_ = w.Command.Process.Kill()
				}
				asked = true
				_ = w.Command.Process.Signal(syscall.SIGTERM)
			case <-late:
				fmt.Fprintln(os.Stderr, "gave up: the run takes too long")
				_ = w.Command.Process.Kill()
			}
		}
	}()
}

// IgnorePipe: a reader of the output that goes away must not end a run before its clean-up.
func IgnorePipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
