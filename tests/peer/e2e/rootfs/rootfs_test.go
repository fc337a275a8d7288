package rootfs

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// layer writes a tar of entries whose content is their own name.
func layer(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = h.Name
		}
		h.Size, h.ModTime = int64(len(content)), time.Unix(1_700_000_000, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func file(name string) tar.Header { return tar.Header{Name: name, Mode: 0o644} }
func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}
}

func TestApply(t *testing.T) {
	lower := []tar.Header{dir("a"), file("a/1"), file("a/2"), dir("b"), dir("b/c"), file("b/c/3"), file("f")}
	for _, c := range []struct {
		name  string
		upper []tar.Header
		want  []string
	}{
		{"nothing", nil, []string{"a", "a/1", "a/2", "b", "b/c", "b/c/3", "f"}},
		{"whiteout of a file", []tar.Header{file("a/.wh.1")}, []string{"a", "a/2", "b", "b/c", "b/c/3", "f"}},
		{"whiteout of a directory", []tar.Header{file(".wh.b")}, []string{"a", "a/1", "a/2", "f"}},
		{"whiteout, and the same layer has it", []tar.Header{file("f"), file(".wh.f")}, []string{"a", "a/1", "a/2", "b", "b/c", "b/c/3", "f"}},
		{"opaque", []tar.Header{dir("b"), file("b/new"), file("b/.wh..wh..opq")}, []string{"a", "a/1", "a/2", "b", "b/new", "f"}},
		{"a file for a directory", []tar.Header{file("b")}, []string{"a", "a/1", "a/2", "b", "f"}},
		{"parents without entry", []tar.Header{file("./x/y/z")}, []string{"a", "a/1", "a/2", "b", "b/c", "b/c/3", "f", "x", "x/y", "x/y/z"}},
	} {
		tree := make(Tree)
		for _, headers := range [][]tar.Header{lower, c.upper} {
			if err := tree.Apply(layer(t, headers...)); err != nil {
				t.Fatal(err)
			}
		}
		if got := tree.Names(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A directory on disk reads as the tar that it was made by, hard links too.
func TestWalk(t *testing.T) {
	root := t.TempDir()
	moment := time.Unix(1_700_000_000, 0)
	for _, err := range []error{
		os.Mkdir(filepath.Join(root, "a"), 0o755), os.WriteFile(filepath.Join(root, "a/1"), []byte("a/1"), 0o644),
		os.Link(filepath.Join(root, "a/1"), filepath.Join(root, "a/2")), os.Symlink("1", filepath.Join(root, "a/3")),
		unix.Lutimes(filepath.Join(root, "a/3"), []unix.Timeval{{Sec: moment.Unix()}, {Sec: moment.Unix()}}),
		os.Chtimes(filepath.Join(root, "a/1"), moment, moment), os.Chtimes(filepath.Join(root, "a"), moment, moment),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	own := func(h tar.Header) tar.Header {
		h.Uid, h.Gid = os.Getuid(), os.Getgid()
		return h
	}
	want := make(Tree)
	err := want.Apply(layer(t, own(dir("a")), own(file("a/1")), tar.Header{Typeflag: tar.TypeLink, Name: "a/2", Linkname: "a/1"},
		own(tar.Header{Typeflag: tar.TypeSymlink, Name: "a/3", Linkname: "1", Mode: 0o777})))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Walk(root)
	if err != nil {
		t.Fatal(err)
	}
	if found := Differences(want, got); len(found) > 0 {
		t.Error(found)
	}
	copied := got.Clone()
	second := *copied["a/2"]
	copied["a/2"] = &second
	if len(Differences(want, copied)) == 0 {
		t.Error("a copy passes for a hard link")
	}
}
