// Command run runs a program as a whole process and tells what it cost, as JSON on
// standard output. It is not part of the driver because Linux counts the memory of
// whoever starts a program to the program's peak, and this process is small.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Cost in nanoseconds and bytes.
type Cost struct {
	Status  int   `json:"status"`
	Wall    int64 `json:"wall"`
	CPU     int64 `json:"cpu"`
	Peak    int64 `json:"peak"`
	Written int64 `json:"written"`
	Dirtied int64 `json:"dirtied"`
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "run PROGRAM [ARGUMENT]...")
		os.Exit(2)
	}
	cost, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(cost)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

// run sends the program's standard output nowhere.
func run(argv []string) (*Cost, error) {
	command := exec.Command(argv[0], argv[1:]...)
	command.Stderr = os.Stderr
	start := time.Now()
	if err := command.Start(); err != nil {
		return nil, err
	}
	if err := waitNotReap(command.Process.Pid); err != nil {
		return nil, err
	}
	wall := time.Since(start)
	written, dirtied, err := output(command.Process.Pid)
	if err != nil {
		return nil, err
	}
	if err := command.Wait(); command.ProcessState == nil {
		return nil, err
	}
	state := command.ProcessState
	return &Cost{
		Status:  state.ExitCode(),
		Wall:    wall.Nanoseconds(),
		CPU:     (state.UserTime() + state.SystemTime()).Nanoseconds(),
		Peak:    state.SysUsage().(*syscall.Rusage).Maxrss * 1024,
		Written: written,
		Dirtied: dirtied,
	}, nil
}

// waitNotReap waits until the process ends and leaves it in /proc.
func waitNotReap(pid int) error {
	const pPID, wExited, wNoWait = 1, 4, 0x01000000
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), 0, wExited|wNoWait, 0, 0)
		if errno != syscall.EINTR {
			if errno != 0 {
				return errno
			}
			return nil
		}
	}
}

// output is what the process gave to write calls, and how much of the page cache it made dirty.
func output(pid int) (written, dirtied int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for line := range strings.Lines(string(text)) {
		var name string
		var value int64
		if _, err := fmt.Sscan(line, &name, &value); err != nil {
			return 0, 0, err
		}
		switch name {
		case "wchar:":
			written = value
		case "write_bytes:":
			dirtied = value
		}
	}
	return written, dirtied, err
}
