package peer_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// golden is what the reference once made of a fixture (reference.json).
type golden struct {
	ExitCode int           `json:"exit_code"`
	Root     digest.Digest `json:"root"`
	Ztocs    []struct {
		Layer, Ztoc digest.Digest
		Size        int64
	}
	SociIndexes []struct {
		Platform string
		Digest   digest.Digest
	} `json:"soci_indexes"`
	ImageManifests []struct{ Before, After digest.Digest } `json:"image_manifests"`
	RootIndex      struct{ Digest digest.Digest }          `json:"root_index"`
	EqualExpected  struct {
		Ztocs          bool
		SociIndexes    bool `json:"soci_indexes"`
		ImageManifests bool `json:"image_manifests"`
		RootIndex      bool `json:"root_index"`
	} `json:"equal_expected"`
	// RootsAlone: the same for each entry of index.json by itself.
	RootsAlone []golden `json:"roots_alone"`
}

// roots gives the golden data per entry of index.json.
func (g golden) roots() []golden {
	if len(g.RootsAlone) > 0 {
		return g.RootsAlone
	}
	return []golden{g}
}

// fixtureOptions are those that reference.json was made with.
var fixtureOptions = reference.Options{SpanSize: 65536, Tool: reference.Tool}

// The layer types stay as the reference leaves them: equal bytes are what is asked here.
var fixtureArgs = append(sizes(fixtureOptions.SpanSize), "--keep-layer-types")

func eachFixture(t *testing.T, test func(*testing.T, string, golden)) {
	text, err := os.ReadFile(filepath.Join(fixtures, "reference.json"))
	if err != nil {
		t.Fatalf("SOCI_FIXTURES: %v", err)
	}
	var stored struct{ Variants map[string]golden }
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range stored.Variants {
		if !strings.HasSuffix(name, ".tar") { // archives are no layouts to edit in place
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("reference.json is empty")
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) { test(t, filepath.Join(fixtures, name), stored.Variants[name]) })
	}
}

