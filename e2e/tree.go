package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// File is everything that can be seen of one file.
type File struct {
	Mode, UID, GID uint32
	Size           int64
	ModTime        int64 // seconds: a zTOC holds no finer time
	Device         uint64
	Link           string
	Xattrs         string
	Content        [sha256.Size]byte
	Reading        string // the error, if the content cannot be read
}

// tree reads a whole directory.
func tree(root string) (map[string]File, error) {
	files := map[string]File{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := look(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name, err := filepath.Rel(root, path)
		if name != "." { // the root belongs to no layer here
			files[name] = f
		}
		return err
	})
	return files, err
}

func look(path string) (File, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return File{}, err
	}
	f := File{Mode: st.Mode, UID: st.Uid, GID: st.Gid, ModTime: st.Mtim.Sec}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		f.Size = st.Size
		sum := sha256.New()
		file, err := os.Open(path)
		if err != nil {
			return f, err
		}
		defer file.Close()
		if _, err := io.Copy(sum, file); err != nil {
			f.Reading = err.Error()
		} else {
			f.Content = [sha256.Size]byte(sum.Sum(nil))
		}
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return f, err
		}
		f.Link = target
	case unix.S_IFCHR, unix.S_IFBLK:
		f.Device = st.Rdev
	}
	var err error
	f.Xattrs, err = xattrs(path)
	return f, err
}

// xattrs gives names and values in order, without those that overlayfs keeps for itself.
func xattrs(path string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return "", fmt.Errorf("listxattr: %w", err)
	}
	var all []string
	for name := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", fmt.Errorf("getxattr %s: %w", name, err)
		}
		all = append(all, fmt.Sprintf("%s=%x", name, value[:n]))
	}
	slices.Sort(all)
	return strings.Join(all, " "), nil
}

// differences compares two trees, every file and every attribute.
func differences(want, got map[string]File) []string {
	var found []string
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			found = append(found, fmt.Sprintf("%q is missing", name))
		case g.Reading != "":
			found = append(found, fmt.Sprintf("%q cannot be read: %s", name, g.Reading))
		case g.Content != w.Content:
			found = append(found, fmt.Sprintf("%q has other content", name))
		case g != w:
			g.Content, w.Content = [sha256.Size]byte{}, [sha256.Size]byte{}
			found = append(found, fmt.Sprintf("%q is %+v, want %+v", name, g, w))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			found = append(found, fmt.Sprintf("%q is in no layer", name))
		}
	}
	slices.Sort(found)
	return found
}

// unpack puts layers, uncompressed tars, on top of each other: whiteouts by the OCI
// rules, everything else by GNU tar.
func unpack(layers [][]byte, dir string) error {
	for _, layer := range layers {
		if err := whiteOut(layer, dir); err != nil {
			return err
		}
		cmd := exec.Command("tar", "-C", dir, "--numeric-owner", "-p", "--same-owner", "--delay-directory-restore",
			"--xattrs", "--xattrs-include=*", "--exclude=.wh.*", "-xf", "-")
		cmd.Stdin = bytes.NewReader(layer)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("tar: %w: %s", err, out)
		}
	}
	return nil
}

// whiteOut removes what a layer hides of those below it.
func whiteOut(layer []byte, dir string) error {
	for tr := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		parent, base := filepath.Split(filepath.Join(dir, h.Name))
		hidden, ok := strings.CutPrefix(base, ".wh.")
		if !ok {
			continue
		}
		targets := []string{filepath.Join(parent, hidden)}
		if base == ".wh..wh..opq" {
			if targets, err = filepath.Glob(filepath.Join(parent, "*")); err != nil {
				return err
			}
		}
		for _, target := range targets {
			if err := os.RemoveAll(target); err != nil {
				return err
			}
		}
	}
}
