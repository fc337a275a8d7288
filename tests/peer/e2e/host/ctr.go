package host

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
)

func (s *Stack) ctr(ctx context.Context, args ...string) (string, error) {
	return Command(ctx, filepath.Join(s.tools.Bin, "ctr"), s.ctrArgs(args)...)
}

func (s *Stack) ctrCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(s.tools.Bin, "ctr"), s.ctrArgs(args)...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return command
}

func (s *Stack) ctrArgs(args []string) []string {
	return append([]string{"--address", filepath.Join(s.dir, "c.sock"), "--namespace", s.namespace}, args...)
}

// Pull pulls an image for a snapshotter, as `ctr image pull` does.
func (s *Stack) Pull(ctx context.Context, snapshotter, platform, ref string) error {
	_, err := s.ctr(ctx, "image", "pull", "--snapshotter", snapshotter, "--platform", platform, "--plain-http", ref)
	return err
}

// Remove removes an image and, before it returns, all its snapshots and content.
func (s *Stack) Remove(ctx context.Context, ref string) error {
	_, err := s.ctr(ctx, "image", "remove", "--sync", ref)
	return err
}

// Chain is the name of the snapshot of all these layers.
func Chain(diffIDs []digest.Digest) string { return identity.ChainID(diffIDs).String() }

// Run runs a program of an image in a new container. It gives the time of the first output
// and all of it.
func (s *Stack) Run(ctx context.Context, snapshotter, ref, container string, args ...string) (time.Time, string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	out := new(stamped)
	problems := new(bytes.Buffer)
	command := s.ctrCommand(ctx, append([]string{"run", "--rm", "--snapshotter", snapshotter, ref, container}, args...)...)
	command.Stdout, command.Stderr = out, problems
	if err := command.Run(); err != nil {
		return out.first, string(out.text), fmt.Errorf("container of %s: %w\n%s", args[0], err, problems)
	}
	return out.first, string(out.text), nil
}

// stamped keeps what is written, and when the first byte came.
type stamped struct {
	text  []byte
	first time.Time
}

func (s *stamped) Write(p []byte) (int, error) {
	if len(s.text) == 0 {
		s.first = time.Now()
	}
	s.text = append(s.text, p...)
	return len(p), nil
}
