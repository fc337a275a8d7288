package host

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
)

func (s *Stack) ctr(ctx context.Context, args ...string) (string, error) {
	return Command(ctx, filepath.Join(s.tools.Bin, "ctr"),
		append([]string{"--address", filepath.Join(s.dir, "c.sock"), "--namespace", s.namespace}, args...)...)
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

// Run runs a program of an image in a new container and gives its standard output.
func (s *Stack) Run(ctx context.Context, snapshotter, ref, container string, args ...string) (string, error) {
	out, err := s.ctr(ctx, append([]string{"run", "--rm", "--snapshotter", snapshotter, ref, container}, args...)...)
	if err != nil {
		return out, fmt.Errorf("container %s: %w", container, err)
	}
	return out, nil
}
