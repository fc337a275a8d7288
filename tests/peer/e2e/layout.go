package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/rootfs"
	"soci-layout.test/peer/ocilayout"
)

// image is one platform of an indexed layout, and what a runtime must make of it.
type image struct {
	dir, platform string
	manifest      ocilayout.Manifest
	diffIDs       []digest.Digest
	// index is the SOCI index that has to be used, "" for none.
	index digest.Digest
	// ztocs are the layers that have one.
	ztocs map[digest.Digest]bool
	// artifacts are the zTOCs themselves.
	artifacts []digest.Digest
	// want is the root file system; nil where it is not looked at.
	want rootfs.Tree
}

// readImage reads what the layout says about a platform. Of both index versions, version
// "v1" or "v2" is the one that has to be used.
func readImage(dir, platform, version string) (*image, error) {
	layout, err := ocilayout.Read(dir)
	if err != nil {
		return nil, err
	}
	for _, m := range layout.Images {
		config, err := readConfig(dir, m)
		if err != nil {
			return nil, err
		}
		if m.Annotations["vnd.docker.reference.type"] != "" || config.OS+"/"+config.Architecture != platform {
			continue
		}
		i := &image{dir: dir, platform: platform, manifest: m, diffIDs: config.RootFS.DiffIDs, ztocs: map[digest.Digest]bool{}}
		for _, s := range layout.Soci {
			v1 := s.Config.MediaType == ocilayout.TypeSociV1
			if v1 && version == "v1" && s.Subject != nil && s.Subject.Digest == m.Desc.Digest ||
				!v1 && version == "v2" && m.Annotations["com.amazon.soci.index-digest"] == s.Desc.Digest.String() {
				i.index = s.Desc.Digest
				for _, z := range s.Layers {
					i.artifacts = append(i.artifacts, z.Digest)
					i.ztocs[digest.Digest(z.Annotations["com.amazon.soci.image-layer-digest"])] = true
				}
			}
		}
		return i, nil
	}
	return nil, fmt.Errorf("%s has no image for %s", dir, platform)
}

func readConfig(dir string, m ocilayout.Manifest) (ocispec.Image, error) {
	var config ocispec.Image
	text, err := os.ReadFile(ocilayout.BlobFile(dir, m.Config.Digest))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	return config, err
}

// tree applies the layers, from the blobs alone.
func (i *image) tree() (rootfs.Tree, error) {
	tree := make(rootfs.Tree)
	for _, l := range i.manifest.Layers {
		in, err := images.Uncompressed(ocilayout.BlobFile(i.dir, l.Digest), l.MediaType)
		if err != nil {
			return nil, err
		}
		err = tree.Apply(in)
		in.Close()
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Digest, err)
		}
	}
	return tree, nil
}

// tagsOf are the names in index.json, the image's first.
func tagsOf(dir string) ([]string, error) {
	index, err := readIndex(dir)
	var tags []string
	for _, d := range index.Manifests {
		tags = append(tags, d.Annotations[ocispec.AnnotationRefName])
	}
	return tags, err
}

func readIndex(dir string) (ocispec.Index, error) {
	var index ocispec.Index
	text, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	return index, err
}

// viewOf is a layout with only one entry, sharing the blobs.
func viewOf(dir, tag string) (string, error) {
	index, err := readIndex(dir)
	if err != nil {
		return "", err
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d ocispec.Descriptor) bool {
		return d.Annotations[ocispec.AnnotationRefName] != tag
	})
	text, err := json.Marshal(index)
	if err != nil {
		return "", err
	}
	view, err := os.MkdirTemp(filepath.Dir(dir), "view")
	if err != nil {
		return "", err
	}
	marker, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{ocispec.ImageIndexFile: text, ocispec.ImageLayoutFile: marker} {
		if err := os.WriteFile(filepath.Join(view, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return view, os.Symlink(filepath.Join(dir, "blobs"), filepath.Join(view, "blobs"))
}
