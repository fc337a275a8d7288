package peer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// Files that the reference finds are fetched ahead by the reference's bytes: its artifacts,
// their descriptors and the SOCI indexes are the same.
func TestPrefetchEquality(t *testing.T) {
	var compared int
	eachFixture(t, func(t *testing.T, from string, g golden) {
		for _, spanSize := range []int64{30_000, 4 << 20} {
			t.Run(strconv.FormatInt(spanSize, 10), func(t *testing.T) {
				options := reference.Options{SpanSize: spanSize, Tool: reference.Tool}
				plain := fixtureCopy(t, from)
				index(t, plain, "--min-layer-size", "0", "--span-size", strconv.FormatInt(spanSize, 10)).needs(t, 0)
				options.Prefetch = plainFiles(t, plain, 12)
				if len(options.Prefetch) == 0 {
					t.Skip("no file that only one layer has")
				}
				dir := fixtureCopy(t, from)
				index(t, dir, prefetchArgs(options)...).needs(t, 0)
				ours := make(map[digest.Digest]bool)
				for _, m := range readLayout(t, dir).Soci {
					ours[m.Desc.Digest] = true
					compared += len(artifactsOf(m))
				}
				// Its threads share a list without a lock (soci_index.go), so at times an artifact is lost.
				var wanted map[digest.Digest]bool
				for range 5 {
					if wanted, _ = convertedIndexes(t, from, g, options); reflect.DeepEqual(ours, wanted) {
						return
					}
				}
				t.Errorf("SOCI indexes %v, the reference makes %v; fetched ahead: %q", ours, wanted, options.Prefetch)
			})
		}
	})
	if compared == 0 {
		t.Error("no artifact was made")
	}
}

func prefetchArgs(o reference.Options) []string {
	// The reference leaves Docker's layer types in OCI manifests.
	args := []string{"--keep-layer-types", "--min-layer-size", "0", "--min-saving", "0", "--span-size", strconv.FormatInt(o.SpanSize, 10)}
	for _, file := range o.Prefetch {
		args = append(args, "--prefetch-file", file)
	}
	return args
}

// artifactsOf are the prefetch artifacts that a SOCI index lists.
func artifactsOf(m ocilayout.Manifest) (found []ocispec.Descriptor) {
	for _, d := range m.Layers {
		if d.MediaType == soci.SociPrefetchMediaType {
			found = append(found, d)
		}
	}
	return found
}

// plainFiles are files whose look-up by entry name is right: one layer has them, under that very
// name, and nothing hides them. Some have a slash in front, one is nowhere.
func plainFiles(t *testing.T, dir string, most int) []string {
	t.Helper()
	layout := readLayout(t, dir)
	entries := make(map[string]int)
	var regular, hidden []string
	for _, m := range layout.Soci {
		for _, d := range m.Layers {
			blob, err := layout.Blob(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			toc, err := ztoc.Unmarshal(bytes.NewReader(blob))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range toc.FileMetadata {
				name := path.Clean("/" + f.Name)[1:]
				entries[name]++
				switch base := path.Base(name); {
				case base == ".wh..wh..opq":
					hidden = append(hidden, path.Dir(name)+"/")
				case strings.HasPrefix(base, ".wh."):
					hidden = append(hidden, path.Join(path.Dir(name), base[len(".wh."):]))
				case f.Type == "reg" && f.Name == name:
					regular = append(regular, name)
				}
			}
		}
	}
	isHidden := func(name string) bool {
		return slices.ContainsFunc(hidden, func(h string) bool { return strings.HasPrefix(name, h) })
	}
	regular = slices.DeleteFunc(regular, func(name string) bool { return entries[name] > 1 || isHidden(name) })
	random := rand.New(rand.NewPCG(7, 7))
	random.Shuffle(len(regular), func(i, j int) { regular[i], regular[j] = regular[j], regular[i] })
	if len(regular) == 0 {
		return nil
	}
	files := regular[:min(most, len(regular))]
	for i := range files {
		if i%2 == 0 {
			files[i] = "/" + files[i]
		}
	}
	return append(files, "/not/there")
}

// The same for layers of random files and spans: many files begin or end where a span does.
func TestPrefetchEqualityRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 4))
	var artifacts int
	for number := range 40 {
		options := reference.Options{SpanSize: 1 + random.Int64N(9000), Tool: reference.Tool}
		if number%3 == 0 {
			options.SpanSize = 512 * (1 + random.Int64N(9))
		}
		var layers []corpus.Layer
		var names []string
		for l := range 1 + random.IntN(3) {
			files := randomFiles(random, fmt.Sprintf("l%d", l))
			for _, f := range files {
				names = append(names, f.name)
			}
			layers = append(layers, tarLayer(t, files, l%2 == 0, true))
		}
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		options.Prefetch = names[:1+random.IntN(len(names))]
		dir := newLayout(t, ocilayout.Image{Name: "random", Layers: layers})
		source := newLayout(t, ocilayout.Image{Name: "random", Layers: layers})
		v1 := newLayout(t, ocilayout.Image{Name: "random", Layers: layers})
		index(t, dir, prefetchArgs(options)...).needs(t, 0)
		index(t, v1, append(prefetchArgs(options), "--index-version", "v1")...).needs(t, 0)
		ours := [2]string{indexText(t, dir), indexText(t, v1)}
		artifacts += len(artifactsOf(readLayout(t, dir).Soci[0]))
		var theirs [2]string
		for range 5 {
			out := filepath.Join(t.TempDir(), "converted")
			if _, err := reference.Convert(context.Background(), source, out, options); err != nil {
				t.Fatal(err)
			}
			manifests, err := reference.BuildV1(context.Background(), source, options)
			if err != nil {
				t.Fatal(err)
			}
			if theirs = [2]string{indexText(t, out), string(manifests[0])}; ours == theirs {
				break
			}
		}
		if ours != theirs {
			t.Fatalf("no. %d, spans of %d, files %q:\nours   %s\ntheirs %s", number, options.SpanSize, options.Prefetch, ours, theirs)
		}
	}
	if artifacts < 40 {
		t.Errorf("only %d artifacts", artifacts)
	}
}

