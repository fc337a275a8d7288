package peer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/exchange"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// finding is one of `soci-layout verify --json`.
type finding struct{ Consequence, Blob, Place, Expected, Found string }

const misleading = "misleading"

// findings runs `soci-layout verify --json`.
func findings(t testing.TB, dir string) []finding {
	t.Helper()
	cmd := exec.Command(program, "verify", "--json", "--quiet", dir)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	output, _ := cmd.Output()
	var all struct{ Findings []finding }
	if err := json.Unmarshal(output, &all); err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args, err, output, errors.Bytes())
	}
	if code := cmd.ProcessState.ExitCode(); (code == 0) != (len(all.Findings) == 0) {
		t.Fatalf("exit code %d with %d findings", code, len(all.Findings))
	}
	return all.Findings
}

// worst is the gravest consequence; "" when nothing would be seen.
func worst(all []finding) string {
	gravest := []string{reference.WrongBytes, reference.IOError, reference.Unpullable, reference.Rejected, reference.LayerEager}
	for _, what := range gravest {
		if slices.ContainsFunc(all, func(f finding) bool { return f.Consequence == what }) {
			return what
		}
	}
	return ""
}

// consumeEnv makes this test binary a runtime that consumes one layout: what is broken may
// crash it, or never come to an end.
const consumeEnv = "SOCI_PEER_CONSUME"

type consumption struct {
	Dir  string
	Lazy []digest.Digest
}

func consumeHere(text string) int {
	var job consumption
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	consumed, err := reference.Consume(context.Background(), job.Dir, job.Lazy)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	if err := json.NewEncoder(os.Stdout).Encode(consumed); err != nil {
		return 3
	}
	return 0
}

// consume lets the reference use a layout. A crash or a loop without end is what a user
// sees as an I/O error: the snapshotter does not answer any more. A loop is told by the
// time that it computes, of which a layout takes less than one second; how long that is by
// the clock depends on the machine.
func consume(t testing.TB, dir string, lazy []digest.Digest) *reference.Consumed {
	t.Helper()
	job, err := json.Marshal(consumption{dir, lazy})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -t 10 && exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), consumeEnv+"="+string(job))
	var said bytes.Buffer
	cmd.Stderr = &said
	output, err := cmd.Output()
	consumed := &reference.Consumed{}
	switch {
	case ctx.Err() != nil:
		t.Fatalf("the reference neither ends nor computes: %s", said.Bytes())
	case cmd.ProcessState.ExitCode() == 3:
		t.Fatalf("the reference could not be asked: %s", said.Bytes())
	case err != nil:
		how := fmt.Sprintf("it ends with %v: %s", err, strings.SplitN(said.String(), "\n", 2)[0])
		consumed.Seen = map[string]string{reference.IOError: how}
	default:
		if err := json.Unmarshal(output, consumed); err != nil {
			t.Fatal(err)
		}
	}
	return consumed
}

// Entries of the large layer.
const (
	bigFile, smallFile, lastFile = "d/big", "d/small", "d/last"
	onlyFile                     = "d/only" // in no other layer
	directory, opaque            = "d/", "d/opaque/.wh..wh..opq"
	symbolic, hard, device, fifo = "d/symlink", "d/hardlink", "d/device", "d/fifo"
)

// words is text that refers back to itself all the time, so that a window matters.
func words(random *rand.Rand, size int) []byte {
	list := make([]string, 3000)
	for i := range list {
		list[i] = fmt.Sprintf("%x ", random.Uint64N(1<<(16+random.Uint64N(40))))
	}
	var text []byte
	for len(text) < size {
		text = append(text, list[random.IntN(len(list))]...)
	}
	return text[:size]
}

