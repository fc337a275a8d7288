package peer_test

import (
	"compress/gzip"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// Random layers are judged by this rule:
//
//	equal     the reference makes a zTOC, and none of the reasons to skip holds:
//	          ours is the wanted one, byte for byte
//	skip      the reference makes one that nobody could load rightly:
//	          the layer is left out, and the layers beside it are indexed
//	refused   the reference makes none, because of a type or because of damage:
//	          exit code 1, or left out; in both cases the layout is not touched
//
// In the last class it is not asked which of the two it is: a layer may have both an
// unsupported entry and damage, and which one is met first is nobody's promise.
type random struct {
	spanSize int64
	expected
}

const batch = 250 // layers in one layout

// TestRandomTars: the tar reader, by archives with odd headers.
func TestRandomTars(t *testing.T) {
	seed, cases := randomSettings(t)
	spans := randomSpans(seed)
	runRandom(t, cases, func(i int) (corpus.Layer, int64, error) {
		archive := corpus.RandomTar(seed + uint64(i))
		name := fmt.Sprintf("random tar %d", seed+uint64(i))
		diffID := digest.FromBytes(archive)
		if i%4 > 0 {
			l, err := corpus.Save(shared, name, archive, corpus.TypePlain, diffID)
			return l, spans[i%len(spans)], err
		}
		blob, err := corpus.Gzip(archive, gzip.BestSpeed)
		if err != nil {
			return corpus.Layer{}, 0, err
		}
		l, err := corpus.Save(shared, name, blob, corpus.TypeGzip, diffID)
		return l, spans[i%len(spans)], err
	})
}

// TestRandomGzip: the checkpoints, by streams of any make.
func TestRandomGzip(t *testing.T) {
	seed, cases := randomSettings(t)
	spans := randomSpans(seed + 1)
	runRandom(t, (cases+2)/3, func(i int) (corpus.Layer, int64, error) {
		n := seed + uint64(i)
		spanSize := spans[i%len(spans)]
		// A checkpoint takes 32 KiB, so small spans get small archives.
		limit := min(max(spanSize*24, 2000), 1200<<10)
		size := rand.New(rand.NewPCG(n, 7)).Int64N(limit)
		blob := corpus.RandomGzip(n, int(size))
		l, err := corpus.Save(shared, fmt.Sprintf("random gzip %d, archive of %d bytes", n, size), blob, corpus.TypeGzip, digest.FromBytes(blob))
		return l, spanSize, err
	})
}

// startSeed leaves room between the seeds of runs that follow each other.
var startSeed = time.Now().Unix() % 1e6 * 10000

func randomSettings(t *testing.T) (seed uint64, cases int) {
	t.Helper()
	seed = uint64(number(t, "SOCI_PEER_SEED", int(startSeed)))
	cases = number(t, "SOCI_PEER_CASES", 3000)
	t.Logf("SOCI_PEER_SEED=%d SOCI_PEER_CASES=%d", seed, cases)
	return seed, cases
}

// randomSpans are the span sizes of one run: the smallest, the default, and others
// anywhere between.
func randomSpans(seed uint64) []int64 {
	r := rand.New(rand.NewPCG(seed, 99))
	spans := []int64{1, 4 << 20}
	for range 8 {
		spans = append(spans, int64(math.Exp2(r.Float64()*22)))
	}
	return spans
}

func runRandom(t *testing.T, cases int, generate func(int) (corpus.Layer, int64, error)) {
	t.Helper()
	numbers := make([]int, cases)
	for i := range numbers {
		numbers[i] = i
	}
	var v verdicts
	all := make([]random, cases)
	each(numbers, func(i int) {
		l, spanSize, err := generate(i)
		if err != nil {
			v.add("case %d: %v", i, err)
			return
		}
		all[i] = random{spanSize, expected{l, reference.Expect(l.File, l.MediaType, spanSize, reference.Tool)}}
	})
	defer each(all, func(r random) { os.Remove(r.File) })
	v.report(t)

	var refused []random
	equal, skip := make(map[int64][]expected), make(map[int64][]expected)
	var count struct{ equal, meant, skip, refused int }
	for _, r := range all {
		switch {
		case r.Err != nil:
			refused = append(refused, r)
			count.refused++
		case r.Unreadable != "":
			skip[r.spanSize] = append(skip[r.spanSize], r.expected)
			count.skip++
		default:
			equal[r.spanSize] = append(equal[r.spanSize], r.expected)
			count.equal++
			count.meant += min(1, len(r.Meant))
		}
	}
	for spanSize, list := range equal {
		for part := range slices.Chunk(list, batch) {
			randomEqual(t, spanSize, part)
		}
	}
	for spanSize, list := range skip {
		for part := range slices.Chunk(list, batch) {
			randomSkip(t, spanSize, part)
		}
	}
	t.Logf("equal: %d (%d with a difference that is meant); skip: %d; refused: %d",
		count.equal, count.meant, count.skip, count.refused)
	randomRefused(t, refused)
}

func layersOf(list []expected) []corpus.Layer {
	var layers []corpus.Layer
	for _, l := range list {
		layers = append(layers, l.Layer)
	}
	return layers
}

func randomEqual(t *testing.T, spanSize int64, list []expected) {
	t.Helper()
	dir := newLayout(t, ocilayout.Image{Name: "random", Layers: layersOf(list)})
	defer os.RemoveAll(dir)
	if got := index(t, dir, sizes(spanSize)...); got.code != 0 {
		blame(t, spanSize, list, got)
		return
	}
	for _, text := range compareZtocs(dir, list) {
		t.Errorf("span size %d: %s", spanSize, text)
	}
	// Where ours is meant to differ, the reference's reader has the last word. With the
	// smallest spans it meets its stray byte all the time.
	if spanSize < 1000 {
		return
	}
	var v verdicts
	var leading []corpus.Layer
	for _, l := range list {
		if slices.Contains(l.Meant, reference.MeantLeading) {
			leading = append(leading, l.Layer)
		}
	}
	readAll(&v, dir, leading, func(*reference.Reading) {})
	v.report(t)
}

// randomSkip puts a good layer beside those that have to be left out.
func randomSkip(t *testing.T, spanSize int64, list []expected) {
	t.Helper()
	good := save(t, []corpus.Case{corpus.Good()})[0]
	dir := newLayout(t, ocilayout.Image{Name: "random", Layers: append(layersOf(list), good)})
	defer os.RemoveAll(dir)
	if got := index(t, dir, sizes(spanSize)...); got.code != 0 {
		blame(t, spanSize, list, got)
		return
	}
	leftOut(t, dir, list)
	for _, text := range compareZtocs(dir, expect([]corpus.Layer{good}, spanSize)) {
		t.Error(text)
	}
}

// blame finds the layers of a layout for which the program fails.
func blame(t *testing.T, spanSize int64, list []expected, all outcome) {
	t.Helper()
	var v verdicts
	each(list, func(l expected) {
		dir := newLayout(t, ocilayout.Image{Name: "one", Layers: []corpus.Layer{l.Layer}})
		defer os.RemoveAll(dir)
		if got := index(t, dir, sizes(spanSize)...); got.code != 0 {
			why := "the reference makes a zTOC"
			if l.Unreadable != "" {
				why = "to be left out: " + l.Unreadable
			}
			v.add("span size %d: %s: exit code %d, but %s\n%s\n  layer: %s", spanSize, l.Name, got.code, why, tail(got.output), keep(l.Layer))
		}
	})
	if len(v.list) == 0 {
		v.add("exit code %d for %d layers together, for none alone:\n%s", all.code, len(list), tail(all.output))
	}
	v.report(t)
}

func randomRefused(t *testing.T, list []random) {
	t.Helper()
	var v verdicts
	var lock sync.Mutex
	ways := make(map[string]int)
	each(list, func(r random) {
		dir := newLayout(t, ocilayout.Image{Name: "one", Layers: []corpus.Layer{r.Layer}})
		defer os.RemoveAll(dir)
		before, err := ocilayout.StateOf(dir)
		if err != nil {
			v.add("%v", err)
			return
		}
		got := index(t, dir, sizes(r.spanSize)...)
		now, err := ocilayout.StateOf(dir)
		if err != nil {
			v.add("%v", err)
			return
		}
		if diff := before.Diff(now); len(diff) > 0 {
			v.add("span size %d: %s: exit code %d, and the layout was touched; the reference says: %v\n  layer: %s",
				r.spanSize, r.Name, got.code, r.Err, keep(r.Layer))
		}
		way := fmt.Sprintf("reference: %-60.60s ours: exit code %d", r.Err, got.code)
		lock.Lock()
		defer lock.Unlock()
		ways[way]++
	})
	v.report(t)
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		t.Logf("%5d  %s", ways[way], way)
	}
}
