package reference

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"path"

	"github.com/awslabs/soci-snapshotter/metadata"
	"github.com/awslabs/soci-snapshotter/ztoc"
)

var typeNames = map[byte]string{
	tar.TypeReg: "reg", tar.TypeLink: "hardlink", tar.TypeSymlink: "symlink", tar.TypeChar: "char",
	tar.TypeBlock: "block", tar.TypeDir: "dir", tar.TypeFifo: "fifo",
}

// compareList compares the decoded table of contents, entry by entry.
func compareList(m *Mismatches, got []ztoc.FileMetadata, want []Entry) {
	field(m, "table of contents", "number of entries", len(got), len(want))
	for i := range min(len(got), len(want)) {
		g, w, h := got[i], want[i], want[i].Header
		at := fmt.Sprintf("entry %d (%q)", i, h.Name)
		field(m, at, "name", g.Name, h.Name)
		field(m, at, "type", g.Type, typeNames[h.Typeflag])
		field(m, at, "offset", int64(g.UncompressedOffset), w.Offset)
		field(m, at, "size", int64(g.UncompressedSize), w.Size())
		field(m, at, "link name", g.Linkname, h.Linkname)
		field(m, at, "mode", g.Mode, h.Mode)
		field(m, at, "uid", g.UID, h.Uid)
		field(m, at, "gid", g.GID, h.Gid)
		field(m, at, "user name", g.Uname, h.Uname)
		field(m, at, "group name", g.Gname, h.Gname)
		field(m, at, "major device number", g.Devmajor, h.Devmajor)
		field(m, at, "minor device number", g.Devminor, h.Devminor)
		if !g.ModTime.Equal(h.ModTime) {
			m.add("%s: time is %v, the tar says %v", at, g.ModTime, h.ModTime)
		}
		if !sameRecords(g.PAXHeaders, h.PAXRecords) {
			m.add("%s: PAX records are %q, the tar says %q", at, g.PAXHeaders, h.PAXRecords)
		}
	}
}

// compareTree compares the file system that the metadata reader has made, and
// reads every regular file through the span manager.
func (m *mounted) compareTree(r *Reading, entries []Entry) {
	want := tree(entries)
	seen := make(map[string]bool)
	files := m.Metadata()
	visit := func(id uint32, name string) {
		seen[name] = true
		attr, err := files.GetAttr(id)
		if err != nil {
			r.add("%q: %v", name, err)
			return
		}
		entry, listed := want[name]
		switch {
		case listed:
			compareAttr(&r.Mismatches, name, attr, entry)
			m.compareContent(r, name, id, attr, entry)
		case !attr.Mode.IsDir(): // directories without an entry are made up by the reader
			r.add("%q: not in the tar", name)
		}
	}
	var walk func(id uint32, dir string)
	walk = func(id uint32, dir string) {
		visit(id, dir)
		err := files.ForeachChild(id, func(base string, child uint32, mode fs.FileMode) bool {
			switch {
			case child == id: // an entry for the root makes the root its own child "."
			case mode.IsDir():
				walk(child, path.Join(dir, base))
			default:
				visit(child, path.Join(dir, base))
			}
			return true
		})
		if err != nil {
			r.add("%q: %v", dir, err)
		}
	}
	walk(files.RootID(), "")
	for name := range want {
		if !seen[name] {
			r.add("%q: in the tar, not in the file system", name)
		}
	}
}

func compareAttr(m *Mismatches, name string, got metadata.Attr, want Entry) {
	at, h := fmt.Sprintf("%q", name), want.Header
	// The tar mode may carry file type bits of its own; the type comes from the entry.
	mode := h.FileInfo().Mode()
	field(m, at, "mode", got.Mode, mode)
	field(m, at, "size", got.Size, want.Size())
	field(m, at, "owner", got.UID, h.Uid)
	field(m, at, "group", got.GID, h.Gid)
	field(m, at, "link name", got.LinkName, h.Linkname)
	field(m, at, "device", [2]int{got.DevMajor, got.DevMinor}, [2]int{int(h.Devmajor), int(h.Devminor)})
	if !got.ModTime.Equal(h.ModTime) {
		m.add("%s: time is %v, the tar says %v", at, got.ModTime, h.ModTime)
	}
	xattrs := make(map[string]string, len(got.Xattrs))
	for key, value := range got.Xattrs {
		xattrs[key] = string(value)
	}
	if !sameRecords(xattrs, want.Xattrs()) {
		m.add("%s: extended attributes are %q, the tar says %q", at, xattrs, want.Xattrs())
	}
}

func (m *mounted) compareContent(r *Reading, name string, id uint32, attr metadata.Attr, want Entry) {
	if !attr.Mode.IsRegular() {
		return
	}
	r.Files++
	r.Bytes += attr.Size
	sum, err := m.read(id, want.Offset, attr.Size, &r.Retries)
	switch {
	case err != nil:
		r.add("%q: read: %v", name, err)
	case sum != want.Sum:
		r.add("%q: content differs: sha256 %x, the tar has %x", name, sum, want.Sum)
	}
}