// everyType makes a tar with an entry of every type.
func everyType(t testing.TB, seed uint64, size int) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	when := time.Unix(1_700_000_000, 0).UTC()
	add := func(h tar.Header, content []byte) {
		h.Size, h.ModTime, h.Uid, h.Gid, h.Uname, h.Gname = int64(len(content)), when, 7, 8, "someone", "some"
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	attribute := map[string]string{"SCHILY.xattr.user.a": "b", "comment": "said"}
	add(tar.Header{Name: directory, Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: attribute}, nil)
	add(tar.Header{Name: smallFile, PAXRecords: attribute}, words(random, 900))
	add(tar.Header{Name: symbolic, Typeflag: tar.TypeSymlink, Linkname: "small"}, nil)
	add(tar.Header{Name: hard, Typeflag: tar.TypeLink, Linkname: smallFile}, nil)
	add(tar.Header{Name: device, Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, nil)
	add(tar.Header{Name: fifo, Typeflag: tar.TypeFifo}, nil)
	add(tar.Header{Name: "d/empty"}, nil)
	add(tar.Header{Name: "d/opaque/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	add(tar.Header{Name: opaque}, nil)
	add(tar.Header{Name: bigFile}, words(random, size))
	add(tar.Header{Name: lastFile}, words(random, 3000))
	if seed == 0 {
		add(tar.Header{Name: onlyFile}, words(random, 700))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// broken is an indexed layout of three layers, of which something is changed: a large one,
// a small one, and one that is not compressed.
type broken struct {
	t     testing.TB
	dir   string
	layer [3]corpus.Layer
	image ocilayout.Manifest
	soci  ocilayout.Manifest
}

func newBroken(t testing.TB, from string, layers [3]corpus.Layer) *broken {
	t.Helper()
	b := &broken{t: t, dir: t.TempDir() + "/layout", layer: layers}
	if err := ocilayout.Copy(from, b.dir); err != nil {
		t.Fatal(err)
	}
	layout, err := ocilayout.Read(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	b.image, b.soci = layout.Images[0], layout.Soci[0]
	return b
}

// exchange replaces a blob by what change makes of it.
func (b *broken) exchange(d digest.Digest, change func([]byte) []byte) {
	b.t.Helper()
	old, err := os.ReadFile(ocilayout.BlobFile(b.dir, d))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := exchange.Blobs(b.dir, map[digest.Digest][]byte{d: change(bytes.Clone(old))}); err != nil {
		b.t.Fatal(err)
	}
}

// text replaces the first occurrence of a text in a document.
func (b *broken) text(d digest.Digest, old, now string) {
	b.t.Helper()
	b.exchange(d, func(text []byte) []byte {
		if !bytes.Contains(text, []byte(old)) {
			b.t.Fatalf("%q is not in %s", old, text)
		}
		return bytes.Replace(text, []byte(old), []byte(now), 1)
	})
}

// entry is what the SOCI index says of a layer's zTOC.
func (b *broken) entry(layer int) ocispec.Descriptor {
	b.t.Helper()
	for _, d := range b.soci.Layers {
		if d.Annotations["com.amazon.soci.image-layer-digest"] == b.layer[layer].Digest.String() {
			return d
		}
	}
	b.t.Fatalf("no zTOC for layer %d", layer)
	return ocispec.Descriptor{}
}

// ztoc replaces the zTOC of a layer, encoded by the reference.
func (b *broken) ztoc(layer int, change func(*ztoc.Ztoc)) {
	b.t.Helper()
	b.exchange(b.entry(layer).Digest, func(blob []byte) []byte {
		z, err := ztoc.Unmarshal(bytes.NewReader(blob))
		if err != nil {
			b.t.Fatal(err)
		}
		change(z)
		body, _, err := ztoc.Marshal(z)
		if err != nil {
			b.t.Fatal(err)
		}
		now, err := io.ReadAll(body)
		if err != nil {
			b.t.Fatal(err)
		}
		return now
	})
}

// file changes the TOC entry of that name in the large layer's zTOC.
func file(name string, change func(*ztoc.FileMetadata)) func(*broken) {
	return func(b *broken) {
		b.ztoc(0, func(z *ztoc.Ztoc) {
			for i := range z.FileMetadata {
				if z.FileMetadata[i].Name == name {
					change(&z.FileMetadata[i])
					return
				}
			}
			b.t.Fatalf("no entry %q", name)
		})
	}
}

// The packed checkpoints.
const (
	checkpointHead, checkpointSize            = 12, 32785
	inField, outField, bitsField, windowField = 0, 8, 16, 17
)

// checkpoint changes bytes of a packed checkpoint of the large layer.
func checkpoint(number, field int, change func([]byte)) func(*broken) {
	return func(b *broken) {
		b.ztoc(0, func(z *ztoc.Ztoc) { change(z.Checkpoints[checkpointHead+number*checkpointSize+field:]) })
	}
}

func add(difference int64) func([]byte) {
	return func(b []byte) {
		binary.LittleEndian.PutUint64(b, uint64(int64(binary.LittleEndian.Uint64(b))+difference))
	}
}

// mutation breaks one thing.
type mutation struct {
	name  string
	apply func(*broken)
	// want is what the reference has to make of it; "" for nothing that could be seen.
	want string
	// unseen: verify cannot find it, for the reason given.
	unseen string
	// says: verify says something else than what happens, for the reason given.
	says, because string
}

// indexed is a layout of three layers that is good in everyone's eyes.
func indexedForBreaking(t *testing.T) (string, [3]corpus.Layer) {
	t.Helper()
	var layers [3]corpus.Layer
	for i := range layers {
		plain := everyType(t, uint64(i), []int{300_000, 20_000, 150_000}[i])
		blob, mediaType := plain, corpus.TypePlain
		if i < 2 {
			var packed bytes.Buffer
			w, err := gzip.NewWriterLevel(&packed, 6)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			blob, mediaType = packed.Bytes(), corpus.TypeGzip
		}
		l, err := corpus.Save(t.TempDir(), fmt.Sprint(i), blob, mediaType, digest.FromBytes(plain))
		if err != nil {
			t.Fatal(err)
		}
		layers[i] = l
	}
	dir := newLayout(t, ocilayout.Image{Name: "good", Layers: layers[:]})
	index(t, dir, sizes(40_000)...).needs(t, 0)
	return dir, layers
}

// A layout that is broken in one thing is judged twice: by verify, and by the reference's
// own code that would use it. The gravest thing that verify tells must be the gravest that
// happens.
func TestVerifyTellsWhatHappens(t *testing.T) {
	good, layers := indexedForBreaking(t)
	consumed := consume(t, good, nil)
	if consumed.Worst() != "" || len(consumed.Lazy) != 3 {
		t.Fatalf("the good layout: %v", consumed)
	}
	if all := findings(t, good); len(all) > 0 {
		t.Fatalf("the good layout: %v", all)
	}
	groups := map[string][]mutation{"ztoc": ztocMutations, "entry": entryMutations(), "document": documentMutations}
	for group, list := range groups {
		t.Run(group, func(t *testing.T) {
			judge(t, good, layers, consumed.Lazy, list)
		})
	}
}

// judge breaks copies of a good layout, each in one thing.
func judge(t *testing.T, good string, layers [3]corpus.Layer, lazy []digest.Digest, list []mutation) {
	t.Helper()
	var v verdicts
	each(list, func(m mutation) {
		b := newBroken(t, good, layers)
		m.apply(b)
		said, happened := findings(t, b.dir), consume(t, b.dir, lazy)
		if os.Getenv("SOCI_PEER_SHOW") != "" {
			t.Logf("%-40s %-12q %-12q %d %v", m.name, happened.Worst(), worst(said), len(said), happened.Seen)
		}
		m.compare(&v, said, happened)
	})
	v.report(t)
}

func (m mutation) compare(v *verdicts, said []finding, happened *reference.Consumed) {
	if is := happened.Worst(); is != m.want {
		v.add("%s: the reference gives %q, not %q: %v", m.name, is, m.want, happened.Seen)
		return
	}
	if m.unseen != "" {
		if len(said) > 0 {
			v.add("%s: found after all: %v", m.name, said)
		}
		return
	}
	wanted := m.want
	if m.because != "" {
		wanted = m.says
	}
	if len(said) == 0 {
		v.add("%s: verify finds nothing; the reference: %v", m.name, happened.Seen)
	} else if is := worst(said); is != wanted {
		v.add("%s: verify says %q, not %q: %v; the reference: %v", m.name, is, wanted, said[:min(3, len(said))], happened.Seen)
	}
}

// prefetchArtifact is the descriptor of the large layer's prefetch artifact.
func (b *broken) prefetchArtifact() ocispec.Descriptor {
	b.t.Helper()
	for _, d := range b.soci.Layers {
		if d.MediaType == soci.SociPrefetchMediaType && d.Annotations[layerDigest] == b.layer[0].Digest.String() {
			return d
		}
	}
	b.t.Fatal("no prefetch artifact")
	return ocispec.Descriptor{}
}

// spans replaces the ranges of the large layer's prefetch artifact; n is the number of spans.
func spans(ranges func(n int) []soci.PrefetchSpan) func(*broken) {
	return func(b *broken) {
		var n int
		b.exchange(b.entry(0).Digest, func(blob []byte) []byte {
			z, err := ztoc.Unmarshal(bytes.NewReader(blob))
			if err != nil {
				b.t.Fatal(err)
			}
			n = int(z.MaxSpanID) + 1
			return blob
		})
		b.exchange(b.prefetchArtifact().Digest, func([]byte) []byte {
			text, err := json.Marshal(soci.PrefetchArtifact{Version: soci.PrefetchArtifactVersion, PrefetchSpans: ranges(n)})
			if err != nil {
				b.t.Fatal(err)
			}
			return text
		})
	}
}

func one(start, end int) []soci.PrefetchSpan {
	return []soci.PrefetchSpan{{StartSpan: compression.SpanID(start), EndSpan: compression.SpanID(end)}}
}

// A range up to 2³¹ - 1 is not tried here: the reference's counter comes round, and it
// collects span IDs until there is no memory left. verify::prefetch has a test of its own.
var prefetchMutations = []mutation{
	{name: "all spans", apply: spans(func(n int) []soci.PrefetchSpan { return one(0, n-1) }), unseen: "they are all there"},
	{name: "one span too many", apply: spans(func(n int) []soci.PrefetchSpan { return one(0, n) }),
		unseen: "the reference writes that itself, for a file that ends with the archive"},
	{name: "two spans too many", apply: spans(func(n int) []soci.PrefetchSpan { return one(0, n+1) })},
	{name: "behind the last span", apply: spans(func(n int) []soci.PrefetchSpan { return one(n, n) })},
	{name: "backwards", apply: spans(func(n int) []soci.PrefetchSpan { return one(2, 1) })},
	{name: "below 0", apply: spans(func(n int) []soci.PrefetchSpan { return one(-1, 1) }), want: reference.IOError},
	{name: "nothing", apply: spans(func(int) []soci.PrefetchSpan { return []soci.PrefetchSpan{} })},
	{name: "version", apply: func(b *broken) { b.text(b.prefetchArtifact().Digest, `"1.0"`, `"2.0"`) }},
	{name: "no JSON", apply: func(b *broken) { b.text(b.prefetchArtifact().Digest, `{"version"`, `{version`) }},
	{name: "no number", apply: func(b *broken) { b.text(b.prefetchArtifact().Digest, `"start_span":`, `"start_span":0.`) }},
	{name: "gone", apply: func(b *broken) { b.remove(b.prefetchArtifact().Digest) }, want: reference.Rejected},
	{name: "damaged", apply: func(b *broken) { b.damage(b.prefetchArtifact().Digest) }, want: reference.Rejected},
	{name: "of another layer", apply: func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte {
			old, now := b.layer[0].Digest.String(), digest.FromString("x").String()
			at := strings.LastIndex(string(text), old)
			return []byte(string(text[:at]) + now + string(text[at+len(old):]))
		})
	}},
}

// The same for what the reference's converter makes of files that are to be prefetched.
func TestVerifyChecksPrefetch(t *testing.T) {
	_, layers := indexedForBreaking(t)
	plain := newLayout(t, ocilayout.Image{Name: "good", Layers: layers[:]})
	options := reference.Options{SpanSize: 40_000, Tool: reference.Tool, Prefetch: []string{"/" + onlyFile, "/" + bigFile}}
	good := t.TempDir() + "/converted"
	// Files are looked for from the last layer down: one range is for the first, one for the last.
	if _, err := reference.Convert(context.Background(), plain, good, options); err != nil {
		t.Fatal(err)
	}
	if all := findings(t, good); len(all) > 0 {
		t.Fatalf("the reference's own: %v", all)
	}
	consumed := consume(t, good, nil)
	if consumed.Worst() != "" || len(consumed.Lazy) != 3 {
		t.Fatalf("the reference's own: %v", consumed)
	}
	judge(t, good, layers, consumed.Lazy, prefetchMutations)
}
