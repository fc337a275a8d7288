package peer_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
)

// Layers that no SOCI reader can load: sparse files of all PAX formats, hard links to files of lower layers; and hard
// links whose headers change their files. What `ls` and `cat` say is what containerd unpacks.
func TestFilesOfEagerLayers(t *testing.T) {
	needsRoot(t)
	cases := number(t, "SOCI_PEER_CASES", 3000) / 30
	var files int
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 8))
		lower := randomLayer(t, r)
		dir := newLayout(t, ocilayout.Image{Name: "lower", Layers: []corpus.Layer{lower}})
		layout, err := ocilayout.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		upper := eagerLayer(t, r, unpack(t, layout, layout.Images[0].Manifest))
		dir = newLayout(t, ocilayout.Image{Name: "stack", Layers: []corpus.Layer{lower, upper}})
		if seed%2 == 0 {
			index(t, dir, sizes(1000)...).needs(t, 0)
		}
		if layout, err = ocilayout.Read(dir); err != nil {
			t.Fatal(err)
		}
		root := unpack(t, layout, layout.Images[0].Manifest)
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { files += sameFiles(t, root, dir) }) {
			t.Logf("layers: %s, %s", keep(lower), keep(upper))
			return
		}
	}
	t.Logf("%d stacks, %d files", cases, files)
}

// eagerLayer is put upon the files in root.
func eagerLayer(t *testing.T, r *rand.Rand, root string) corpus.Layer {
	t.Helper()
	var b bytes.Buffer
	block := func(h tar.Header) {
		var one bytes.Buffer
		kind := h.Typeflag
		if h.Format = tar.FormatUSTAR; kind == tar.TypeXHeader {
			h.Typeflag = tar.TypeReg // as the library writes no such header by itself
		}
		if err := tar.NewWriter(&one).WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		header := one.Bytes()
		sum := 0
		header[156] = kind
		copy(header[148:156], "        ")
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(header)
	}
	data := func(content []byte) {
		b.Write(content)
		b.Write(make([]byte, -len(content)&511))
	}
	moment := time.Unix(1_600_000_000, 0)
	for i := range 1 + r.IntN(4) {
		records, stored, name := sparse(r), []byte(nil), fmt.Sprintf("new-sparse-%d", i)
		records.text += record("GNU.sparse.name", name)
		stored = records.stored
		block(tar.Header{Typeflag: tar.TypeXHeader, Name: "records", Size: int64(len(records.text))})
		data([]byte(records.text))
		block(tar.Header{Typeflag: tar.TypeReg, Name: "GNUSparseFile.0/" + name, Mode: 0o640, Uid: 3, ModTime: moment, Size: int64(len(stored))})
		data(stored)
	}
	var links int
	for _, n := range unpacked(t, root) {
		var stat syscall.Stat_t
		if err := syscall.Lstat(filepath.Join(root, n.Path), &stat); err != nil {
			t.Fatal(err)
		}
		if n.Type == "directory" || n.Type == "symlink" || r.IntN(2) == 0 {
			continue
		}
		// With the same attributes, for else plain unpacking changes the lower file and overlayfs does not.
		name := fmt.Sprintf("new-link-%d", links)
		block(tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: strings.TrimPrefix(n.Path, "/"), Mode: int64(stat.Mode & 0o7777), Uid: int(stat.Uid), Gid: int(stat.Gid), ModTime: time.Unix(stat.Mtim.Sec, stat.Mtim.Nsec)})
		links++
		if r.IntN(3) == 0 {
			block(tar.Header{Typeflag: tar.TypeLink, Name: name + "-again", Linkname: name, Mode: int64(stat.Mode & 0o7777), Uid: int(stat.Uid), Gid: int(stat.Gid), ModTime: time.Unix(stat.Mtim.Sec, stat.Mtim.Nsec)})
		}
	}
	for i := range r.IntN(3) {
		name := fmt.Sprintf("new-file-%d", i)
		block(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 5, ModTime: moment})
		data([]byte("bytes"))
		for j := range r.IntN(3) {
			block(tar.Header{Typeflag: tar.TypeLink, Name: fmt.Sprintf("%s-%d", name, j), Linkname: name, Mode: int64(r.IntN(0o10000)), Uid: r.IntN(9), Gid: r.IntN(9), ModTime: moment.Add(time.Duration(r.IntN(1000)) * time.Second)})
		}
	}
	b.Write(make([]byte, 1024))
	blob, err := corpus.Gzip(b.Bytes(), 6)
	if err != nil {
		t.Fatal(err)
	}
	l, err := corpus.Save(shared, "eager", blob, corpus.TypeGzip, digest.FromBytes(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sparseFile is a file with holes: its records, and what stands for its data.
type sparseFile struct {
	text   string
	stored []byte
}

func record(key, value string) string {
	length := len(key) + len(value) + 3
	for length != len(fmt.Sprint(length))+len(key)+len(value)+3 {
		length = len(fmt.Sprint(length)) + len(key) + len(value) + 3
	}
	return fmt.Sprintf("%d %s=%s\n", length, key, value)
}

// sparse makes one in one of the three formats of GNU tar's PAX archives.
func sparse(r *rand.Rand) sparseFile {
	var parts [][2]int
	var content []byte
	end := 0
	for range r.IntN(6) {
		start, length := end+r.IntN(3)*r.IntN(200_000), r.IntN(4)*r.IntN(900)
		parts, end = append(parts, [2]int{start, length}), start+length
		for range length {
			content = append(content, byte('a'+r.IntN(26)))
		}
	}
	size := end + r.IntN(2)*r.IntN(100_000)
	if r.IntN(2) == 0 {
		parts = append(parts, [2]int{size, 0}) // as GNU tar ends its maps
	}
	count := record("GNU.sparse.numblocks", fmt.Sprint(len(parts)))
	var numbers []string
	for _, part := range parts {
		numbers = append(numbers, fmt.Sprint(part[0]), fmt.Sprint(part[1]))
	}
	format := r.IntN(3)
	if format == 0 && len(parts) == 0 {
		format = 1
	}
	switch format {
	case 0:
		text := record("GNU.sparse.size", fmt.Sprint(size)) + count
		for pair := range slices.Chunk(numbers, 2) {
			text += record("GNU.sparse.offset", pair[0]) + record("GNU.sparse.numbytes", pair[1])
		}
		return sparseFile{text, content}
	case 1:
		text := record("GNU.sparse.major", "0") + record("GNU.sparse.minor", "1") + record("GNU.sparse.size", fmt.Sprint(size)) + count
		return sparseFile{text + record("GNU.sparse.map", strings.Join(numbers, ",")), content}
	default:
		text := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.realsize", fmt.Sprint(size))
		places := fmt.Sprintf("%d\n", len(parts))
		for _, number := range numbers {
			places += number + "\n"
		}
		places += strings.Repeat("\x00", -len(places)&511)
		return sparseFile{text, append([]byte(places), content...)}
	}
}
