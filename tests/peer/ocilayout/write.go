// Package ocilayout writes OCI image layouts for the tests, and reads what has
// become of them. It goes by the formats alone.
package ocilayout

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
)

// Image is one root of a layout, for linux/amd64.
type Image struct {
	Name   string
	Layers []corpus.Layer
}

// Write makes a layout in a directory that does not exist yet. Layers are linked, not
// copied: the program under test has no business writing to a blob that it finds.
func Write(dir string, images ...Image) error {
	w := &writer{dir: dir}
	w.err = os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755)
	var roots []ocispec.Descriptor
	for _, image := range images {
		roots = append(roots, w.image(image))
	}
	w.file(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	w.file(ocispec.ImageIndexFile, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: roots,
	})
	return w.err
}

type writer struct {
	dir string
	err error
}

func (w *writer) image(image Image) ocispec.Descriptor {
	var config ocispec.Image
	config.Architecture, config.OS = "amd64", "linux"
	config.RootFS.Type = "layers"
	layers := []ocispec.Descriptor{}
	for _, l := range image.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID)
		layers = append(layers, ocispec.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size})
		w.link(l)
	}
	d := w.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    w.json(ocispec.MediaTypeImageConfig, config),
		Layers:    layers,
	})
	d.Platform = &ocispec.Platform{Architecture: "amd64", OS: "linux"}
	d.Annotations = map[string]string{ocispec.AnnotationRefName: image.Name}
	return d
}

func (w *writer) link(l corpus.Layer) {
	if w.err != nil {
		return
	}
	to := BlobFile(w.dir, l.Digest)
	if _, err := os.Lstat(to); err == nil {
		return // the same layer twice
	}
	w.err = os.Link(l.File, to)
}

func (w *writer) json(mediaType string, value any) ocispec.Descriptor {
	text, err := json.Marshal(value)
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	if w.err == nil {
		w.err = err
	}
	if w.err == nil {
		w.err = os.WriteFile(BlobFile(w.dir, d.Digest), text, 0o644)
	}
	return d
}

func (w *writer) file(name string, value any) {
	text, err := json.Marshal(value)
	if w.err == nil {
		w.err = err
	}
	if w.err == nil {
		w.err = os.WriteFile(filepath.Join(w.dir, name), text, 0o644)
	}
}

// BlobFile is where a layout has a blob.
func BlobFile(dir string, d digest.Digest) string {
	return filepath.Join(dir, "blobs", d.Algorithm().String(), d.Encoded())
}

// readJSON parses a file of the layout.
func readJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return nil
}
