package images

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
)

// Tag is the name of the image in every layout.
const Tag = "v1"

// Types are the media types of an image.
type Types struct{ index, manifest, config, gzip string }

// OCI and Docker are the two families.
var (
	OCI = Types{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip}

	Docker = Types{
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip",
	}
)

// Image is one platform of an image for Linux.
type Image struct {
	Architecture string
	Layers       []corpus.Layer
	// Config says how it runs; nil for what the checks need.
	Config *ocispec.ImageConfig
}

// Write makes a layout of one image, with an image index if it has several platforms.
func Write(dir string, types Types, platforms ...Image) error {
	w := &writer{dir: dir}
	w.keep(os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755))
	var manifests []ocispec.Descriptor
	for _, p := range platforms {
		manifests = append(manifests, w.image(types, p))
	}
	root := manifests[0]
	if len(manifests) > 1 {
		root = w.blob(types.index, ocispec.Index{Versioned: version, MediaType: types.index, Manifests: manifests})
	}
	root.Annotations = map[string]string{ocispec.AnnotationRefName: Tag}
	w.file(ocispec.ImageLayoutFile, w.json(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}))
	w.file(ocispec.ImageIndexFile, w.json(ocispec.Index{
		Versioned: version, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{root},
	}))
	return w.err
}

var version = specs.Versioned{SchemaVersion: 2}

type writer struct {
	dir string
	err error
}

func (w *writer) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) image(types Types, p Image) ocispec.Descriptor {
	platform := ocispec.Platform{OS: "linux", Architecture: p.Architecture}
	config := ocispec.Image{Platform: platform, RootFS: ocispec.RootFS{Type: "layers"}}
	config.Config.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	config.Config.Cmd = []string{"/opt/e2e/greet"}
	if p.Config != nil {
		config.Config = *p.Config
	}
	manifest := ocispec.Manifest{Versioned: version, MediaType: types.manifest}
	for _, l := range p.Layers {
		d := ocispec.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}
		if l.MediaType == ocispec.MediaTypeImageLayerGzip {
			d.MediaType = types.gzip
		}
		w.keep(linkOrCopy(l.File, ocilayout.BlobFile(w.dir, l.Digest)))
		manifest.Layers = append(manifest.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID)
	}
	manifest.Config = w.blob(types.config, config)
	d := w.blob(types.manifest, manifest)
	d.Platform = &platform
	return d
}

func (w *writer) json(value any) []byte {
	text, err := json.Marshal(value)
	w.keep(err)
	return text
}

func (w *writer) blob(mediaType string, value any) ocispec.Descriptor {
	text := w.json(value)
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	w.file(filepath.Join("blobs", "sha256", d.Digest.Encoded()), text)
	return d
}

func (w *writer) file(name string, text []byte) {
	w.keep(os.WriteFile(filepath.Join(w.dir, name), text, 0o644))
}

// linkOrCopy spares a copy where the cache is on the same file system.
func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, os.ErrExist) {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
