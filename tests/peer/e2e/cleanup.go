package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"soci-layout.test/peer/e2e/leftovers"
	"soci-layout.test/peer/e2e/sandbox"
)

// gone is how long the kernel may take to clear up.
const gone = 20 * time.Second

// cleanUp checks that nothing is left: of the run, of one that is killed in the middle,
// of one that panics; and that the search would find it.
func cleanUp(t *tally, w *sandbox.Worker) {
	t.always("clean-up: no mount, process, control group or file is left", func() []string {
		left := append(w.Gone(gone), w.Files()...)
		return join(left, w.Sweep(), exists(w.Folder))
	})
	t.check("clean-up: control: a mount, a process and a file are found", plantLeftovers)
	t.check("clean-up: a run that is killed with everything up leaves no mount and no process", func() []string {
		return interrupted("kill", func(w *sandbox.Worker) { _ = w.Command.Process.Kill() })
	})
	t.check("clean-up: a run that panics takes everything down in order", func() []string {
		return interrupted("panic", nil)
	})
}

// interrupted runs a worker that gets to a place where everything is up, and ends there.
func interrupted(stage string, end func(*sandbox.Worker)) []string {
	w, err := sandbox.Start([]string{"-stage", stage}, io.Discard)
	if err != nil {
		return []string{err.Error()}
	}
	var e event
	if err := w.Events.Decode(&e); err != nil || !e.Ready {
		_ = w.Command.Process.Kill()
		return join([]string{fmt.Sprintf("it was never ready: %v", err)}, w.Command.Wait(), w.Sweep())
	}
	var problems []string
	if end != nil {
		mounts, processes := w.Mounts(), w.Processes()
		if !strings.Contains(strings.Join(mounts, "\n"), "fuse.") || len(processes) < 4 {
			problems = append(problems, fmt.Sprintf("control: too little was up: %d mounts, %d processes", len(mounts), len(processes)))
		}
		end(w)
	}
	if err := w.Command.Wait(); err == nil {
		problems = append(problems, "it ended well")
	}
	problems = append(problems, w.Gone(gone)...)
	if end == nil { // it had the time to do it all itself
		problems = append(problems, w.Files()...)
	}
	return join(problems, w.Sweep(), exists(w.Folder))
}

// exists is an error when a file is there.
func exists(file string) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s is there", file)
	}
	return nil
}

// plantLeftovers leaves one thing of each kind, looks for them, and takes them away.
func plantLeftovers() []string {
	folder, err := os.MkdirTemp("/tmp", "se2e-")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(folder)
	run := leftovers.Run{Folder: folder}
	if found := run.Find(); len(found) > 0 {
		return append(found, "in an empty folder something was found")
	}
	mounted, file := filepath.Join(folder, "mounted"), filepath.Join(folder, "file")
	sleeper := exec.Command("sleep", "1000")
	sleeper.Dir = folder
	sleeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	problems := join(nil, os.WriteFile(file, nil, 0o644), os.Mkdir(mounted, 0o755),
		unix.Mount("none", mounted, "tmpfs", 0, "size=4k"), sleeper.Start())
	found := strings.Join(run.Find(), "\n")
	for _, want := range []string{"mount ", fmt.Sprintf("process %d", sleeper.Process.Pid), "file " + file} {
		if !strings.Contains(found, want) {
			problems = append(problems, want+": not found")
		}
	}
	if run.Sweep() == nil {
		problems = append(problems, "files below a mount were swept away")
	}
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	return join(problems, unix.Unmount(mounted, 0))
}

// join adds errors to problems.
func join(problems []string, errs ...error) []string {
	for _, err := range errs {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems
}
