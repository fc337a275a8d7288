package peer_test

import (
	"fmt"
	"slices"
	"testing"

	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// The zTOC of every layer of the corpus is the reference's, byte for byte. Where a
// difference is meant, it is that difference and nothing else; and the layers meant
// for it are exactly those that need it.
func TestZtocEquality(t *testing.T) {
	for _, g := range groups(t) {
		for _, spanSize := range []int64{4 << 20, 1 << 20, 64 << 10, 1000} {
			if g.Large && spanSize < 64<<10 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", g.Content, spanSize), func(t *testing.T) {
				wanted := expect(slices.Concat(g.Layers, g.Leading), spanSize)
				for i, l := range wanted {
					if l.Err != nil || l.Unreadable != "" {
						t.Fatalf("%s: the reference should take it: %v %s", l.Name, l.Err, l.Unreadable)
					}
					leading := slices.Contains(l.Meant, reference.MeantLeading)
					if leading != (i >= len(g.Layers)) {
						t.Errorf("%s: empty beginning: %v", l.Name, leading)
					}
				}
				dir := newLayout(t, ocilayout.Image{Name: g.Content, Layers: slices.Concat(g.Layers, g.Leading)})
				index(t, dir, sizes(spanSize)...).needs(t, 0)
				for _, text := range compareZtocs(dir, wanted) {
					t.Error(text)
				}
			})
		}
	}
}

// Size fields where no data follows are written as 0.
func TestSizedEntries(t *testing.T) {
	layers := save(t, corpus.Sized())
	wanted := expect(layers, 4<<20)
	for _, l := range wanted {
		if l.Err != nil || !slices.Contains(l.Meant, reference.MeantSize) {
			t.Errorf("%s: does not show the difference: %v %v", l.Name, l.Meant, l.Err)
		}
	}
	dir := newLayout(t, ocilayout.Image{Name: "sized", Layers: layers})
	index(t, dir, sizes(4<<20)...).needs(t, 0)
	for _, text := range compareZtocs(dir, wanted) {
		t.Error(text)
	}
}

func save(t testing.TB, cases []corpus.Case) []corpus.Layer {
	t.Helper()
	dir := t.TempDir()
	var layers []corpus.Layer
	for _, c := range cases {
		l, err := c.Save(dir)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, l)
	}
	return layers
}