func fixtureCopy(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := ocilayout.Copy(from, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rootAlone(t *testing.T, from string, number int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := ocilayout.CopyRoot(from, dir, number); err != nil {
		t.Fatal(err)
	}
	return dir
}

func readLayout(t *testing.T, dir string) *ocilayout.Layout {
	t.Helper()
	l, err := ocilayout.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func holds(list []ocilayout.Manifest, d digest.Digest) bool {
	return slices.ContainsFunc(list, func(m ocilayout.Manifest) bool { return m.Desc.Digest == d })
}

// What comes out of the real exports is what the reference made of them, wherever it
// can be equal: zTOCs, SOCI indexes, image manifests, and the image index.
func TestFixturesAgainstStoredResults(t *testing.T) {
	eachFixture(t, func(t *testing.T, from string, g golden) {
		dir := fixtureCopy(t, from)
		before := stateOf(t, dir)
		old := readLayout(t, dir)
		index(t, dir, fixtureArgs...).needs(t, 0)
		ours := readLayout(t, dir)
		ztocs, err := ours.Ztocs()
		if err != nil {
			t.Fatal(err)
		}
		if len(ours.Index.Manifests) != len(old.Index.Manifests) {
			t.Fatalf("%d roots, had %d", len(ours.Index.Manifests), len(old.Index.Manifests))
		}
		changed := false
		for i, root := range g.roots() {
			is, was := ours.Index.Manifests[i], old.Index.Manifests[i]
			if root.ExitCode != 0 {
				if !reflect.DeepEqual(is, was) {
					t.Errorf("root %d is no image, and was changed", i)
				}
				continue
			}
			changed = true
			compareGolden(t, ours, ztocs, root)
			if root.EqualExpected.RootIndex && is.Digest != root.RootIndex.Digest {
				t.Errorf("root %d is %s, the reference made %s", i, is.Digest, root.RootIndex.Digest)
			}
		}
		if !changed {
			untouched(t, dir, before)
		}
		roundTrips(t, ours)
	})
}

func compareGolden(t *testing.T, ours *ocilayout.Layout, ztocs map[digest.Digest]ocispec.Descriptor, g golden) {
	t.Helper()
	if !g.EqualExpected.Ztocs || !g.EqualExpected.SociIndexes || !g.EqualExpected.ImageManifests {
		t.Error("reference.json expects less than these tests")
	}
	for _, z := range g.Ztocs {
		if got := ztocs[z.Layer]; got.Digest != z.Ztoc || got.Size != z.Size {
			t.Errorf("zTOC of layer %s is %s (%d bytes), the reference made %s (%d)", z.Layer, got.Digest, got.Size, z.Ztoc, z.Size)
		}
	}
	for _, s := range g.SociIndexes {
		if !holds(ours.Soci, s.Digest) {
			t.Errorf("the reference's SOCI index for %s is not there: %s", s.Platform, s.Digest)
		}
	}
	for _, m := range g.ImageManifests {
		if !holds(ours.Images, m.After) {
			t.Errorf("image manifest %s did not become the reference's %s", m.Before, m.After)
		}
	}
}

// roundTrips demands that the snapshotter could take every SOCI index of a layout.
func roundTrips(t *testing.T, l *ocilayout.Layout) {
	t.Helper()
	for _, m := range l.Soci {
		text, err := l.Blob(m.Desc.Digest)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := reference.IndexRoundTrip(text); err != nil {
			t.Errorf("SOCI index %s: %v", m.Desc.Digest, err)
		}
	}
}

// The stored results are still what the reference does, in the version that is used
// here; and its whole converted index is made of what we make.
func TestFixturesAgainstLiveConversion(t *testing.T) {
	eachFixture(t, func(t *testing.T, from string, g golden) {
		dir := fixtureCopy(t, from)
		index(t, dir, fixtureArgs...).needs(t, 0)
		ours := readLayout(t, dir)
		for i, root := range g.roots() {
			out := filepath.Join(t.TempDir(), "converted")
			converted, err := reference.Convert(context.Background(), rootAlone(t, from, i), out, fixtureOptions)
			if (err != nil) != (root.ExitCode != 0) {
				t.Errorf("root %d: %v, stored exit code %d", i, err, root.ExitCode)
			}
			if err != nil {
				continue
			}
			if converted.Digest != root.RootIndex.Digest {
				t.Errorf("root %d: converted to %s, stored %s", i, converted.Digest, root.RootIndex.Digest)
			}
			if root.EqualExpected.RootIndex && ours.Index.Manifests[i].Digest != converted.Digest {
				t.Errorf("root %d is %s, the reference makes %s", i, ours.Index.Manifests[i].Digest, converted.Digest)
			}
			for _, m := range readLayout(t, out).Soci {
				compareTree(t, ours, out, m)
			}
		}
	})
}

// compareTree demands that a SOCI index and its zTOCs are in our layout too, with the
// same bytes.
func compareTree(t *testing.T, ours *ocilayout.Layout, converted string, m ocilayout.Manifest) {
	t.Helper()
	for _, d := range append([]ocispec.Descriptor{m.Desc, m.Config}, m.Layers...) {
		want, err := os.ReadFile(ocilayout.BlobFile(converted, d.Digest))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ours.Blob(d.Digest); err != nil || string(got) != string(want) {
			t.Errorf("%s of the reference's SOCI index is not in our layout: %v", d.Digest, err)
		}
	}
}

// v1 indexes, in both shapes and beside v2, are those of the reference's library for
// the image manifests that the layout then holds.
func TestFixturesV1(t *testing.T) {
	ways := map[string][]string{
		"v1-nested":   {"--index-version", "v1"},
		"v1-tagged":   {"--index-version", "v1", "--v1-shape", "tagged"},
		"both-nested": {"--index-version", "both"},
		"both-tagged": {"--index-version", "both", "--v1-shape", "tagged"},
	}
	eachFixture(t, func(t *testing.T, from string, g golden) {
		for name, args := range ways {
			t.Run(name, func(t *testing.T) {
				dir := fixtureCopy(t, from)
				index(t, dir, append(args, fixtureArgs...)...).needs(t, 0)
				ours := readLayout(t, dir)
				roundTrips(t, ours)
				wanted := make(map[digest.Digest]bool)
				for i, root := range g.roots() {
					if root.ExitCode != 0 {
						continue
					}
					// The library is asked twice: about the export, when its manifests stay as
					// they were, and always about our result.
					sources := []string{rootAlone(t, dir, i)}
					if strings.HasPrefix(name, "v1") {
						sources = append(sources, rootAlone(t, from, i))
					}
					for _, source := range sources {
						manifests, err := reference.BuildV1(context.Background(), source, fixtureOptions)
						if err != nil {
							t.Fatalf("root %d: %v", i, err)
						}
						for _, m := range manifests {
							wanted[digest.FromBytes(m)] = true
						}
					}
				}
				found := make(map[digest.Digest]bool)
				for _, m := range ours.Soci {
					if m.Config.MediaType == ocilayout.TypeSociV1 {
						found[m.Desc.Digest] = true
					}
				}
				if !reflect.DeepEqual(found, wanted) {
					t.Errorf("v1 indexes %v, the reference makes %v", found, wanted)
				}
			})
		}
	})
}
