package fidelity

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
	"golang.org/x/sys/unix"
	"soci-layout.test/peer/e2e/rootfs"
	"soci-layout.test/peer/reference"
)

// Lower is a layer below the one that is tried, unpacked.
type Lower struct {
	dir  string
	tar  []byte
	tree rootfs.Tree
}

// NewLower unpacks a layer in a directory.
func NewLower(dir string, layer []byte) (*Lower, error) {
	if _, err := archive.Apply(context.Background(), dir, bytes.NewReader(layer)); err != nil {
		return nil, err
	}
	tree, err := rootfs.Walk(dir)
	return &Lower{dir, layer, tree}, err
}

// Plain is the root file system after both layers were unpacked in one directory.
func (l *Lower) Plain(layer []byte) (rootfs.Tree, map[string]int, error) {
	dir, err := os.MkdirTemp("", "plain-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	for _, content := range [][]byte{l.tar, layer} {
		if _, err := archive.Apply(context.Background(), dir, bytes.NewReader(content)); err != nil {
			return nil, nil, err
		}
	}
	tree, err := rootfs.Walk(dir)
	if err != nil {
		return nil, nil, err
	}
	links, err := linkCounts(dir)
	return tree, links, err
}

// Overlay is the root file system after the layer was unpacked in a directory of its own, as the
// overlayfs snapshotters have it, and put upon the lower one.
func (l *Lower) Overlay(layer []byte) (rootfs.Tree, map[string]int, error) {
	dir, err := os.MkdirTemp("", "upper-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	_, err = archive.Apply(context.Background(), dir, bytes.NewReader(layer),
		archive.WithConvertWhiteout(archive.OverlayConvertWhiteout), archive.WithParents([]string{l.dir}))
	if err != nil {
		return nil, nil, err
	}
	shown := reference.NewShown()
	if shown.Files, err = rootfs.Walk(dir); err != nil {
		return nil, nil, err
	}
	if shown.Links, err = linkCounts(dir); err != nil {
		return nil, nil, err
	}
	for name, e := range shown.Files {
		if e.Mode&unix.S_IFMT == unix.S_IFCHR && e.Device == 0 {
			shown.Whiteouts[name] = true
			delete(shown.Files, name)
		}
		if _, found := e.Xattrs["trusted.overlay.opaque"]; found {
			shown.Opaque[name] = true
			delete(e.Xattrs, "trusted.overlay.opaque")
		}
	}
	tree, links := l.Merge(shown)
	return tree, links, nil
}

// Merge puts a layer upon the lower one, as overlayfs does. It takes no notice of an opaque root.
func (l *Lower) Merge(upper *reference.Shown) (rootfs.Tree, map[string]int) {
	merged, links := l.tree.Clone(), make(map[string]int)
	isDir := func(e *rootfs.Entry) bool { return e != nil && e.Mode&unix.S_IFMT == unix.S_IFDIR }
	below := func(dir string) {
		for name := range merged {
			if strings.HasPrefix(name, dir+"/") {
				delete(merged, name)
			}
		}
	}
	for dir := range upper.Opaque {
		if dir != "" {
			below(dir)
		}
	}
	for name := range upper.Whiteouts {
		delete(merged, name)
		below(name)
	}
	for name, e := range upper.Files {
		if !isDir(e) || !isDir(merged[name]) {
			below(name)
		}
	}
	for name, e := range upper.Files {
		merged[name] = e
	}
	for name, count := range upper.Links {
		links[name] = count
	}
	return merged, links
}

func linkCounts(dir string) (map[string]int, error) {
	counts := make(map[string]int)
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var stat unix.Stat_t
		counts[strings.TrimPrefix(name, dir+"/")] = int(stat.Nlink)
		if err := unix.Lstat(name, &stat); err != nil {
			return err
		}
		counts[strings.TrimPrefix(name, dir+"/")] = int(stat.Nlink)
		return nil
	})
	return counts, err
}

// Differences are what a lazy mount upon the lower layer shows otherwise than either way of unpacking. Directories
// for which the layer has no entry are compared by their names only: their attributes depend on the layers below.
func (l *Lower) Differences(layer []byte, lazy *reference.Shown) []string {
	implied, err := impliedDirectories(layer)
	if err != nil {
		return []string{err.Error()}
	}
	got, gotLinks := l.Merge(lazy)
	for _, e := range got {
		if e.Mode&unix.S_IFMT == unix.S_IFLNK {
			e.Mode |= 0o777 // the mode of a symbolic link means nothing on Linux, which always has this one
			e.Mode &^= 0o7000
		}
	}
	var found []string
	for _, way := range []struct {
		name   string
		unpack func([]byte) (rootfs.Tree, map[string]int, error)
	}{{"plain", l.Plain}, {"overlay", l.Overlay}} {
		want, links, err := way.unpack(layer)
		if err != nil {
			found = append(found, fmt.Sprintf("%s: cannot be unpacked: %v", way.name, err))
			continue
		}
		for name := range implied {
			if e := want[name]; e != nil && e.Mode&unix.S_IFMT == unix.S_IFDIR {
				copied := *e
				copied.Implied = true
				want[name] = &copied
			}
		}
		for _, d := range rootfs.Differences(want, got) {
			found = append(found, way.name+": "+d)
		}
		for name, count := range gotLinks {
			if right, known := links[name]; known && right != count {
				found = append(found, fmt.Sprintf("%s: %s: %d links, want %d", way.name, name, count, right))
			}
		}
	}
	return found
}

// impliedDirectories are those that a layer names only in front of other names.
func impliedDirectories(layer []byte) (map[string]bool, error) {
	implied, own := make(map[string]bool), make(map[string]bool)
	archive := tar.NewReader(bytes.NewReader(layer))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag == tar.TypeDir {
			own[name] = true
		}
		for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
			implied[dir] = true
		}
	}
	for name := range own {
		delete(implied, name)
	}
	return implied, nil
}
