package ocilayout

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Names of the SOCI format that are looked for in a layout.
const (
	TypeSociV1      = "application/vnd.amazon.soci.index.v1+json"
	TypeSociV2      = "application/vnd.amazon.soci.index.v2+json"
	typeZtoc        = "application/octet-stream"
	annotationIndex = "com.amazon.soci.index-digest"
	annotationLayer = "com.amazon.soci.image-layer-digest"
)

// Manifest is an image or SOCI manifest of a layout, by whatever way it is reached.
type Manifest struct {
	ocispec.Manifest
	Desc ocispec.Descriptor
}

// Layout is a layout that has been read.
type Layout struct {
	Dir    string
	Index  ocispec.Index
	Images []Manifest
	// Soci holds the SOCI manifests of both versions.
	Soci []Manifest
	// Lists holds the nested indexes.
	Lists []ocispec.Descriptor
}

// Read follows index.json through all nested indexes.
func Read(dir string) (*Layout, error) {
	l := &Layout{Dir: dir}
	if err := readJSON(filepath.Join(dir, ocispec.ImageIndexFile), &l.Index); err != nil {
		return nil, err
	}
	seen := make(map[digest.Digest]bool)
	return l, l.walk(l.Index.Manifests, seen)
}

func (l *Layout) walk(entries []ocispec.Descriptor, seen map[digest.Digest]bool) error {
	for _, d := range entries {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		switch d.MediaType {
		case ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json":
			var list ocispec.Index
			if err := readJSON(BlobFile(l.Dir, d.Digest), &list); err != nil {
				return err
			}
			l.Lists = append(l.Lists, d)
			if err := l.walk(list.Manifests, seen); err != nil {
				return err
			}
		default:
			m := Manifest{Desc: d}
			if err := readJSON(BlobFile(l.Dir, d.Digest), &m.Manifest); err != nil {
				return err
			}
			switch m.Config.MediaType {
			case TypeSociV1, TypeSociV2:
				l.Soci = append(l.Soci, m)
			default:
				l.Images = append(l.Images, m)
			}
		}
	}
	return nil
}

// Blob reads a blob and checks that it is what its name says.
func (l *Layout) Blob(d digest.Digest) ([]byte, error) {
	b, err := os.ReadFile(BlobFile(l.Dir, d))
	if err == nil && digest.FromBytes(b) != d {
		err = fmt.Errorf("blob %s has the digest %s", d, digest.FromBytes(b))
	}
	return b, err
}

// Ztocs finds the zTOC of each layer through the annotation of the image manifests,
// as a snapshotter does.
func (l *Layout) Ztocs() (map[digest.Digest]ocispec.Descriptor, error) {
	found := make(map[digest.Digest]ocispec.Descriptor)
	for _, image := range l.Images {
		text := image.Annotations[annotationIndex]
		if text == "" {
			continue
		}
		var index ocispec.Manifest
		if err := readJSON(BlobFile(l.Dir, digest.Digest(text)), &index); err != nil {
			return nil, err
		}
		for _, z := range index.Layers {
			if z.MediaType != typeZtoc { // prefetch artifacts name layers as well
				continue
			}
			found[digest.Digest(z.Annotations[annotationLayer])] = z
		}
	}
	return found, nil
}

// ReadRoot gives the images that one entry of index.json leads to.
func ReadRoot(dir string, root ocispec.Descriptor) ([]Manifest, error) {
	l := &Layout{Dir: dir}
	err := l.walk([]ocispec.Descriptor{root}, make(map[digest.Digest]bool))
	return l.Images, err
}
