package peer_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/fidelity"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// tried is a generated layer, and how a lazy mount of it differs from unpacking.
type tried struct {
	fidelity.Case
	corpus.Layer
	differences []string
}

// A layer is lazy if and only if the reference's reader shows what containerd unpacks, on both of its ways. Where
// it is left eager although nothing was seen to differ, the reason has to be one of those that are told to be coarse.
func TestLazyIsWhatUnpackingGives(t *testing.T) {
	needsRoot(t)
	lower, err := fidelity.NewLower(t.TempDir(), fidelity.Base())
	if err != nil {
		t.Fatal(err)
	}
	seed, random := randomSettings(t)
	var cases []fidelity.Case
	fidelity.Cases(seed, random, func(c fidelity.Case) { cases = append(cases, c) })
	// Each takes a dozen file systems: a part of them a run, another one each time.
	r := rand.New(rand.NewPCG(seed, 22))
	r.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	cases = cases[:min(len(cases), number(t, "SOCI_PEER_LAYERS", random/8))]
	all := make([]tried, len(cases))
	numbers := make([]int, len(cases))
	for i := range numbers {
		numbers[i] = i
	}
	var v verdicts
	each(numbers, func(i int) {
		c := cases[i]
		l, err := corpus.Save(shared, c.Name, c.Tar, corpus.TypePlain, digest.FromBytes(c.Tar))
		if err != nil {
			v.add("%s: %v", c.Name, err)
			return
		}
		all[i] = tried{Case: c, Layer: l}
		toc, err := reference.BuildZtoc(l.File, l.MediaType, 4<<20, reference.Tool)
		if err != nil {
			all[i].differences = []string{"no zTOC: " + err.Error()}
			return
		}
		lazy, err := reference.Show(l.File, toc)
		if err != nil {
			all[i].differences = []string{"not mounted: " + err.Error()}
			return
		}
		all[i].differences = lower.Differences(c.Tar, lazy)
	})
	var same, other, coarse int
	classes := make(map[string]int)
	for start := 0; start < len(all); start += batch {
		part := all[start:min(start+batch, len(all))]
		outcomes := lazyLayers(t, part)
		for _, c := range part {
			reason, eager := outcomes[c.Digest]
			switch {
			case len(c.differences) > 0 && !eager:
				v.add("%s: lazy, but %s", c.Case.Name, strings.Join(c.differences[:min(3, len(c.differences))], "\n\t"))
			case len(c.differences) > 0:
				other++
				classes[class(reason)]++
			case !eager:
				same++
			case mayBeEager(c.Case, reason):
				coarse++
			default:
				v.add("%s: eager (%s), but nothing differs", c.Case.Name, reason)
			}
		}
	}
	t.Logf("%d layers: %d lazy, %d eager, %d eager to be safe", len(all), same, other, coarse)
	for class, count := range classes {
		t.Logf("%5d: %s", count, class)
	}
	if len(all) > 400 && min(same, other) < 40 {
		t.Errorf("too few of one kind")
	}
	v.report(t)
}

// lazyLayers indexes an image for each layer, and gives the reasons of those that were left eager.
func lazyLayers(t *testing.T, part []tried) map[digest.Digest]string {
	t.Helper()
	var images []ocilayout.Image
	for i, c := range part {
		images = append(images, ocilayout.Image{Name: fmt.Sprintf("v%d", i), Layers: []corpus.Layer{c.Layer}})
	}
	dir := newLayout(t, images...)
	var report struct {
		Layers []struct {
			Digest          digest.Digest
			Outcome, Reason string
		}
	}
	if err := json.Unmarshal(rootfs(t, "index", "--min-layer-size", "0", "--json", "-q", dir), &report); err != nil {
		t.Fatal(err)
	}
	eager := make(map[digest.Digest]string)
	for _, l := range report.Layers {
		switch l.Outcome {
		case "indexed", "reused":
		default:
			eager[l.Digest] = l.Reason
		}
	}
	os.RemoveAll(filepath.Clean(dir))
	return eager
}

// mayBeEager tells whether a layer may be left eager although nothing differs: when a later entry replaces what makes
// the difference, or for one of the classes that are not told exactly, see docs/lazy-loading.md.
func mayBeEager(c fidelity.Case, reason string) bool {
	for _, text := range []string{
		"another set of extended attributes", "a directory in place of a whiteout", "a hard link that containerd",
		"an opaque marker after directories",
	} {
		if strings.Contains(reason, text) {
			return true
		}
	}
	return c.Repeats()
}

// class is a reason without its place and names.
func class(reason string) string {
	_, what, _ := strings.Cut(reason, "): ")
	what, _, quoted := strings.Cut(what, `"`)
	if quoted {
		what += "…"
	}
	return what
}
