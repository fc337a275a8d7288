// Command gz compresses a tar as container tools written in Go do.
package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/klauspost/pgzip"
)

const usage = `gz go|pgzip|estargz TAR OUT

  go       compress/gzip with its default level, as BuildKit
  pgzip    klauspost/pgzip, as podman and buildah
  estargz  one gzip member per file and a table of contents at the end
`

func main() {
	if len(os.Args) != 4 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := compress(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "gz:", err)
		os.Exit(1)
	}
}

func compress(method, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	err = write(method, in, buffered)
	return errors.Join(err, buffered.Flush(), out.Close())
}

func write(method string, in *os.File, out io.Writer) error {
	switch method {
	case "go":
		return through(gzip.NewWriter(out), in)
	case "pgzip":
		return through(pgzip.NewWriter(out), in)
	case "estargz":
		return stargz(in, out)
	default:
		return fmt.Errorf("unknown method %q", method)
	}
}

func through(to io.WriteCloser, in io.Reader) error {
	_, err := io.Copy(to, in)
	return errors.Join(err, to.Close())
}

func stargz(in *os.File, out io.Writer) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	blob, err := estargz.Build(io.NewSectionReader(in, 0, info.Size()))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, blob)
	return errors.Join(err, blob.Close())
}
