package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Two snapshotters, so that the same image can be pulled lazily and whole.
const (
	Lazy  = "soci"
	Eager = "overlayfs"
)

// containerdConfig: private directories, the snapshotter as a proxy plugin that is told
// which layer of which image it prepares, and no plugin that looks at the machine.
const containerdConfig = `version = 3
root = "%[1]s/containerd"
state = "%[1]s/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.differ.v1.erofs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.internal.v1.opt",
]
[grpc]
address = "%[1]s/c.sock"
[ttrpc]
address = "%[1]s/t.sock"
[proxy_plugins.soci]
type = "snapshot"
address = "%[1]s/s.sock"
[proxy_plugins.soci.exports]
root = "%[1]s/soci"
enable_remote_snapshot_annotations = "true"
[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
platform = "linux"
snapshotter = "soci"
[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
platform = "linux"
snapshotter = "overlayfs"
`

// snapshotterConfig: no fetching in the background, which would spoil every count of
// bytes, and patience with a slow machine.
const snapshotterConfig = `no_prometheus = true
mount_timeout_sec = 300
[content_store]
type = "soci"
containerd_address = "%[1]s/c.sock"
[background_fetch]
disable = true
[http]
DialTimeoutMsec = 30000
ResponseHeaderTimeoutMsec = 60000
[pull_modes.soci_v1]
enable = %[2]t
[pull_modes.soci_v2]
enable = %[3]t
[prefetch]
enable = %[4]t
[fuse]
log_fuse_operations = %[5]t
`

// Mode is what a snapshotter is allowed to do.
type Mode struct {
	V1, V2, Prefetch bool
	// Operations are logged: which files are read.
	Operations bool
}

// Stack is containerd with one snapshotter.
type Stack struct {
	dir                     string
	containerd, snapshotter *process
	tools                   Tools
	namespace               string
}

// Tools are the programs of the run.
type Tools struct {
	// Bin has containerd, its shim, ctr and the push tools.
	Bin string
	// Snapshotter is the reference's daemon.
	Snapshotter string
	// Program is soci-layout.
	Program string
	// Namespace is containerd's, and the name of the containers' control group.
	Namespace string
}

// NewStack starts both in a new directory below folder.
func NewStack(ctx context.Context, folder string, tools Tools, mode Mode) (_ *Stack, err error) {
	dir, err := os.MkdirTemp(folder, "s")
	if err != nil {
		return nil, err
	}
	s := &Stack{dir: dir, tools: tools, namespace: tools.Namespace}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	settings := map[string]string{
		"c.toml": fmt.Sprintf(containerdConfig, dir),
		"s.toml": fmt.Sprintf(snapshotterConfig, dir, mode.V1, mode.V2, mode.Prefetch, mode.Operations),
	}
	for name, text := range settings {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	s.snapshotter, err = start(dir, "snapshotter", exec.Command(tools.Snapshotter,
		"-address", filepath.Join(dir, "s.sock"), "-root", filepath.Join(dir, "soci"), "-config", filepath.Join(dir, "s.toml")))
	if err != nil {
		return nil, err
	}
	if err := s.snapshotter.ready(ctx, func() bool { return exists(filepath.Join(dir, "s.sock")) }); err != nil {
		return nil, err
	}
	s.containerd, err = start(dir, "containerd", exec.Command(filepath.Join(tools.Bin, "containerd"), "-c", filepath.Join(dir, "c.toml")))
	if err != nil {
		return nil, err
	}
	return s, s.containerd.ready(ctx, func() bool {
		_, err := s.ctr(ctx, "version")
		return err == nil
	})
}

// Close ends the snapshotter first, by SIGINT: only then does it take its mounts down.
func (s *Stack) Close() error {
	return errors.Join(s.snapshotter.stop(syscall.SIGINT), s.containerd.stop(syscall.SIGTERM), os.RemoveAll(s.dir))
}

// Dir is where everything of the stack is.
func (s *Stack) Dir() string { return s.dir }

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
