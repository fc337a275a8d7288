package peer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
)

// node is a file as both sides tell of it.
type node struct {
	Path     string
	Type     string
	Mode     string
	UID, GID uint32
	Size     int64
	Target   string
	Modified string
	Device   struct{ Major, Minor int64 }
}

func (n node) String() string {
	return fmt.Sprintf("%s %s %s %d:%d %d %q %s %v", n.Path, n.Type, n.Mode, n.UID, n.GID, n.Size, n.Target, n.Modified, n.Device)
}

// unpack lets containerd make a root file system of an image's layers.
func unpack(t *testing.T, layout *ocilayout.Layout, manifest ocispec.Manifest) string {
	t.Helper()
	root := t.TempDir()
	for _, layer := range manifest.Layers {
		if !strings.Contains(layer.MediaType, "tar") {
			continue
		}
		file, err := os.Open(ocilayout.BlobFile(layout.Dir, layer.Digest))
		if err != nil {
			t.Fatal(err)
		}
		content, err := compression.DecompressStream(file)
		if err == nil {
			_, err = archive.Apply(context.Background(), root, content)
			if err == nil {
				_, err = io.Copy(io.Discard, content)
			}
		}
		file.Close()
		if err != nil {
			t.Fatalf("containerd does not unpack %s: %v", layer.Digest, err)
		}
	}
	return root
}

// unpacked lists a directory that containerd has filled.
func unpacked(t *testing.T, root string) []node {
	t.Helper()
	var nodes []node
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		n := node{Path: strings.TrimPrefix(name, root), UID: stat.Uid, GID: stat.Gid, Mode: fmt.Sprintf("%04o", stat.Mode&0o7777)}
		n.Modified = info.ModTime().UTC().Format(time.RFC3339Nano)
		switch info.Mode().Type() {
		case 0:
			n.Type, n.Size = "file", info.Size()
		case fs.ModeDir:
			n.Type, n.Modified = "directory", ""
		case fs.ModeSymlink:
			n.Type, n.Mode = "symlink", ""
			n.Target, err = os.Readlink(name)
		case fs.ModeNamedPipe:
			n.Type = "fifo"
		case fs.ModeDevice | fs.ModeCharDevice:
			n.Type = "char-device"
			n.Device.Major, n.Device.Minor = int64(stat.Rdev>>8&0xfff), int64(stat.Rdev&0xff)
		default:
			n.Type = info.Mode().String()
		}
		nodes = append(nodes, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].Path < nodes[j].Path })
	return nodes
}

func rootfs(t *testing.T, command string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(program, append([]string{command}, args...)...)
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.Bytes())
	}
	return output
}

// listed is what `soci-layout ls` says. A directory's time is left out: what is put into it later changes it
// where files are unpacked.
func listed(t *testing.T, args ...string) []node {
	t.Helper()
	var document struct{ Entries []node }
	if err := json.Unmarshal(rootfs(t, "ls", append([]string{"-R", "--json"}, args...)...), &document); err != nil {
		t.Fatal(err)
	}
	for i := range document.Entries {
		n := &document.Entries[i]
		switch n.Type {
		case "directory":
			n.Modified = ""
		case "symlink":
			n.Mode = ""
		default:
			n.Target = "" // of a hard link
		}
	}
	sort.Slice(document.Entries, func(i, j int) bool { return document.Entries[i].Path < document.Entries[j].Path })
	return document.Entries
}

// sameFiles compares a list of files, and the content of all of them.
func sameFiles(t *testing.T, root string, args ...string) int {
	t.Helper()
	want, got := unpacked(t, root), listed(t, args...)
	if text := differences(want, got); text != "" {
		t.Fatalf("files differ:\n%s", text)
	}
	var files []string
	var content bytes.Buffer
	for _, n := range want {
		if n.Type != "file" {
			continue
		}
		files = append(files, n.Path)
		b, err := os.ReadFile(filepath.Join(root, n.Path))
		if err != nil {
			t.Fatal(err)
		}
		content.Write(b)
	}
	if len(files) == 0 {
		return 0
	}
	output := rootfs(t, "cat", slices.Concat(args, []string{"--"}, files)...)
	if !bytes.Equal(output, content.Bytes()) {
		t.Errorf("contents differ: %d bytes, wanted %d", len(output), content.Len())
	}
	return len(files)
}

func differences(want, got []node) string {
	var text strings.Builder
	lines := func(sign string, nodes, others []node) {
		for _, n := range nodes {
			if !slices.ContainsFunc(others, func(o node) bool { return o.String() == n.String() }) {
				fmt.Fprintf(&text, "%s %v\n", sign, n)
			}
		}
	}
	lines("wanted", want, got)
	lines("found ", got, want)
	return text.String()
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("containerd unpacks owners and devices as root only")
	}
}

// The merged view of every fixture, with and without zTOCs, is what containerd unpacks.
func TestFilesOfFixtures(t *testing.T) {
	needsRoot(t)
	eachFixture(t, func(t *testing.T, from string, _ golden) {
		dir := fixtureCopy(t, from)
		roots, err := ocilayout.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var compared int
		for _, indexed := range []bool{false, true} {
			if indexed {
				index(t, dir, fixtureArgs...).needs(t, 0)
			}
			for _, root := range roots.Index.Manifests {
				name := root.Annotations[ocispec.AnnotationRefName]
				alone := &ocilayout.Layout{Dir: dir}
				images, err := ocilayout.ReadRoot(dir, root)
				if err != nil {
					t.Fatal(err)
				}
				for _, image := range images {
					if image.Desc.Platform == nil || image.Desc.Platform.OS != "linux" {
						continue
					}
					platform := platforms.Format(*image.Desc.Platform)
					args := []string{dir, "--platform", platform}
					if name != "" {
						args = append(args, "--ref", name)
					}
					compared += sameFiles(t, unpack(t, alone, image.Manifest), lsArgs(args)...)
				}
			}
		}
		if compared < 20 {
			t.Errorf("only %d files", compared)
		}
	})
}

