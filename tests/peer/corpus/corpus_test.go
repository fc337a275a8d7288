package corpus_test

import (
	"testing"

	"soci-layout.test/peer/corpus"
)

// The corpus itself must be right before anything is judged by it: every writer
// there, every stream valid, and the same bytes from a second run.
func TestProductIsRepeatable(t *testing.T) {
	contents := corpus.Contents()[1:5]
	first, missing, err := corpus.Product(t.TempDir(), contents)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := corpus.Product(t.TempDir(), contents)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range missing {
		t.Logf("left out: %s: %v", what, err)
	}
	total := 0
	for i, g := range first {
		total += len(g.Layers) + len(g.Leading)
		if len(g.Layers) < 20 && len(missing) == 0 {
			t.Errorf("%s: only %d layers", g.Content, len(g.Layers))
		}
		for j, l := range g.Layers {
			if other := again[i].Layers[j]; other.Digest != l.Digest {
				t.Errorf("%s: %s, then %s", l.Name, l.Digest, other.Digest)
			}
		}
	}
	t.Logf("%d contents, %d layers", len(first), total)
}
