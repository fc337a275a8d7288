package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// View is what Go's decoder sees in a layout: what every tool that is written in Go sees.
type View struct {
	Entries []*Entry
	Problem error // of index.json or oci-layout
}

// Entry is a descriptor of an index and what it leads to.
type Entry struct {
	ocispec.Descriptor
	// Nested: it is no entry of index.json.
	Nested bool
	// All are the annotations of the entry and of those above it.
	All      map[string]string
	Missing  bool
	Problem  error // why what it leads to cannot be decoded, or is not what it says
	Index    *ocispec.Index
	Entries  []*Entry
	Manifest *ocispec.Manifest
	Config   *ocispec.Image
	// ConfigProblem is why the configuration cannot be decoded.
	ConfigProblem error
}

// See decodes all documents of a layout.
func See(files Files) *View {
	view := &View{}
	var layout ocispec.ImageLayout
	var list ocispec.Index
	view.Problem = errors.Join(
		json.Unmarshal(files[ocispec.ImageLayoutFile], &layout),
		json.Unmarshal(files[ocispec.ImageIndexFile], &list),
	)
	if view.Problem == nil {
		view.Entries = files.entries(list, nil)
	}
	return view
}

func (f Files) entries(list ocispec.Index, above *Entry) []*Entry {
	var entries []*Entry
	for _, d := range list.Manifests {
		entries = append(entries, f.entry(d, above))
	}
	return entries
}

func (f Files) entry(d ocispec.Descriptor, above *Entry) *Entry {
	e := &Entry{Descriptor: d, Nested: above != nil, All: make(map[string]string)}
	if above != nil {
		maps.Copy(e.All, above.All)
	}
	maps.Copy(e.All, d.Annotations)
	if !isIndex(d.MediaType) && !isManifest(d.MediaType) {
		return e
	}
	var content []byte
	if content, e.Missing, e.Problem = f.blob(d); e.Missing || e.Problem != nil {
		return e
	}
	if isIndex(d.MediaType) {
		e.Index = &ocispec.Index{}
		if e.Problem = json.Unmarshal(content, e.Index); e.Problem == nil {
			e.Entries = f.entries(*e.Index, e)
		}
		return e
	}
	e.Manifest = &ocispec.Manifest{}
	if e.Problem = json.Unmarshal(content, e.Manifest); e.Problem != nil {
		return e
	}
	if isConfig(e.Manifest.Config.MediaType) {
		content, missing, problem := f.blob(e.Manifest.Config)
		if e.ConfigProblem = problem; !missing && problem == nil {
			e.Config = &ocispec.Image{}
			e.ConfigProblem = json.Unmarshal(content, e.Config)
		}
	}
	return e
}

// blob gives the content of what a descriptor leads to.
func (f Files) blob(d ocispec.Descriptor) (content []byte, missing bool, problem error) {
	if problem = d.Digest.Validate(); problem != nil {
		return nil, false, problem
	}
	content, there := f["blobs/"+d.Digest.Algorithm().String()+"/"+d.Digest.Encoded()]
	switch {
	case !there:
		return nil, true, nil
	case int64(len(content)) != d.Size:
		return nil, false, errors.New("the size is another one")
	case d.Digest.Algorithm().FromBytes(content) != d.Digest:
		return nil, false, errors.New("the digest is another one")
	}
	return content, false, nil
}

// Platform is the platform that an image is chosen by: that of its descriptor, else of its configuration.
func (e *Entry) Platform() string {
	p := e.Descriptor.Platform
	if p == nil && e.Config != nil {
		p = &e.Config.Platform
	}
	if p == nil {
		return ""
	}
	n := platforms.Normalize(*p)
	parts := n.OS + "/" + n.Architecture
	if n.Variant != "" {
		parts += "/" + n.Variant
	}
	if n.OSVersion != "" {
		parts += " (" + n.OSVersion + ")"
	}
	return parts
}

// Unknown tells whether it is marked as no image.
func (e *Entry) Unknown() bool {
	p := e.Platform()
	return strings.HasPrefix(p, "unknown/") || strings.Contains(p, "/unknown")
}

// Names are the names of an entry of index.json.
func (e *Entry) Names() []string {
	var names []string
	for _, key := range []string{ocispec.AnnotationRefName, "io.containerd.image.name"} {
		if name, has := e.Annotations[key]; has && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

var digests = regexp.MustCompile(`sha256[:-]([0-9a-f]{64})\b`)

// Referenced are the digests of all blobs that the documents lead to from index.json on: by any string that Go's
// decoder finds in any of them, and by the bytes as they stand, also where it finds no document.
func Referenced(files Files) []string {
	found := make(map[string]bool)
	var follow func([]byte)
	mention := func(text []byte) {
		for _, match := range digests.FindAllSubmatch(text, -1) {
			name := string(match[1])
			content, there := files[blobs+name]
			if there && !found[name] {
				found[name] = true
				follow(content)
			}
		}
	}
	follow = func(content []byte) {
		mention(content)
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.UseNumber()
		var value any
		// As a decoder of streams reads it: what stands behind does not matter.
		if decoder.Decode(&value) == nil {
			texts(value, func(text string) { mention([]byte(text)) })
		}
	}
	follow(files[ocispec.ImageIndexFile])
	return slices.Sorted(maps.Keys(found))
}

func texts(value any, f func(string)) {
	switch value := value.(type) {
	case string:
		f(value)
	case []any:
		for _, item := range value {
			texts(item, f)
		}
	case map[string]any:
		for name, item := range value {
			f(name)
			texts(item, f)
		}
	}
}

// Has tells whether a blob is there.
func (f Files) Has(d string) bool {
	_, there := f[blobs+strings.TrimPrefix(d, "sha256:")]
	return there
}

// DiffID is the digest of a layer's content.
func (f Files) DiffID(d digest.Digest) digest.Digest {
	content, err := gunzip(f[blobs+d.Encoded()])
	if err != nil {
		return ""
	}
	return digest.FromBytes(content)
}
