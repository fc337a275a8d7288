package rootfs

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// readers is how many files are read at a time.
const readers = 4

// Walk reads a mounted root file system, every byte of it. What cannot be read is
// noted in the entry: that is a finding, not an end.
func Walk(root string) (Tree, error) {
	w := &walker{tree: make(Tree), files: make(map[[2]uint64]*Entry)}
	if err := w.directory(root, ""); err != nil {
		return nil, err
	}
	var work errgroup.Group
	work.SetLimit(readers)
	for _, f := range w.contents {
		work.Go(func() error {
			if err := f.entry.read(filepath.Join(root, f.name)); err != nil {
				f.entry.Err = err.Error()
			}
			return nil
		})
	}
	return w.tree, work.Wait()
}

type walker struct {
	tree Tree
	// files are those seen, by device and inode.
	files    map[[2]uint64]*Entry
	contents []unread
}

type unread struct {
	name  string
	entry *Entry
}

func (w *walker) directory(root, dir string) error {
	children, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		return err
	}
	for _, child := range children {
		name := filepath.Join(dir, child.Name())
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(root, name), &stat); err != nil {
			w.tree[name] = &Entry{Err: "lstat: " + err.Error()}
			continue
		}
		inode := [2]uint64{uint64(stat.Dev), stat.Ino}
		if e := w.files[inode]; e != nil && stat.Mode&typeMask != typeDirectory {
			w.tree[name] = e
			continue
		}
		e := w.entry(filepath.Join(root, name), &stat)
		w.tree[name], w.files[inode] = e, e
		switch stat.Mode & typeMask {
		case typeDirectory:
			if err := w.directory(root, name); err != nil {
				e.Err = err.Error()
			}
		case typeRegular:
			w.contents = append(w.contents, unread{name, e})
		}
	}
	return nil
}

func (w *walker) entry(file string, stat *unix.Stat_t) *Entry {
	e := &Entry{Mode: stat.Mode, UID: stat.Uid, GID: stat.Gid, MTime: time.Unix(stat.Mtim.Unix())}
	switch stat.Mode & typeMask {
	case typeRegular:
		e.Size = stat.Size
	case typeSymlink:
		e.Size = stat.Size
		link, err := os.Readlink(file)
		if e.Link = link; err != nil {
			e.Err = err.Error()
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Device = uint64(stat.Rdev)
	}
	xattrs, err := readXattrs(file)
	if e.Xattrs = xattrs; err != nil {
		e.Err = err.Error()
	}
	return e
}

func (e *Entry) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	if err != nil {
		return err
	}
	if size != e.Size {
		e.Size = size
	}
	hash.Sum(e.Sum[:0])
	return nil
}

// readXattrs gives the extended attributes of a file or of a symbolic link itself. A mount
// without attributes (`disable-xattrs`) has none.
func readXattrs(file string) (map[string]string, error) {
	found := make(map[string]string)
	list := make([]byte, 64<<10)
	size, err := unix.Llistxattr(file, list)
	if errors.Is(err, unix.ENOTSUP) {
		return found, nil
	}
	if err != nil {
		return found, &os.PathError{Op: "llistxattr", Path: file, Err: err}
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:size]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		size, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			return found, &os.PathError{Op: "lgetxattr " + name, Path: file, Err: err}
		}
		found[name] = string(value[:size])
	}
	return found, nil
}
