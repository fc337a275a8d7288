package push

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Names from the SOCI format, written out here rather than taken from the reference:
// the push must be right by the format, not by one library's constants.
const (
	typeSociV1 = "application/vnd.amazon.soci.index.v1+json"
	typeSociV2 = "application/vnd.amazon.soci.index.v2+json"

	annotationIndex       = "com.amazon.soci.index-digest"
	annotationImage       = "com.amazon.soci.image-manifest-digest"
	annotationLayer       = "com.amazon.soci.image-layer-digest"
	annotationAttestation = "vnd.docker.reference.type"
	annotationAttested    = "vnd.docker.reference.digest"

	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

var listTagForm = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)

// listTag is the tag under which the referrers of a manifest are listed where the
// registry has no API for them.
func listTag(d digest.Digest) string { return d.Algorithm().String() + "-" + d.Encoded() }

// Layout is what a push has to carry, read from a layout directory.
type Layout struct {
	Dir   string
	Index ocispec.Index
	// Groups are the images, one per distinct digest in index.json, in its order.
	Groups []*Group
	// Lists are the referrers lists that the layout holds as tags.
	Lists []ocispec.Descriptor
}

// Group is one image root with all its names.
type Group struct {
	Root ocispec.Descriptor
	// Tags are the root's names; one empty name if it has none.
	Tags []string
	// Children is the content of the root if that is an index.
	Children []ocispec.Descriptor
	Images   []Image
	// Others are the manifests of the index that are neither images nor SOCI indexes.
	Others []ocispec.Descriptor
}

// Image is an image manifest with its SOCI indexes.
type Image struct {
	Desc     ocispec.Descriptor
	Manifest ocispec.Manifest
	V1, V2   *Soci
}

// Soci is a SOCI index.
type Soci struct {
	Desc     ocispec.Descriptor
	Manifest ocispec.Manifest
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerList
}

func refName(d ocispec.Descriptor) string { return d.Annotations[ocispec.AnnotationRefName] }

func isSoci(m ocispec.Manifest) bool {
	return m.Config.MediaType == typeSociV1 || m.Config.MediaType == typeSociV2
}

// load reads a layout. It trusts nothing: every manifest is checked against its descriptor.
func load(dir string) (*Layout, error) {
	l := &Layout{Dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &l.Index); err != nil {
		return nil, err
	}
	for _, d := range l.Index.Manifests {
		if listTagForm.MatchString(refName(d)) {
			l.Lists = append(l.Lists, d)
			continue
		}
		i := slices.IndexFunc(l.Groups, func(g *Group) bool { return g.Root.Digest == d.Digest })
		if i >= 0 {
			l.Groups[i].Tags = append(l.Groups[i].Tags, refName(d))
			continue
		}
		g, err := l.group(d)
		if err != nil {
			return nil, err
		}
		l.Groups = append(l.Groups, g)
	}
	return l, nil
}

func (l *Layout) group(root ocispec.Descriptor) (*Group, error) {
	g := &Group{Root: root, Tags: []string{refName(root)}}
	candidates := []ocispec.Descriptor{root}
	if isIndex(root.MediaType) {
		var index ocispec.Index
		if err := l.read(root, &index); err != nil {
			return nil, err
		}
		g.Children = index.Manifests
		candidates = index.Manifests
	}
	for _, d := range candidates {
		var m ocispec.Manifest
		if err := l.read(d, &m); err != nil {
			return nil, err
		}
		switch {
		case isSoci(m):
		case d.Annotations[annotationAttestation] != "":
			g.Others = append(g.Others, d)
		default:
			g.Images = append(g.Images, Image{Desc: d, Manifest: m})
		}
	}
	for i := range g.Images {
		if err := l.attach(g, &g.Images[i]); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// attach looks up the SOCI indexes of an image: v2 by the image's annotation, v1 by
// the subject of a SOCI manifest in the same index or in the image's own list.
func (l *Layout) attach(g *Group, image *Image) error {
	near := slices.Clone(g.Children)
	for _, d := range l.Index.Manifests {
		if refName(d) != listTag(image.Desc.Digest) {
			continue
		}
		var list ocispec.Index
		if err := l.read(d, &list); err != nil {
			return err
		}
		near = append(near, list.Manifests...)
	}
	v2 := image.Manifest.Annotations[annotationIndex]
	for _, d := range near {
		var m ocispec.Manifest
		if err := l.read(d, &m); err != nil {
			return err
		}
		switch {
		case m.Config.MediaType == typeSociV2 && d.Digest.String() == v2:
			image.V2 = &Soci{d, m}
		case m.Config.MediaType == typeSociV1 && m.Subject != nil && m.Subject.Digest == image.Desc.Digest:
			image.V1 = &Soci{d, m}
		}
	}
	return nil
}

// blob reads a blob of the layout and checks it against its descriptor.
func (l *Layout) blob(d ocispec.Descriptor) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(l.Dir, "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded()))
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(raw) != d.Digest || int64(len(raw)) != d.Size {
		return nil, fmt.Errorf("blob %s does not match its descriptor", d.Digest)
	}
	return raw, nil
}

func (l *Layout) read(d ocispec.Descriptor, into any) error {
	raw, err := l.blob(d)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
