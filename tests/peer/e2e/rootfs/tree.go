// Package rootfs holds root file systems as stat(2), readlink(2), listxattr(2) and read(2)
// tell them: one made from the layers' tars, one read from a mount, and their differences.
package rootfs

import (
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is one file. Names that are hard links to each other share it.
type Entry struct {
	// Mode is st_mode: type and permissions.
	Mode     uint32
	UID, GID uint32
	// Size of regular files and symbolic links.
	Size  int64
	MTime time.Time
	// Link is the target of a symbolic link.
	Link string
	// Device is st_rdev of a device.
	Device uint64
	Xattrs map[string]string
	// Sum is over the content of a regular file.
	Sum [sha256.Size]byte
	// Implied: a directory that no layer has an entry for; only its type counts.
	Implied bool
	// Err is why the file could not be read.
	Err string
}

// Tree is a root file system by path, without a leading slash. The root itself is not in it.
type Tree map[string]*Entry

// Clone makes a copy that may be changed.
func (t Tree) Clone() Tree {
	copies := make(map[*Entry]*Entry, len(t))
	clone := make(Tree, len(t))
	for name, e := range t {
		if copies[e] == nil {
			c := *e
			c.Xattrs = maps.Clone(e.Xattrs)
			copies[e] = &c
		}
		clone[name] = copies[e]
	}
	return clone
}

// Names are all paths, sorted.
func (t Tree) Names() []string { return slices.Sorted(maps.Keys(t)) }

// Bytes is the size of all regular files, each hard link counted once.
func (t Tree) Bytes() int64 {
	var sum int64
	seen := make(map[*Entry]bool)
	for _, e := range t {
		if e.Mode&typeMask == typeRegular && !seen[e] {
			seen[e] = true
			sum += e.Size
		}
	}
	return sum
}

// remove takes a path and all below it away, save those in keep.
func (t Tree) remove(name string, keep map[string]bool) {
	if !keep[name] {
		delete(t, name)
	}
	t.clear(name, keep)
}

// clear takes all below a directory ("." for the root) away, save those in keep.
func (t Tree) clear(dir string, keep map[string]bool) {
	for name := range t {
		if (dir == "." || strings.HasPrefix(name, dir+"/")) && !keep[name] {
			delete(t, name)
		}
	}
}

// parents adds directories that lead to a path where no layer has them.
func (t Tree) parents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if e := t[dir]; e == nil || e.Mode&typeMask != typeDirectory {
			t[dir] = &Entry{Mode: typeDirectory | 0o755, Implied: true}
		}
	}
}
