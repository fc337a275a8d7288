package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// View is the root file system of a pulled image, mounted read-only.
type View struct {
	Root string
	// Layers are the directories that it is made of, lowest first.
	Layers []string
	stack  *Stack
	key    string
	from   string
}

// View mounts the snapshot of these layers as a container would get it. `ctr snapshot mounts`
// says how; it is mounted here, as `ctr image mount` leaves a mount behind. (Of `ctr snapshot
// view` the garbage collector would take the snapshot away at any time.)
func (s *Stack) View(ctx context.Context, snapshotter string, diffIDs []digest.Digest) (_ *View, err error) {
	dir, err := os.MkdirTemp(s.dir, "v")
	if err != nil {
		return nil, err
	}
	v := &View{Root: dir, stack: s, key: filepath.Base(dir), from: snapshotter}
	if _, err := s.ctr(ctx, "snapshot", "--snapshotter", snapshotter, "prepare", v.key, Chain(diffIDs)); err != nil {
		return nil, err
	}
	text, err := s.ctr(ctx, "snapshot", "--snapshotter", snapshotter, "mounts", dir, v.key)
	if err != nil {
		return nil, err
	}
	kind, source, options, err := parseMount(text)
	if err != nil {
		return nil, err
	}
	for _, option := range options {
		if lower, is := strings.CutPrefix(option, "lowerdir="); is {
			v.Layers = strings.Split(lower, ":")
			slices.Reverse(v.Layers)
		}
	}
	return v, unix.Mount(source, dir, kind, unix.MS_RDONLY, strings.Join(options, ","))
}

// parseMount reads a line such as `mount -t overlay overlay /target -o lowerdir=…`.
func parseMount(text string) (kind, source string, options []string, err error) {
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 7 && f[0] == "mount" && f[1] == "-t" && f[5] == "-o" {
			return f[2], f[3], strings.Split(f[6], ","), nil
		}
	}
	return "", "", nil, fmt.Errorf("no mount command in %q", text)
}

// Close unmounts and removes the view.
func (v *View) Close(ctx context.Context) error {
	_, err := v.stack.ctr(ctx, "snapshot", "--snapshotter", v.from, "remove", v.key)
	return errors.Join(unix.Unmount(v.Root, 0), os.Remove(v.Root), err)
}

// IsLazy tells whether a directory is a FUSE mount of the snapshotter.
func IsLazy(dir string) (bool, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		f := strings.Fields(line)
		if len(f) < 10 || f[4] != dir {
			continue
		}
		after := slices.Index(f, "-")
		return strings.HasPrefix(f[after+1], "fuse.") && f[after+2] == "soci", nil
	}
	return false, nil
}

// MountsBelow lists the mount points below a folder, the last mounted first.
func MountsBelow(folder string) []string {
	var found []string
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], folder+"/") {
			found = append(found, f[4])
		}
	}
	slices.Reverse(found)
	return found
}
