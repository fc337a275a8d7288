// Package host runs the consumer's programs: containerd, the snapshotter, registries,
// and looks at their mounts. All in one folder, all ended by pid.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startLimit is far beyond what any program takes to be there, on a busy machine too.
	startLimit = time.Minute
	stopLimit  = 30 * time.Second
	// commandLimit is for one command of a client.
	commandLimit = 3 * time.Minute
)

// process is a program that runs until it is stopped.
type process struct {
	name    string
	logFile string
	command *exec.Cmd
	ended   chan struct{}
	err     error
}

// start runs a program in a process group of its own: Ctrl-C is for the run, which ends
// its programs in their order.
func start(dir, name string, command *exec.Cmd) (*process, error) {
	p := &process{name: name, logFile: filepath.Join(dir, name+".log"), command: command, ended: make(chan struct{})}
	out, err := os.Create(p.logFile)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	command.Dir = dir
	command.Stdout, command.Stderr = out, out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// ready waits until a condition holds, as long as the program lives.
func (p *process) ready(ctx context.Context, holds func() bool) error {
	limit := time.After(startLimit)
	for !holds() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.ended:
			return fmt.Errorf("%s ended at its start: %w\n%s", p.name, p.err, p.tail())
		case <-limit:
			return fmt.Errorf("%s is not ready after %v\n%s", p.name, startLimit, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// stop ends the program, by force if it does not listen; that is an error.
func (p *process) stop(signal syscall.Signal) error {
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
		return fmt.Errorf("%s had ended before: %w\n%s", p.name, p.err, p.tail())
	default:
	}
	_ = p.command.Process.Signal(signal)
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopLimit):
		_ = p.command.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s had to be killed\n%s", p.name, p.tail())
	}
}

// tail is the end of the program's log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text))
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Command runs a program to its end and gives its standard output.
func Command(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, lastLines(problems.String()))
	}
	return out.String(), err
}
