package exchange

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/ocilayout"
)

// small is a layout by hand: two images share a configuration; beside them stand a list of
// one image's referrers and an artifact that names the second image as its subject.
type small struct {
	dir                                      string
	config, layer, first, second, soci, list ocispec.Descriptor
}

func newSmall(t *testing.T) *small {
	t.Helper()
	s := &small{dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(s.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(mediaType string, content []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
		if err := os.WriteFile(ocilayout.BlobFile(s.dir, d.Digest), content, 0o644); err != nil {
			t.Fatal(err)
		}
		return d
	}
	document := func(mediaType string, value any) ocispec.Descriptor {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return put(mediaType, text)
	}
	s.layer = put(ocispec.MediaTypeImageLayer, []byte("a layer"))
	s.config = put(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux"}`))
	image := func(annotations map[string]string) ocispec.Descriptor {
		return document(ocispec.MediaTypeImageManifest, ocispec.Manifest{
			MediaType: ocispec.MediaTypeImageManifest, Config: s.config,
			Layers: []ocispec.Descriptor{s.layer}, Annotations: annotations,
		})
	}
	s.first = image(nil)
	nowhere := digest.FromString("nowhere").String()
	s.second = image(map[string]string{"names": s.first.Digest.String(), "dangling": nowhere})
	s.soci = document(ocispec.MediaTypeImageManifest, ocispec.Manifest{Config: s.config, Subject: &s.second})
	s.list = document(ocispec.MediaTypeImageIndex, ocispec.Index{Manifests: []ocispec.Descriptor{s.first, s.second, s.soci}})
	top, err := json.Marshal(ocispec.Index{Manifests: []ocispec.Descriptor{s.list, s.first}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, ocispec.ImageIndexFile), top, 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// walk checks every descriptor below a JSON value against its blob, and gives all digests.
func walk(t *testing.T, dir string, text []byte) []digest.Digest {
	t.Helper()
	var found []digest.Digest
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil
	}
	var visit func(any)
	visit = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			if d, ok := v["digest"].(string); ok {
				content, err := os.ReadFile(ocilayout.BlobFile(dir, digest.Digest(d)))
				if err != nil {
					t.Fatal(err)
				}
				if digest.FromBytes(content) != digest.Digest(d) || float64(len(content)) != v["size"] {
					t.Errorf("%s: its blob has %s, %d bytes, not %v", d, digest.FromBytes(content), len(content), v["size"])
				}
				found = append(append(found, digest.Digest(d)), walk(t, dir, content)...)
			}
			for _, member := range v {
				visit(member)
			}
		case []any:
			for _, element := range v {
				visit(element)
			}
		}
	}
	visit(value)
	return found
}

func (s *small) top(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, ocispec.ImageIndexFile))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEverythingAboveIsRightAgain(t *testing.T) {
	for name, change := range map[string]func(*small) ocispec.Descriptor{
		"layer":    func(s *small) ocispec.Descriptor { return s.layer },
		"config":   func(s *small) ocispec.Descriptor { return s.config },
		"artifact": func(s *small) ocispec.Descriptor { return s.soci },
		"list":     func(s *small) ocispec.Descriptor { return s.list },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSmall(t)
			old := change(s).Digest
			content := []byte(`{"something":"else"}`)
			if err := Blobs(s.dir, map[digest.Digest][]byte{old: content}); err != nil {
				t.Fatal(err)
			}
			found := walk(t, s.dir, s.top(t))
			if slices.Contains(found, old) {
				t.Error("the old blob is still named")
			}
			if !slices.Contains(found, digest.FromBytes(content)) {
				t.Error("the new blob is not named")
			}
		})
	}
}

// Two at once, one of them below the other: the upper one is taken as it is given.
func TestSeveralAtOnce(t *testing.T) {
	s := newSmall(t)
	layer, list := []byte("another layer, longer"), []byte(`{"manifests":[]}`)
	err := Blobs(s.dir, map[digest.Digest][]byte{s.layer.Digest: layer, s.list.Digest: list})
	if err != nil {
		t.Fatal(err)
	}
	found := walk(t, s.dir, s.top(t))
	if !slices.Contains(found, digest.FromBytes(layer)) || !slices.Contains(found, digest.FromBytes(list)) {
		t.Errorf("found %v", found)
	}
}

func TestWhatIsNotAboveStays(t *testing.T) {
	s := newSmall(t)
	before := s.top(t)
	same, err := os.ReadFile(ocilayout.BlobFile(s.dir, s.layer.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := Blobs(s.dir, map[digest.Digest][]byte{s.layer.Digest: same}); err != nil {
		t.Fatal(err)
	}
	if string(s.top(t)) != string(before) {
		t.Error("exchanged for itself, and index.json is another")
	}
	if err := Blobs(s.dir, map[digest.Digest][]byte{s.soci.Digest: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(s.top(t)), s.first.Digest.String()) {
		t.Error("an image beside the artifact has changed")
	}
	if err := Blobs(s.dir, map[digest.Digest][]byte{digest.FromString("unknown"): {}}); err == nil {
		t.Error("a blob that nothing leads to: no error")
	}
}
