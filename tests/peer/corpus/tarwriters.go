package corpus

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// errUnfit: the writer's format cannot express the content. That is no failure;
// the tests count what is left.
var errUnfit = errors.New("does not fit the format")

// TarWriter turns a content into an archive file.
type TarWriter struct {
	Name  string
	Write func(c Content, work, out string) error
}

// TarWriters is the whole list, always the same.
func TarWriters() []TarWriter {
	return []TarWriter{
		{"go-ustar", goTar(tar.FormatUSTAR)},
		{"go-pax", goTar(tar.FormatPAX)},
		{"go-gnu", goTar(tar.FormatGNU)},
		{"gnutar-gnu", gnuTar("gnu")},
		{"gnutar-posix", gnuTar("posix")},
		{"gnutar-ustar", gnuTar("ustar")},
		{"gnutar-v7", gnuTar("v7")},
		{"python-ustar", pythonTar("USTAR")},
		{"python-pax", pythonTar("PAX")},
		{"python-gnu", pythonTar("GNU")},
		{"bsdtar-ustar", bsdTar("ustar")},
		{"bsdtar-pax", bsdTar("pax")},
		{"bsdtar-gnu", bsdTar("gnutar")},
	}
}

// GoTar is the content as Go writes it, in any format that fits when format is
// tar.FormatUnknown.
func GoTar(members []Member, format tar.Format) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := m.Header
		h.Format = format
		if err := w.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("%w: %w", errUnfit, err)
		}
		if _, err := w.Write(m.Data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

func goTar(format tar.Format) func(Content, string, string) error {
	return func(c Content, _, out string) error {
		b, err := GoTar(c.Members, format)
		if err != nil {
			return err
		}
		return os.WriteFile(out, b, 0o644)
	}
}

// rewritten gives a writer that reads Go's PAX archive of the content and writes
// its own form of it: so devices and owners need no privileges.
func rewritten(rewrite func(from, out string) error) func(Content, string, string) error {
	return func(c Content, work, out string) error {
		from := filepath.Join(work, "from-"+c.Name+".tar")
		if err := goTar(tar.FormatPAX)(c, work, from); err != nil {
			return err
		}
		defer os.Remove(from)
		if err := rewrite(from, out); err != nil {
			if errors.Is(err, ErrMissing) {
				return err
			}
			return fmt.Errorf("%w: %w", errUnfit, err)
		}
		return nil
	}
}

//go:embed tar.py
var pythonTarProgram string

func pythonTar(format string) func(Content, string, string) error {
	return rewritten(func(from, out string) error {
		return tool("", "", "python3", "-IS", "-c", pythonTarProgram, format, from, out)
	})
}

func bsdTar(format string) func(Content, string, string) error {
	return rewritten(func(from, out string) error {
		return tool("", "", "bsdtar", "-c", "--format", format, "-f", out, "@"+from)
	})
}

// gnuTar packs a tree of files. Names in extended headers hold a process id and
// times of the tree unless told otherwise.
func gnuTar(format string) func(Content, string, string) error {
	return func(c Content, work, out string) error {
		if c.NotOnDisk {
			return errUnfit
		}
		tree := filepath.Join(work, "tree-"+c.Name)
		if err := unpack(c.Members, tree); err != nil {
			return err
		}
		defer os.RemoveAll(tree)
		args := []string{"--create", "--file", out, "--directory", tree, "--format", format, "--sort=name",
			"--owner=peer:1000", "--group=peer:1000", "--mode=u+rw,go+r"}
		if format == "posix" {
			args = append(args, "--mtime=@1712345678.25", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
		} else {
			args = append(args, "--mtime=@1712345678")
		}
		err := tool("", "", "tar", append(args, ".")...)
		if err != nil && !errors.Is(err, ErrMissing) {
			return fmt.Errorf("%w: %w", errUnfit, err)
		}
		return err
	}
}

func unpack(members []Member, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, m := range members {
		name := filepath.Join(root, m.Name)
		var err error
		switch m.Typeflag {
		case tar.TypeReg:
			err = os.WriteFile(name, m.Data, 0o644)
		case tar.TypeDir:
			err = os.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(m.Linkname, name)
		case tar.TypeLink:
			err = os.Link(filepath.Join(root, m.Linkname), name)
		case tar.TypeFifo:
			err = syscall.Mkfifo(name, 0o644)
		default:
			err = fmt.Errorf("%s: type %q needs privileges", m.Name, m.Typeflag)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
