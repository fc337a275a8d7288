package reference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	untar "github.com/containerd/containerd/v2/pkg/archive"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// copyLayout puts a layout directory, or the contents of an archive of one, into an
// empty directory: the reference never works in its input.
func copyLayout(ctx context.Context, src, work string) error {
	info, err := os.Stat(src)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(work, os.DirFS(src))
	}
	file, err := os.Open(src)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = untar.Apply(ctx, work, file, untar.WithNoSameOwner())
	return err
}

// layoutRoot chooses what to convert: the only entry of index.json; or else the
// list of manifests, leaving out those whose blob the layout does not have.
func layoutRoot(dir string) (ocispec.Descriptor, error) {
	var none ocispec.Descriptor
	text, top, err := readIndex(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return none, err
	}
	var only *ocispec.Descriptor
	switch len(top.Manifests) {
	case 0:
		return none, errors.New("index.json is empty")
	case 1:
		only = &top.Manifests[0]
		if !images.IsIndexType(only.MediaType) {
			return *only, nil
		}
	}

	list, mediaType := top, top.MediaType
	if only != nil {
		if text, list, err = readIndex(blobFile(dir, only.Digest)); err != nil {
			return none, err
		}
		mediaType = only.MediaType
	}
	if mediaType == "" {
		mediaType = ocispec.MediaTypeImageIndex
	}
	all := len(list.Manifests)
	present := make([]ocispec.Descriptor, 0, all)
	for _, d := range list.Manifests {
		if _, err := os.Stat(blobFile(dir, d.Digest)); err == nil {
			present = append(present, d)
		}
	}
	if len(present) == 0 {
		return none, errors.New("no manifest of the list is in the layout")
	}
	if len(present) == 1 && images.IsManifestType(present[0].MediaType) {
		return present[0], nil
	}
	if only != nil && len(present) == all {
		return *only, nil
	}

	list.MediaType, list.Manifests = mediaType, present
	if text, err = json.Marshal(list); err != nil {
		return none, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	file := blobFile(dir, d.Digest)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return none, err
	}
	return d, os.WriteFile(file, text, 0o644)
}

func readIndex(file string) ([]byte, ocispec.Index, error) {
	var index ocispec.Index
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, index, err
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, index, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return text, index, nil
}

func blobFile(dir string, d digest.Digest) string {
	return filepath.Join(dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// saveDirectory replaces dst by a copy of the working layout whose index.json names
// the converted index and nothing else.
func saveDirectory(work string, converted ocispec.Descriptor, dst string) error {
	if err := os.RemoveAll(dst); err != nil {
		return err
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	if err := os.CopyFS(dst, os.DirFS(work)); err != nil {
		return err
	}
	text, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{converted},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dst, ocispec.ImageIndexFile), text, 0o644)
}

func saveArchive(ctx context.Context, from content.Store, converted ocispec.Descriptor, dst string) error {
	file, err := os.Create(dst)
	if err != nil {
		return err
	}
	err = archive.Export(ctx, from, file, archive.WithManifest(converted), archive.WithSkipDockerManifest())
	return errors.Join(err, file.Close())
}
