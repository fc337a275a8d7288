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

	foreign   bool // in testdata/foreign, made by other projects' tools
	rootIndex bool // index.json is itself the image for several platforms
	unpushed  bool // several entries without names: no tool here pushes them
	// left is why index must leave the layout alone, by form; "" stands for all forms.
	left map[string]string
}

// leaves gives the reason for which index leaves the layout alone; "" when it does not.
func (f Fixture) leaves(form Form) string {
	if reason, ok := f.left[form.name]; ok {
		return reason
	}
	return f.left[""]
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

// exports are the other real exports of BuildKit: to be pulled, not part of the push matrix.
var exports = []Fixture{
	{name: "cache-shared"},
	{name: "docker-manifest-list", docker: true},
	{name: "estargz"},
	{name: "gzip9"},
	{name: "multi-attest-legacy", attested: true},
	{name: "sbom", attested: true},
	{name: "single-noname"},
	{name: "two-names"},
	{name: "zstd", left: map[string]string{"": "zstd"}},
	{name: "zstd-mixed"},
}

// tooManyToName: each list needs a named image, and --name names one entry.
var tooManyToName = map[string]string{"v1-tagged": "the tagged V1 shape needs one"}

// noPlatform: in an index nobody would find it.
var noPlatform = map[string]string{
	"v2": "nothing to index", "v1-nested": "nothing to index", "both": "nothing to index",
}

// foreign are small layouts that the tools of other projects made (testdata/foreign/README.md).
var foreign = []Fixture{
	{name: "apko", foreign: true, rootIndex: true, left: tooManyToName},
	{name: "buildah", foreign: true},
	{name: "buildah-manifest", foreign: true},
	{name: "cosign-save", foreign: true, unpushed: true, left: tooManyToName},
	{name: "crane-append-no-platform", foreign: true, docker: true, unnamed: true, left: noPlatform},
	{name: "crane-pull", foreign: true, docker: true},
	{name: "crane-pull-index", foreign: true, unnamed: true},
	{name: "jib", foreign: true, unnamed: true},
	{name: "oras", foreign: true, left: tooManyToName},
	{name: "oras-attach", foreign: true},
	{name: "podman-oci-archive", foreign: true},
	{name: "regctl", foreign: true},
	{name: "regctl-artifact", foreign: true},
	{name: "regctl-index-of-one", foreign: true},
	{name: "regctl-two-types", foreign: true, docker: true},
	{name: "root-index", foreign: true, rootIndex: true, left: tooManyToName},
	{name: "rules-img", foreign: true, rootIndex: true, left: tooManyToName},
	{name: "skopeo-docker-types", foreign: true, docker: true},
	{name: "skopeo-oci", foreign: true},
	{name: "umoci", foreign: true},
}

// write puts the layout, not indexed, into dir.
func (f Fixture) write(t testing.TB, dir string) {
	t.Helper()
	if f.make != nil {
		f.make(newWriter(t, dir))
		return
	}
	folder, from := "layouts", os.Getenv("SOCI_FIXTURES")
	if f.foreign {
		folder, from = "foreign", os.Getenv("SOCI_FOREIGN")
	}
	if from == "" {
		from = filepath.Join("..", "..", "..", "testdata", folder)
	}
	if _, err := os.Stat(filepath.Join(from, f.name, "index.json")); err != nil {
		t.Fatalf("%s has no layout %s: %v", from, f.name, err)
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