// lsArgs puts the options first, so that paths may follow.
func lsArgs(args []string) []string { return append(slices.Clone(args[1:]), args[0]) }

// Random stacks of layers.
func TestFilesOfRandomLayers(t *testing.T) {
	needsRoot(t)
	cases := number(t, "SOCI_PEER_CASES", 3000) / 30
	var files int
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 7))
		var layers []corpus.Layer
		for range 1 + r.IntN(5) {
			layers = append(layers, randomLayer(t, r))
		}
		dir := newLayout(t, ocilayout.Image{Name: "stack", Layers: layers})
		if seed%2 == 0 {
			index(t, dir, sizes(1000)...).needs(t, 0)
		}
		layout, err := ocilayout.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		root := unpack(t, layout, layout.Images[0].Manifest)
		same := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { files += sameFiles(t, root, dir) })
		if !same {
			for i, l := range layers {
				t.Logf("layer %d: %s", i+1, keep(l))
			}
			return
		}
	}
	t.Logf("%d stacks, %d files", cases, files)
}

// randomLayer has what real differs write: whiteouts in front, every directory before what is in it. Symbolic
// links have names of their own: through one in a lower layer containerd's plain unpacking would write, where
// overlayfs replaces it.
func randomLayer(t *testing.T, r *rand.Rand) corpus.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	kinds := make(map[string]byte)
	add := func(name string, kind byte, target string, content []byte) {
		kinds[name] = kind
		h := &tar.Header{Name: name, Typeflag: kind, Linkname: target, Size: int64(len(content)), Mode: int64(r.IntN(0o10000)), Uid: r.IntN(3), Gid: r.IntN(3)}
		h.ModTime = time.Unix(1_600_000_000+r.Int64N(100_000_000), 0)
		if kind == tar.TypeLink {
			// All names of a file have its attributes.
			h.Mode, h.Uid, h.Gid, h.ModTime = 0o640, 1, 2, time.Unix(1_500_000_000, 0)
		}
		if strings.HasPrefix(path.Base(name), "linked") {
			h.Mode, h.Uid, h.Gid, h.ModTime = 0o640, 1, 2, time.Unix(1_500_000_000, 0)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	var directory func(name string)
	directory = func(name string) {
		if name == "." || kinds[name] == tar.TypeDir {
			return
		}
		directory(path.Dir(name))
		add(name, tar.TypeDir, "", nil)
	}
	name := func() string {
		parts := make([]string, 1+r.IntN(3))
		for i := range parts {
			parts[i] = string("abc"[r.IntN(3)])
		}
		return strings.Join(parts, "/")
	}
	for range r.IntN(5) {
		n := name()
		below := func(known string) bool { return known == n || strings.HasPrefix(known, n+"/") }
		taken := false
		for known := range kinds {
			taken = taken || below(known)
		}
		if taken {
			continue
		}
		directory(path.Dir(n))
		if r.IntN(4) == 0 {
			add(path.Join(path.Dir(n), ".wh..wh..opq"), tar.TypeReg, "", nil)
		} else {
			add(path.Join(path.Dir(n), ".wh."+path.Base(n)), tar.TypeReg, "", nil)
		}
	}
	var linked string
	// A file that becomes a directory in the same layer hides what was there before with containerd's plain
	// unpacking, and does not with overlayfs.
	var throughFile func(n string) bool
	throughFile = func(n string) bool {
		kind, known := kinds[n]
		return n != "." && (known && kind != tar.TypeDir || throughFile(path.Dir(n)))
	}
	for range r.IntN(14) {
		n := name()
		if throughFile(path.Dir(n)) {
			continue
		}
		directory(path.Dir(n))
		switch r.IntN(8) {
		case 0, 1:
			if !throughFile(n) {
				directory(n)
			}
		case 2:
			add(path.Join(path.Dir(n), "s"), tar.TypeSymlink, name(), nil)
		case 3:
			add(path.Join(path.Dir(n), "p"), tar.TypeFifo, "", nil)
		case 4:
			linked = path.Join(path.Dir(n), "linked")
			add(linked, tar.TypeReg, "", []byte(n))
		case 5:
			if linked != "" && kinds[linked] == tar.TypeReg {
				add(path.Join(path.Dir(n), "h"), tar.TypeLink, linked, nil)
			}
		default:
			if kinds[n] == tar.TypeDir {
				continue // containerd still wants to set the times of directories in it
			}
			content := make([]byte, r.IntN(3000))
			for i := range content {
				content[i] = byte(r.IntN(64))
			}
			add(n, tar.TypeReg, "", content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	blob, err := corpus.Gzip(b.Bytes(), 6)
	if err != nil {
		t.Fatal(err)
	}
	l, err := corpus.Save(shared, "stack", blob, corpus.TypeGzip, digest.FromBytes(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The comparison notices when a layer is missing.
func TestFilesNotices(t *testing.T) {
	a, b := node{Path: "/a", Type: "file"}, node{Path: "/b", Type: "file"}
	if differences([]node{a, b}, []node{a, b}) != "" {
		t.Error("the same differs")
	}
	if differences([]node{a, b}, []node{a}) == "" || differences([]node{a}, []node{a, b}) == "" {
		t.Error("a file that is missing is not noticed")
	}
	other := a
	other.Mode = "0644"
	if differences([]node{a}, []node{other}) == "" {
		t.Error("another mode is not noticed")
	}
}
