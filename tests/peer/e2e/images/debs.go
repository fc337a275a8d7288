// Package images makes the images of the runtime test: layers out of real packages, in
// all ways of compression, and layouts of them, right and wrong.
package images

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// merged are the top directories that are links into usr on a Debian system; packages
// still have files in them.
var merged = []string{"bin", "lib", "lib64", "sbin"}

// debs finds packages by the beginning of their file names.
func debs(dir string, names ...string) ([]string, error) {
	var files []string
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("%d packages %s in %s (tests/setup.sh fetches them)", len(found), name, dir)
		}
		files = append(files, found[0])
	}
	return files, nil
}

// unpacker puts the files of packages into one tar, as a system has them.
type unpacker struct {
	out  *tar.Writer
	seen map[string]bool
}

// root writes the links of a merged /usr.
func (u *unpacker) root() error {
	for _, dir := range merged {
		h := tar.Header{Typeflag: tar.TypeSymlink, Name: dir, Linkname: "usr/" + dir, Mode: 0o777, ModTime: moment}
		if err := u.out.WriteHeader(&h); err != nil {
			return err
		}
		u.seen[dir] = true
	}
	return nil
}

// add copies the files of one package. A directory that an earlier one had is there already.
func (u *unpacker) add(deb string) error {
	command := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = u.copy(tar.NewReader(out))
	if err == nil {
		_, err = io.Copy(io.Discard, out) // the padding behind the end
	}
	if err != nil {
		_ = command.Process.Kill()
	}
	return errors.Join(err, command.Wait())
}

func (u *unpacker) copy(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := place(h.Name)
		if name == "" || u.seen[name] {
			continue
		}
		u.seen[name] = true
		h.Name = name
		switch h.Typeflag {
		case tar.TypeDir:
			h.Name += "/"
		case tar.TypeLink:
			h.Linkname = place(h.Linkname)
		}
		h.Format = tar.FormatPAX
		h.Uname, h.Gname = "", ""
		if err := u.out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(u.out, in); err != nil {
			return err
		}
	}
}

// place is where a package's file is on a system with a merged /usr.
func place(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, rest, deeper := strings.Cut(name, "/")
	for _, dir := range merged {
		if first == dir && deeper {
			return "usr/" + dir + "/" + rest
		}
		if name == dir {
			return "usr/" + dir
		}
	}
	return name
}