func indexText(t *testing.T, dir string) string {
	t.Helper()
	layout := readLayout(t, dir)
	if len(layout.Soci) != 1 {
		t.Fatalf("%d SOCI indexes", len(layout.Soci))
	}
	text, err := layout.Blob(layout.Soci[0].Desc.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type tarFile struct {
	name string
	size int
}

func randomFiles(random *rand.Rand, dir string) (files []tarFile) {
	for n := range 8 + random.IntN(20) {
		size := random.IntN(12_000)
		if n%4 == 0 {
			size = 512 * random.IntN(20)
		}
		files = append(files, tarFile{fmt.Sprintf("%s/f%02d", dir, n), size})
	}
	return files
}

// tarLayer is a layer of these files. Compressed, a deflate block ends behind some hundred bytes, so
// there may be a checkpoint anywhere.
func tarLayer(t *testing.T, files []tarFile, compressed, ended bool) corpus.Layer {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(f.size), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		content := make([]byte, f.size)
		for i := range content {
			content[i] = byte(random.Uint32())
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	end := w.Close
	if !ended {
		end = w.Flush
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	blob, mediaType := archive.Bytes(), corpus.TypePlain
	if compressed {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		for rest := archive.Bytes(); len(rest) > 0; {
			n := min(len(rest), 100+random.IntN(900))
			if _, err := z.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			if err := z.Flush(); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		blob, mediaType = packed.Bytes(), corpus.TypeGzip
	}
	layer, err := corpus.Save(shared, "tar", blob, mediaType, digest.FromBytes(archive.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// What is found where the reference finds nothing has the spans that its reader asks for: after they
// were fetched, reading the file needs nothing more. The reference's own range lacks the
// span of the tar header when a file begins right behind it.
func TestPrefetchedFilesNeedNoMoreRequests(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for _, compressed := range []bool{false, true} {
		files := randomFiles(random, "d")
		dotted := slices.Clone(files)
		for i := range dotted {
			dotted[i].name = "./" + dotted[i].name
		}
		var lacking int
		for i, f := range files {
			if f.size == 0 {
				continue
			}
			if later := fetchedLater(t, tarLayer(t, dotted, compressed, true), f.name); later != 0 {
				t.Errorf("%v, file %d of %d bytes: %d more requests", compressed, i, f.size, later)
			}
			if later := fetchedLater(t, tarLayer(t, files, compressed, true), f.name); later != 0 {
				lacking++
			}
		}
		if lacking == 0 || lacking == len(files) {
			t.Errorf("%v: the reference's range lacks a span for %d of %d files", compressed, lacking, len(files))
		}
	}
}

// The reference's range goes one span too far for a file that ends with an archive without an end.
func TestPrefetchStaysInsideTheLayer(t *testing.T) {
	layer := tarLayer(t, []tarFile{{"a", 512}, {"b", 1536}}, false, false)
	dir := newLayout(t, ocilayout.Image{Name: "open", Layers: []corpus.Layer{layer}})
	options := reference.Options{SpanSize: 1024, Tool: reference.Tool, Prefetch: []string{"b"}}
	theirs := filepath.Join(t.TempDir(), "converted")
	if _, err := reference.Convert(context.Background(), dir, theirs, options); err != nil {
		t.Fatal(err)
	}
	index(t, dir, prefetchArgs(options)...).needs(t, 0)
	for place, wanted := range map[string]string{dir: `"start_span":1,"end_span":2}`, theirs: `"start_span":1,"end_span":3}`} {
		layout := readLayout(t, place)
		text, err := layout.Blob(artifactsOf(layout.Soci[0])[0].Digest)
		if err != nil || !strings.Contains(string(text), wanted) {
			t.Errorf("%s, wanted %s: %v", text, wanted, err)
		}
	}
}

func fetchedLater(t *testing.T, layer corpus.Layer, name string) int64 {
	t.Helper()
	dir := newLayout(t, ocilayout.Image{Name: "one", Layers: []corpus.Layer{layer}})
	index(t, dir, prefetchArgs(reference.Options{SpanSize: 2048, Prefetch: []string{name}})...).needs(t, 0)
	layout := readLayout(t, dir)
	ztocs, err := layout.Ztocs()
	if err != nil {
		t.Fatal(err)
	}
	toc, err := layout.Blob(ztocs[layer.Digest].Digest)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := layout.Blob(artifactsOf(layout.Soci[0])[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	later, err := reference.FetchedLater(layer.File, toc, artifact, name)
	if err != nil {
		t.Fatal(err)
	}
	return later
}
