package push

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Small layouts made from nothing, one property each.

// writer puts documents and blobs into a layout directory.
type writer struct {
	t   testing.TB
	dir string
}

func newWriter(t testing.TB, dir string) *writer {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := &writer{t, dir}
	w.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return w
}

func (w *writer) file(name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) blob(mediaType string, content []byte) ocispec.Descriptor {
	w.t.Helper()
	d := digest.FromBytes(content)
	w.file(filepath.Join("blobs", "sha256", d.Encoded()), content)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// document stores JSON indented, as BuildKit does.
func (w *writer) document(mediaType string, v any) ocispec.Descriptor {
	w.t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.blob(mediaType, raw)
}

// index writes index.json, compact, as BuildKit does.
func (w *writer) index(entries ...ocispec.Descriptor) {
	w.t.Helper()
	raw, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: entries,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.file("index.json", raw)
}

// mediaTypes of an image.
type mediaTypes struct {
	manifest, config, layer string
	compress                bool
}

var (
	ociTypes    = mediaTypes{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip, true}
	plainTypes  = mediaTypes{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayer, false}
	dockerTypes = mediaTypes{dockerManifest, "application/vnd.docker.container.image.v1+json",
		"application/vnd.docker.image.rootfs.diff.tar.gzip", true}
)

// image writes an image of two layers: one that all images share, one of its own.
func (w *writer) image(types mediaTypes, arch, variety string) ocispec.Descriptor {
	w.t.Helper()
	platform := ocispec.Platform{OS: "linux", Architecture: arch}
	config := ocispec.Image{Platform: platform, RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: types.manifest}
	for _, name := range []string{"shared", arch + variety} {
		content := layerTar(w.t, name)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(content))
		if types.compress {
			content = gzipped(w.t, content)
		}
		manifest.Layers = append(manifest.Layers, w.blob(types.layer, content))
	}
	manifest.Config = w.document(types.config, config)
	d := w.document(types.manifest, manifest)
	d.Platform = &platform
	return d
}

// attestation writes an attestation manifest in the form of BuildKit 0.31 and later.
func (w *writer) attestation(image ocispec.Descriptor) ocispec.Descriptor {
	w.t.Helper()
	config := w.blob("application/vnd.oci.empty.v1+json", []byte("{}"))
	config.Data = []byte("{}")
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":%q}}]}`, image.Digest.Encoded())
	d := w.document(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: "application/vnd.docker.attestation.manifest.v1+json",
		Config:       config,
		Layers:       []ocispec.Descriptor{w.blob("application/vnd.in-toto+json", []byte(statement))},
		Subject:      &ocispec.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size},
	})
	d.Annotations = map[string]string{
		annotationAttested:    image.Digest.String(),
		annotationAttestation: "attestation-manifest",
	}
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	return d
}

func (w *writer) list(children ...ocispec.Descriptor) ocispec.Descriptor {
	w.t.Helper()
	return w.document(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children,
	})
}

// named gives a root its name, in both forms in use.
func named(d ocispec.Descriptor, tag string) ocispec.Descriptor {
	d.Annotations = map[string]string{
		"io.containerd.image.name": "example.com/app:" + tag,
		ocispec.AnnotationRefName:  tag,
	}
	return d
}

// layerTar is a tar of text and noise, always the same for a name, with several spans' worth of bytes.
func layerTar(t testing.TB, name string) []byte {
	t.Helper()
	var seed [32]byte
	copy(seed[:], name)
	random := rand.New(rand.NewChaCha8(seed))
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	entry := func(h *tar.Header, content []byte) {
		h.Size, h.ModTime, h.Format = int64(len(content)), time.Unix(1700000000, 0), tar.FormatPAX
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	entry(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	for i, size := range []int{0, 1, 511, 512, 70_000, 130_000} {
		content := make([]byte, size)
		for j := range content {
			content[j] = byte('a' + random.IntN(1+i*5))
		}
		entry(&tar.Header{Name: fmt.Sprintf("%s/file-%d", name, i), Typeflag: tar.TypeReg, Mode: 0o644}, content)
	}
	entry(&tar.Header{Name: name + "/link", Linkname: "file-1", Typeflag: tar.TypeSymlink, Mode: 0o777}, nil)
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	if _, err := zw.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
