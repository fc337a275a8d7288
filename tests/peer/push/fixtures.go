package push

import (
	"os"
	"path/filepath"
	"testing"
)

// Fixture is a layout to index and push, and what about it matters to push tools.
type Fixture struct {
	name string
	// make writes a generated layout; nil for a real export of that name.
	make func(*writer)

	docker       bool // index.json names a manifest of Docker media type
	uncompressed bool // layers that a tool may want to compress
	attested     bool // attestation manifests with a `subject`
	unnamed      bool // an entry without a name
}

var fixtures = []Fixture{
	{name: "made-single", make: func(w *writer) {
		w.index(named(w.image(ociTypes, "amd64", ""), "v1"))
	}},
	{name: "made-two-platforms", make: func(w *writer) {
		w.index(named(w.list(w.image(ociTypes, "amd64", ""), w.image(ociTypes, "arm64", "")), "v1"))
	}},
	{name: "made-attestations", attested: true, make: func(w *writer) {
		a, b := w.image(ociTypes, "amd64", ""), w.image(ociTypes, "arm64", "")
		w.index(named(w.list(a, b, w.attestation(a), w.attestation(b)), "v1"))
	}},
	{name: "made-two-names", make: func(w *writer) {
		image := w.image(ociTypes, "amd64", "")
		w.index(named(image, "v1"), named(image, "latest"))
	}},
	{name: "made-two-images", make: func(w *writer) {
		w.index(named(w.image(ociTypes, "amd64", ""), "v1"), named(w.image(ociTypes, "amd64", "-other"), "v2"))
	}},
	{name: "made-docker", docker: true, make: func(w *writer) {
		w.index(named(w.image(dockerTypes, "amd64", ""), "v1"))
	}},
	{name: "made-uncompressed", uncompressed: true, make: func(w *writer) {
		w.index(named(w.image(plainTypes, "amd64", ""), "v1"))
	}},
	{name: "made-unnamed", unnamed: true, make: func(w *writer) {
		w.index(w.image(ociTypes, "amd64", ""))
	}},
	{name: "single"},
	{name: "multi-attest", attested: true},
	{name: "appended"},
	{name: "two-names-multi", attested: true},
	{name: "docker-mediatypes", docker: true},
	{name: "uncompressed", uncompressed: true},
	{name: "rewrite-annotations"},
}

// write puts the layout, not indexed, into dir.
func (f Fixture) write(t testing.TB, dir string) {
	t.Helper()
	if f.make != nil {
		f.make(newWriter(t, dir))
		return
	}
	from := os.Getenv("SOCI_FIXTURES")
	if from == "" {
		from = filepath.Join("..", "..", "..", "testdata", "layouts")
	}
	if _, err := os.Stat(filepath.Join(from, f.name, "index.json")); err != nil {
		t.Fatalf("SOCI_FIXTURES has no layout %s: %v", f.name, err)
	}
	copyLayout(t, filepath.Join(from, f.name), dir)
}

func copyLayout(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func fixture(t testing.TB, name string) Fixture {
	t.Helper()
	for _, f := range fixtures {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("no fixture %s", name)
	return Fixture{}
}
