// Command snapshotter is the reference's snapshotter daemon: its own packages behind a
// unix socket. The reference's command is a module that cannot be installed, so this is
// what is left of it: no metrics, no keychains, no socket activation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/awslabs/soci-snapshotter/config"
	"github.com/awslabs/soci-snapshotter/fs"
	"github.com/awslabs/soci-snapshotter/metadata"
	"github.com/awslabs/soci-snapshotter/service"
	"github.com/awslabs/soci-snapshotter/ztoc"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/log"
	"go.etcd.io/bbolt"
	"google.golang.org/grpc"
)

func main() {
	address := flag.String("address", "", "unix socket to listen on")
	root := flag.String("root", "", "directory for all data")
	file := flag.String("config", "", "configuration file, as of the reference's daemon")
	flag.Parse()
	if *address == "" || *root == "" || *file == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := serve(*address, *root, *file); err != nil {
		fmt.Fprintln(os.Stderr, "snapshotter:", err)
		os.Exit(1)
	}
}

// serve runs until SIGINT or SIGTERM, then takes its mounts down.
func serve(address, root, file string) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := errors.Join(log.SetFormat(log.JSONFormat), log.SetLevel("debug")); err != nil {
		return err
	}
	cfg, err := config.NewConfigFromToml(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	db, err := bbolt.Open(filepath.Join(root, "metadata.db"), 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: cfg.MetadataDBNoSync})
	if err != nil {
		return err
	}
	defer db.Close()
	store := func(sr *io.SectionReader, toc ztoc.TOC, opts ...metadata.Option) (metadata.Reader, error) {
		return metadata.NewReader(db, sr, toc, opts...)
	}
	// Not the context that ends with the signal: unmounting needs the file system alive.
	snapshotter, err := service.NewSociSnapshotterService(context.Background(), root, &cfg.ServiceConfig,
		service.WithFilesystemOptions(fs.WithMetadataStore(store)))
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(keepNamespace))
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	listener, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-stop.Done():
		server.Stop()
	}
	return errors.Join(err, snapshotter.Close())
}

// keepNamespace hands the caller's containerd namespace on to what the snapshotter asks of
// containerd. Without it layers that have no zTOC cannot be unpacked, and containerd then
// fetches all layers.
func keepNamespace(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if name, ok := namespaces.Namespace(ctx); ok {
		ctx = namespaces.WithNamespace(ctx, name)
	}
	return handle(ctx, request)
}
