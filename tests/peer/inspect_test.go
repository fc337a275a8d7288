package peer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// inspection is the part of `soci-layout inspect --json` that is judged.
type inspection struct {
	Version int
	Images  []struct {
		Digest digest.Digest
		Soci   []digest.Digest `json:"soci_indexes"`
		Eager  *string
		Lazy   struct {
			Layers   int
			OfLayers int `json:"of_layers"`
		}
		Layers []struct {
			Digest digest.Digest
			Ztoc   *inspectedZtoc
		}
	}
	Soci []struct {
		Digest   digest.Digest
		Version  string `json:"soci_version"`
		Images   []digest.Digest
		Rejected *string
		Ztocs    []inspectedZtoc
		Prefetch []struct {
			Digest digest.Digest
			Layer  digest.Digest
			Spans  [][2]int
		}
	} `json:"soci_indexes"`
	Blobs struct {
		Unreferenced []struct{ Digest digest.Digest }
		Broken       []struct{ Digest digest.Digest }
	}
}

type inspectedZtoc struct {
	Digest digest.Digest
	Size   int64
	Layer  digest.Digest
	Head   *struct {
		Spans, Files int
		SpanSize     int64  `json:"span_size"`
		Uncompressed int64  `json:"uncompressed_size"`
		Tool         string `json:"build_tool"`
	}
}

func inspect(t testing.TB, layout string) inspection {
	t.Helper()
	output, err := exec.Command(program, "inspect", "--json", layout).Output()
	if err != nil {
		t.Fatalf("inspect %s: %v", layout, err)
	}
	var found inspection
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// compareInspection compares what inspect shows with what the reference's reader counts.
func compareInspection(layout *ocilayout.Layout, found inspection) (ztocs int, problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	shown := make(map[digest.Digest]bool)
	for _, index := range found.Soci {
		shown[index.Digest] = true
		if len(index.Images) == 0 || index.Rejected != nil {
			problem("SOCI index %s: images %v, rejected %v", index.Digest, index.Images, index.Rejected)
		}
		for _, z := range index.Ztocs {
			blob, err := layout.Blob(z.Digest)
			if err != nil {
				problem("%v", err)
				continue
			}
			n, err := reference.Count(blob)
			switch {
			case err != nil:
				problem("zTOC %s: %v", z.Digest, err)
			case z.Head == nil:
				problem("zTOC %s: no numbers", z.Digest)
			case z.Head.Spans != n.Spans || z.Head.Files != n.Files || z.Head.SpanSize != n.SpanSize ||
				z.Head.Uncompressed != n.Uncompressed || z.Head.Tool != reference.Tool:
				problem("zTOC %s: %+v, the reference counts %+v", z.Digest, *z.Head, n)
			case z.Size != int64(len(blob)):
				problem("zTOC %s: %d bytes, it has %d", z.Digest, z.Size, len(blob))
			}
			ztocs++
		}
	}
	for _, index := range layout.Soci {
		if !shown[index.Desc.Digest] {
			problem("SOCI index %s is not shown", index.Desc.Digest)
		}
	}
	wanted, err := layout.Ztocs()
	if err != nil {
		problem("%v", err)
	}
	for _, image := range found.Images {
		lazy := 0
		for _, layer := range image.Layers {
			want, has := wanted[layer.Digest]
			if has != (layer.Ztoc != nil) || has && want.Digest != layer.Ztoc.Digest {
				problem("layer %s: %v, the reference's index has %s", layer.Digest, layer.Ztoc, want.Digest)
			}
			if has {
				lazy++
			}
		}
		if image.Lazy.Layers != lazy || image.Lazy.OfLayers != len(image.Layers) {
			problem("image %s: %+v lazy, wanted %d", image.Digest, image.Lazy, lazy)
		}
	}
	if len(found.Blobs.Broken) > 0 {
		problem("broken blobs: %v", found.Blobs.Broken)
	}
	return ztocs, problems
}

// What inspect shows of the reference's layouts is what the reference's reader finds in them.
func TestInspectShowsTheReferencesLayouts(t *testing.T) {
	var ztocs, replaced atomic.Int32
	t.Run("fixtures", func(t *testing.T) {
		eachFixture(t, func(t *testing.T, fixture string, _ golden) {
			converted := filepath.Join(t.TempDir(), "converted")
			if _, err := reference.Convert(context.Background(), fixture, converted, fixtureOptions); err != nil {
				t.Skipf("the reference does not convert it: %v", err)
			}
			layout, err := ocilayout.Read(converted)
			if err != nil {
				t.Fatal(err)
			}
			if len(layout.Soci) == 0 {
				t.Skip("the reference indexes nothing here")
			}
			found := inspect(t, converted)
			n, problems := compareInspection(layout, found)
			for _, problem := range problems {
				t.Error(problem)
			}
			ztocs.Add(int32(n))
			// It leaves the manifests behind that it replaced.
			replaced.Add(int32(len(found.Blobs.Unreferenced)))
		})
	})
	if n := ztocs.Load(); n < 20 {
		t.Errorf("only %d zTOCs", n)
	}
	if replaced.Load() == 0 {
		t.Error("no unreferenced blob was shown")
	}
}

// Prefetch artifacts that the reference makes are shown with the layers they are for.
func TestInspectShowsPrefetch(t *testing.T) {
	source, options := filepath.Join(fixtures, "single"), fixtureOptions
	convert := func() *ocilayout.Layout {
		converted := filepath.Join(t.TempDir(), "converted")
		if _, err := reference.Convert(context.Background(), source, converted, options); err != nil {
			t.Fatal(err)
		}
		layout, err := ocilayout.Read(converted)
		if err != nil {
			t.Fatal(err)
		}
		return layout
	}
	ztocs, err := convert().Ztocs()
	if err != nil {
		t.Fatal(err)
	}
	plain := convert()
	for _, index := range inspect(t, plain.Dir).Soci {
		if len(index.Prefetch) > 0 {
			t.Errorf("prefetch without any: %v", index.Prefetch)
		}
	}
	for _, z := range ztocs {
		blob, err := plain.Blob(z.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := reference.Count(blob); err == nil && n.Prefetchable != "" {
			options.Prefetch = append(options.Prefetch, n.Prefetchable)
		}
	}
	layout := convert()
	var wanted int
	for _, entry := range layout.Soci[0].Layers {
		if entry.MediaType == "application/vnd.amazon.soci.prefetch.v1+json" {
			wanted++
		}
	}
	found := inspect(t, layout.Dir)
	if wanted == 0 || len(found.Soci[0].Prefetch) != wanted {
		t.Fatalf("%d prefetch artifacts, the reference made %d", len(found.Soci[0].Prefetch), wanted)
	}
	for _, p := range found.Soci[0].Prefetch {
		if len(p.Spans) == 0 || ztocs[p.Layer].Digest == "" {
			t.Errorf("prefetch %+v", p)
		}
	}
	if _, problems := compareInspection(layout, found); problems != nil {
		t.Error(problems)
	}
}
