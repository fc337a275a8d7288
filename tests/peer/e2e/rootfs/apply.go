package rootfs

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	typeMask      = unix.S_IFMT
	typeRegular   = unix.S_IFREG
	typeDirectory = unix.S_IFDIR
	typeSymlink   = unix.S_IFLNK

	whiteout = ".wh."
	opaque   = ".wh..wh..opq"

	xattrRecord = "SCHILY.xattr."
)

// Apply lays the tar of one layer over the tree, by the rules of the OCI image
// specification: a whiteout takes away what lower layers have, never what this one has.
func (t Tree) Apply(layer io.Reader) error {
	own := make(map[string]bool)
	archive := tar.NewReader(layer)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if name == "" {
			continue // the root's own attributes are not compared
		}
		dir, base := path.Split(name)
		switch {
		case base == opaque:
			t.clear(path.Clean(dir), own)
			continue
		case strings.HasPrefix(base, whiteout):
			t.remove(dir+strings.TrimPrefix(base, whiteout), own)
			continue
		}
		e, err := t.entry(h, archive)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if e.Mode&typeMask != typeDirectory {
			t.remove(name, nil)
		}
		t.parents(name)
		t[name] = e
		for p := name; p != "."; p = path.Dir(p) {
			own[p] = true
		}
	}
}

func (t Tree) entry(h *tar.Header, content io.Reader) (*Entry, error) {
	e := &Entry{
		Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), MTime: h.ModTime,
		Xattrs: map[string]string{},
	}
	for key, value := range h.PAXRecords {
		if name, is := strings.CutPrefix(key, xattrRecord); is {
			e.Xattrs[name] = value
		}
	}
	switch h.Typeflag {
	case tar.TypeLink:
		target := t[strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")]
		if target == nil {
			return nil, fmt.Errorf("hard link to %q, which is not there", h.Linkname)
		}
		return target, nil
	case tar.TypeReg:
		hash := sha256.New()
		size, err := io.Copy(hash, content)
		if err != nil {
			return nil, err
		}
		e.Mode |= typeRegular
		e.Size = size
		hash.Sum(e.Sum[:0])
	case tar.TypeSymlink:
		e.Mode |= typeSymlink
		e.Link, e.Size = h.Linkname, int64(len(h.Linkname))
	case tar.TypeDir:
		e.Mode |= typeDirectory
	case tar.TypeFifo:
		e.Mode |= unix.S_IFIFO
	case tar.TypeChar:
		e.Mode |= unix.S_IFCHR
		e.Device = unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	case tar.TypeBlock:
		e.Mode |= unix.S_IFBLK
		e.Device = unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	default:
		return nil, fmt.Errorf("entry type %q", h.Typeflag)
	}
	return e, nil
}
