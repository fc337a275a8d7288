package reference

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/awslabs/soci-snapshotter/metadata"
	"golang.org/x/sys/unix"
	"soci-layout.test/peer/e2e/rootfs"
)

// Shown is what a lazy mount of one layer shows, in overlayfs' terms.
type Shown struct {
	Files rootfs.Tree
	// Whiteouts are the names that the layer takes away from lower ones.
	Whiteouts map[string]bool
	// Opaque are the directories whose names in lower layers are hidden.
	Opaque map[string]bool
	// Links is st_nlink of what is no directory.
	Links map[string]int
}

// NewShown shows nothing.
func NewShown() *Shown {
	return &Shown{make(rootfs.Tree), make(map[string]bool), make(map[string]bool), make(map[string]int)}
}

// Show mounts a layer with a zTOC and walks it as the kernel walks the snapshotter's FUSE
// nodes (fs/layer/node.go: Readdir, Lookup, Getattr, Listxattr, Readlink, Read). The error is
// for a layer that cannot be mounted.
func Show(layer string, toc []byte) (*Shown, error) {
	work, err := os.MkdirTemp("", "soci-show-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	m, err := mount(layer, toc, work)
	if err != nil {
		return nil, err
	}
	defer m.close()
	s := &shower{NewShown(), m, m.Metadata(), make(map[uint32]*rootfs.Entry)}
	return s.Shown, s.directory(s.files.RootID(), "")
}

type shower struct {
	*Shown
	m     *mounted
	files metadata.Reader
	// seen are the files by inode.
	seen map[uint32]*rootfs.Entry
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	// stateDir is a directory of the snapshotter's own in the root of each mount.
	stateDir = ".soci-snapshotter"
)

func (s *shower) directory(id uint32, dir string) error {
	var names []string
	if err := s.files.ForeachChild(id, func(name string, _ uint32, _ fs.FileMode) bool {
		names = append(names, name)
		return true
	}); err != nil {
		return err
	}
	if _, _, err := s.files.GetChild(id, opaque); err == nil {
		s.Opaque[dir] = true
	}
	for _, name := range names {
		full := path.Join(dir, name)
		hidden, isWhiteout := strings.CutPrefix(name, whiteout)
		switch {
		case name == "." || name == opaque:
		case isWhiteout && (strings.HasPrefix(hidden, whiteout) || hidden == "" || hidden == "." || hidden == ".."):
			// Listed by readdir, and there is no such name when asked for it.
			s.Files[path.Join(dir, "?"+name)] = &rootfs.Entry{Err: "listed and not there"}
		case isWhiteout:
			if _, _, err := s.files.GetChild(id, hidden); err != nil {
				s.Whiteouts[path.Join(dir, hidden)] = true
			}
		case dir == "" && name == stateDir:
			s.Files[full] = &rootfs.Entry{Mode: unix.S_IFDIR | 0o500}
		default:
			child, attr, err := s.files.GetChild(id, name)
			if err != nil {
				return err
			}
			if err := s.file(child, attr, full); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shower) file(id uint32, attr metadata.Attr, name string) error {
	if known := s.seen[id]; known != nil {
		s.Files[name] = known
		if attr.Mode.IsDir() {
			s.Files[name] = &rootfs.Entry{Mode: unix.S_IFDIR, Err: "a directory with several names"}
		}
		s.Links[name] = attr.NumLink
		return nil
	}
	e := &rootfs.Entry{
		Mode: systemMode(attr.Mode), UID: uint32(attr.UID), GID: uint32(attr.GID), MTime: attr.ModTime,
		Xattrs: make(map[string]string),
	}
	for k, v := range attr.Xattrs {
		e.Xattrs[k] = string(v)
	}
	s.seen[id], s.Files[name] = e, e
	switch attr.Mode & fs.ModeType {
	case fs.ModeDir:
		return s.directory(id, name)
	case fs.ModeSymlink:
		e.Link, e.Size = attr.LinkName, int64(len(attr.LinkName))
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		e.Device = uint64(uint32(unix.Mkdev(uint32(attr.DevMajor), uint32(attr.DevMinor))))
		if e.Mode&unix.S_IFMT == unix.S_IFCHR && e.Device == 0 {
			// This is how overlayfs writes a whiteout.
			delete(s.Files, name)
			s.Whiteouts[name] = true
		}
	case 0:
		e.Size = attr.Size
		var retries int
		sum, err := s.m.read(id, 0, attr.Size, &retries)
		if err != nil {
			e.Err = fmt.Sprint("EIO: ", err)
		}
		e.Sum = sum
		if attr.Size == 0 {
			e.Sum = sha256.Sum256(nil)
		}
	}
	s.Links[name] = attr.NumLink
	return nil
}

// systemMode is fileModeToSystemMode of fs/layer/node.go.
func systemMode(m fs.FileMode) uint32 {
	mode := uint32(m & fs.ModePerm)
	switch m & fs.ModeType {
	case fs.ModeDevice:
		mode |= unix.S_IFBLK
	case fs.ModeDevice | fs.ModeCharDevice:
		mode |= unix.S_IFCHR
	case fs.ModeDir:
		mode |= unix.S_IFDIR
	case fs.ModeNamedPipe:
		mode |= unix.S_IFIFO
	case fs.ModeSymlink:
		mode |= unix.S_IFLNK
	default:
		mode |= unix.S_IFREG
	}
	for _, bit := range []struct {
		go_ fs.FileMode
		sys uint32
	}{{fs.ModeSetuid, unix.S_ISUID}, {fs.ModeSetgid, unix.S_ISGID}, {fs.ModeSticky, unix.S_ISVTX}} {
		if m&bit.go_ != 0 {
			mode |= bit.sys
		}
	}
	return mode
}
