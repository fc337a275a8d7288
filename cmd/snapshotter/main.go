// Command snapshotter serves the reference's lazy loading to containerd: its library
// behind a socket, since its own command cannot be installed by the Go tool.
//
//	snapshotter ROOT SOCKET CONFIG.toml
//
// It ends at SIGINT or SIGTERM and takes its FUSE mounts down before.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/awslabs/soci-snapshotter/config"
	"github.com/awslabs/soci-snapshotter/fs"
	"github.com/awslabs/soci-snapshotter/metadata"
	"github.com/awslabs/soci-snapshotter/service"
	"github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/log"
	"google.golang.org/grpc"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: snapshotter ROOT SOCKET CONFIG.toml")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "snapshotter:", err)
		os.Exit(1)
	}
}

func serve(root, socket, file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := log.SetFormat(log.JSONFormat); err != nil {
		return err
	}
	settings, err := config.NewConfigFromToml(file)
	if err != nil {
		return err
	}
	store := metadata.NewMultiReader(filepath.Join(root, "metadata"), metadata.DBMultiOptions{})
	// Not the signal's context: the mounts must still answer while they are taken down.
	snapshotter, err := service.NewSociSnapshotterService(context.Background(), root, &settings.ServiceConfig,
		service.WithFilesystemOptions(fs.WithMetadataStore(store)))
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	snapshots.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		server.Stop()
	}
	if closing := snapshotter.Close(); err == nil {
		err = closing
	}
	return err
}
