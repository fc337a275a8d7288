package peer_test

import (
	"os"
	"testing"

	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// A layer whose bytes differ from its digest or size fails the run and leaves the layout as
// it was, also when there are good layers around it. One that is broken inside is left out,
// as the reference cannot index it either; `--strict` makes it an error.
func TestDamagedLayers(t *testing.T) {
	good := save(t, []corpus.Case{corpus.Good()})[0]
	for _, c := range corpus.Broken() {
		t.Run(c.Name, func(t *testing.T) {
			l := save(t, []corpus.Case{c})[0]
			if c.Claimed == nil {
				// What is damaged inside must be so in the reference's eyes as well.
				if e := reference.Expect(l.File, l.MediaType, 4<<20, reference.Tool); e.Err == nil || e.Unsupported() {
					t.Errorf("the reference says: %v", e.Err)
				}
			}
			for _, layers := range [][]corpus.Layer{{l}, {good, l, good}} {
				dir := newLayout(t, ocilayout.Image{Name: c.Name, Layers: layers})
				before := stateOf(t, dir)
				refuses := sizes(4 << 20)
				if c.Claimed == nil {
					refuses = append(refuses, "--strict")
				}
				if got := index(t, dir, refuses...); got.code != 1 {
					t.Errorf("%d layers: exit code %d, wanted 1:\n%s\n  layer: %s", len(layers), got.code, tail(got.output), keep(l))
				}
				untouched(t, dir, before)
				if c.Claimed != nil {
					continue
				}
				index(t, dir, sizes(4<<20)...).needs(t, 0)
				leftOut(t, dir, []expected{{l, reference.Expect(l.File, l.MediaType, 4<<20, reference.Tool)}})
				if len(layers) > 1 {
					for _, text := range compareZtocs(dir, expect([]corpus.Layer{good}, 4<<20)) {
						t.Error(text)
					}
				}
			}
		})
	}
}

// A layer that is whole, but that no reader could load, is left out and the others are
// indexed; `--strict` makes it an error.
func TestUnsupportedLayers(t *testing.T) {
	good := save(t, []corpus.Case{corpus.Good()})[0]
	cases := corpus.Unsupported()
	zstd, err := corpus.Zstd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(cases, zstd) {
		t.Run(c.Name, func(t *testing.T) {
			l := save(t, []corpus.Case{c})[0]
			e := reference.Expect(l.File, l.MediaType, 4<<20, reference.Tool)
			if e.Wanted != nil {
				t.Errorf("the reference takes it, and there is no rule against it")
			}
			image := ocilayout.Image{Name: c.Name, Layers: []corpus.Layer{l, good, l}}
			dir := newLayout(t, image)
			before := stateOf(t, dir)
			index(t, dir, append(sizes(4<<20), "--strict")...).needs(t, 1)
			untouched(t, dir, before)

			index(t, dir, sizes(4<<20)...).needs(t, 0)
			leftOut(t, dir, []expected{{l, e}})
			for _, text := range compareZtocs(dir, expect([]corpus.Layer{good}, 4<<20)) {
				t.Error(text)
			}
		})
	}
}

// leftOut demands that there is no zTOC for any of the layers.
func leftOut(t testing.TB, dir string, layers []expected) {
	t.Helper()
	layout, err := ocilayout.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	ztocs, err := layout.Ztocs()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if _, found := ztocs[l.Digest]; found {
			t.Errorf("%s: has a zTOC, but: %s%s\n  layer: %s", l.Name, errorText(l), l.Unreadable, keep(l.Layer))
		}
	}
}

// An image of nothing but unsupported layers is left alone.
func TestNothingToIndex(t *testing.T) {
	zstd, err := corpus.Zstd()
	if err != nil {
		t.Fatal(err)
	}
	dir := newLayout(t, ocilayout.Image{Name: "zstd", Layers: save(t, []corpus.Case{zstd})})
	before := stateOf(t, dir)
	index(t, dir, sizes(4<<20)...).needs(t, 0)
	untouched(t, dir, before)
	index(t, dir, append(sizes(4<<20), "--require-index")...).needs(t, 3)
	untouched(t, dir, before)
}

// A layer whose blob is not in the layout cannot be indexed, and is not passed over.
func TestMissingBlob(t *testing.T) {
	layers := save(t, []corpus.Case{corpus.Good()})
	dir := newLayout(t, ocilayout.Image{Name: "missing", Layers: layers})
	if err := os.Remove(ocilayout.BlobFile(dir, layers[0].Digest)); err != nil {
		t.Fatal(err)
	}
	before := stateOf(t, dir)
	index(t, dir, sizes(4<<20)...).needs(t, 1)
	untouched(t, dir, before)
}

func errorText(l expected) string {
	if l.Err == nil {
		return ""
	}
	return l.Err.Error()
}
