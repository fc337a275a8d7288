package host

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"
)

// Container runs in the background, in the network of its caller.
type Container struct {
	stack    *Stack
	name     string
	command  *exec.Cmd
	problems bytes.Buffer
	// Lines are what it prints, each with its time; closed at its end.
	Lines chan Line
}

// Line is one of a container's output.
type Line struct {
	Time time.Time
	Text string
}

// linesKept is how much output may wait for its reader; a container that prints more waits.
const linesKept = 1024

// Start runs what the image says in a new container.
func (s *Stack) Start(ctx context.Context, snapshotter, ref, name string) (*Container, error) {
	c := &Container{stack: s, name: name, Lines: make(chan Line, linesKept)}
	c.command = s.ctrCommand(ctx, "run", "--rm", "--net-host", "--snapshotter", snapshotter, ref, name)
	c.command.Stderr = &c.problems
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.Lines)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			c.Lines <- Line{time.Now(), lines.Text()}
		}
	}()
	return c, nil
}

// Stop kills what runs in the container and waits for its end.
func (c *Container) Stop(ctx context.Context) error {
	_, err := c.stack.ctr(ctx, "task", "kill", "-s", "SIGKILL", c.name)
	for range c.Lines { // what it still prints is not looked at
	}
	_ = c.command.Wait() // it was killed
	return err
}

// Failed says how a container ended that should not have. Lines must have been read to their end.
func (c *Container) Failed() error {
	err := c.command.Wait()
	return fmt.Errorf("the container has ended: %w\n%s", err, lastLines(c.problems.String()))
}
