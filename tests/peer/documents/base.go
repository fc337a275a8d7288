package documents

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bases are layouts as builders leave them, by their kinds, with layers of a few bytes.
func Bases() map[string]Files {
	one := func(b *builder) ocispec.Descriptor { return b.image("amd64", "") }
	return map[string]Files{
		"an image": build(func(b *builder) []ocispec.Descriptor {
			return []ocispec.Descriptor{named(one(b), "v1")}
		}),
		"an image, its platform in the configuration": build(func(b *builder) []ocispec.Descriptor {
			d := named(one(b), "v1")
			d.Platform = nil
			return []ocispec.Descriptor{d}
		}),
		"an index with attestations": build(func(b *builder) []ocispec.Descriptor {
			return []ocispec.Descriptor{named(b.index(), "v1")}
		}),
		"index.json is the image": build(func(b *builder) []ocispec.Descriptor {
			return []ocispec.Descriptor{b.image("amd64", ""), b.image("arm64", "v8")}
		}),
		"two names and an artifact": build(func(b *builder) []ocispec.Descriptor {
			d := one(b)
			return []ocispec.Descriptor{named(d, "a"), named(d, "example.com/app:b"), b.artifact(d)}
		}),
		"Docker's types": build(func(b *builder) []ocispec.Descriptor {
			b.docker = true
			return []ocispec.Descriptor{named(b.index(), "v1")}
		}),
	}
}

type builder struct {
	files  Files
	docker bool
}

func build(roots func(*builder) []ocispec.Descriptor) Files {
	b := &builder{files: make(Files)}
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: roots(b)}
	list.MediaType = ocispec.MediaTypeImageIndex
	b.files[ocispec.ImageIndexFile], _ = json.Marshal(list)
	b.files[ocispec.ImageLayoutFile], _ = json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	return b.files
}

func named(d ocispec.Descriptor, name string) ocispec.Descriptor {
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = make(map[string]string)
	}
	d.Annotations[ocispec.AnnotationRefName] = name
	return d
}

func (b *builder) blob(mediaType string, content []byte) ocispec.Descriptor {
	d := digest.FromBytes(content)
	b.files[blobs+d.Encoded()] = content
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

func (b *builder) json(mediaType string, value any) ocispec.Descriptor {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return b.blob(mediaType, content)
}

func (b *builder) kind(oci, docker string) string {
	if b.docker {
		return docker
	}
	return oci
}

// layer is a compressed archive of one file, and its diff ID.
func (b *builder) layer(name string) (ocispec.Descriptor, digest.Digest) {
	var archive, compressed bytes.Buffer
	w := tar.NewWriter(&archive)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))})
	_, _ = w.Write([]byte(name))
	_ = w.Close()
	z := gzip.NewWriter(&compressed)
	_, _ = z.Write(archive.Bytes())
	_ = z.Close()
	kind := b.kind(ocispec.MediaTypeImageLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	return b.blob(kind, compressed.Bytes()), digest.FromBytes(archive.Bytes())
}

func (b *builder) image(architecture, variant string) ocispec.Descriptor {
	var config ocispec.Image
	config.Architecture, config.OS, config.Variant = architecture, "linux", variant
	config.Config.Env = []string{"A=1"}
	config.Config.Labels = map[string]string{"label": "value"}
	config.RootFS.Type = "layers"
	config.History = []ocispec.History{{CreatedBy: "COPY"}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}}
	for _, name := range []string{"base", architecture} {
		layer, id := b.layer(name)
		m.Layers = append(m.Layers, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, id)
	}
	m.Config = b.json(b.kind(ocispec.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json"), config)
	m.Annotations = map[string]string{"org.opencontainers.image.source": "https://example.com/?a&b"}
	m.MediaType = b.kind(ocispec.MediaTypeImageManifest, "application/vnd.docker.distribution.manifest.v2+json")
	d := b.json(m.MediaType, m)
	d.Platform = &ocispec.Platform{Architecture: architecture, OS: "linux", Variant: variant}
	return d
}

func (b *builder) index() ocispec.Descriptor {
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}}
	list.MediaType = b.kind(ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json")
	list.Manifests = []ocispec.Descriptor{b.image("amd64", ""), b.image("arm64", "v8")}
	for _, image := range list.Manifests {
		list.Manifests = append(list.Manifests, b.attestation(image))
	}
	return b.json(list.MediaType, list)
}

func (b *builder) attestation(image ocispec.Descriptor) ocispec.Descriptor {
	statement := b.blob("application/vnd.in-toto+json", []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`))
	statement.Annotations = map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
	d := b.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    b.blob(ocispec.MediaTypeImageConfig, []byte(`{"architecture":"unknown","os":"unknown"}`)),
		Layers:    []ocispec.Descriptor{statement},
	})
	d.Platform = &ocispec.Platform{Architecture: "unknown", OS: "unknown"}
	d.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": image.Digest.String(),
	}
	return d
}

// artifact refers to an image, as an SBOM that is attached.
func (b *builder) artifact(image ocispec.Descriptor) ocispec.Descriptor {
	subject := ocispec.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size}
	d := b.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: "application/spdx+json",
		Config:       b.blob(ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Layers:       []ocispec.Descriptor{b.blob("application/spdx+json", []byte(`{"spdx":1}`))},
		Subject:      &subject,
	})
	d.ArtifactType = "application/spdx+json"
	return d
}

func gunzip(content []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
