package push

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The shape in which an indexed layout can be pushed at all. Looked at before any
// push, so that a wrong layout is not taken for a wrong tool.

// shapeProblems compares a layout before and after indexing.
func shapeProblems(before, after *Layout, f Form) []string {
	var found []string
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	if len(after.Groups) != len(before.Groups) {
		problem("%d distinct images, were %d", len(after.Groups), len(before.Groups))
		return found
	}
	for i, g := range after.Groups {
		was := before.Groups[i]
		if len(g.Images) != len(was.Images) || len(g.Others) != len(was.Others) {
			problem("image %d: %d manifests and %d others, were %d and %d",
				i, len(g.Images), len(g.Others), len(was.Images), len(was.Others))
			continue
		}
		for j, image := range g.Images {
			if (image.V2 != nil) != f.v2 || (image.V1 != nil) != f.v1 {
				problem("image %d/%d: SOCI v2 %t, v1 %t", i, j, image.V2 != nil, image.V1 != nil)
			}
			if kept := image.Desc.Digest == was.Images[j].Desc.Digest; kept == f.v2 {
				problem("image %d/%d: manifest digest kept: %t", i, j, kept)
			}
		}
		found = append(found, attestationProblems(after, i, g)...)
		if !f.tagged {
			found = append(found, nestedProblems(i, g)...)
		}
	}
	if f.tagged {
		return append(found, taggedProblems(before, after)...)
	}

	if len(after.Index.Manifests) != len(before.Index.Manifests) {
		problem("%d entries, were %d", len(after.Index.Manifests), len(before.Index.Manifests))
		return found
	}
	for i, d := range after.Index.Manifests {
		if !maps.Equal(d.Annotations, before.Index.Manifests[i].Annotations) {
			problem("entry %d: annotations %v", i, d.Annotations)
		}
		if d.MediaType != ocispec.MediaTypeImageIndex || d.Platform != nil {
			problem("entry %d: %s with platform %v, want an index without", i, d.MediaType, d.Platform)
		}
	}
	return found
}

// nestedProblems looks at an image index with SOCI indexes in it: they stand last, as
// clients take the first entry of their platform.
func nestedProblems(i int, g *Group) []string {
	var found []string
	inSoci := false
	for j, d := range g.Children {
		soci := d.ArtifactType == typeSociV1 || d.ArtifactType == typeSociV2
		if inSoci && !soci {
			found = append(found, fmt.Sprintf("image %d: child %d stands behind a SOCI index", i, j))
		}
		inSoci = inSoci || soci
		if d.Platform == nil {
			found = append(found, fmt.Sprintf("image %d: child %d has no platform", i, j))
		}
	}
	for j, image := range g.Images {
		for _, s := range []*Soci{image.V1, image.V2} {
			if s == nil {
				continue
			}
			named := func(d ocispec.Descriptor) bool {
				return d.Digest == s.Desc.Digest && d.Annotations[annotationImage] == image.Desc.Digest.String()
			}
			if !slices.ContainsFunc(g.Children, named) {
				found = append(found, fmt.Sprintf("image %d/%d: no child names it in %s", i, j, annotationImage))
			}
		}
	}
	return found
}

// attestationProblems: an attestation names its image twice, and both names must be those
// of an image manifest that is pushed; oras follows the subject and fails when it is gone.
func attestationProblems(l *Layout, i int, g *Group) []string {
	var found []string
	for _, d := range g.Others {
		var m ocispec.Manifest
		if err := l.read(d, &m); err != nil {
			found = append(found, err.Error())
			continue
		}
		attested := d.Annotations[annotationAttested]
		is := func(image Image) bool { return image.Desc.Digest.String() == attested }
		if !slices.ContainsFunc(g.Images, is) {
			found = append(found, fmt.Sprintf("image %d: %s attests %q, which is no image here", i, d.Digest, attested))
		}
		if m.Subject != nil && m.Subject.Digest.String() != attested {
			found = append(found, fmt.Sprintf("image %d: %s has subject %s, attests %s", i, d.Digest, m.Subject.Digest, attested))
		}
	}
	return found
}

// taggedProblems: the old entries stay as they were, and every image manifest has one
// list, of everything in the layout that has it as subject.
func taggedProblems(before, after *Layout) []string {
	var found []string
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	for i, was := range before.Index.Manifests {
		if i >= len(after.Index.Manifests) {
			problem("entry %d is gone", i)
			continue
		}
		is := after.Index.Manifests[i]
		if refName(was) == "" { // it was named on request
			was.Annotations = is.Annotations
		}
		if a, b := toJSON(was), toJSON(is); a != b {
			problem("entry %d: %s, was %s", i, b, a)
		}
	}
	wanted := map[digest.Digest]bool{}
	for _, g := range after.Groups {
		for _, image := range g.Images {
			wanted[image.Desc.Digest] = true
			list, ok := after.listOf(image.Desc.Digest)
			if !ok {
				problem("%s: no list", image.Desc.Digest)
				continue
			}
			in := func(d ocispec.Descriptor) bool {
				return slices.ContainsFunc(list.Manifests, func(e ocispec.Descriptor) bool { return e.Digest == d.Digest })
			}
			if image.V1 != nil && image.V1.Desc.ArtifactType != typeSociV1 {
				problem("%s: its list has no artifactType", image.Desc.Digest)
			}
			for _, other := range g.Others {
				var m ocispec.Manifest
				if err := after.read(other, &m); err != nil {
					problem("%v", err)
				} else if m.Subject != nil && m.Subject.Digest == image.Desc.Digest && !in(other) {
					problem("%s: its list lacks %s", image.Desc.Digest, other.Digest)
				}
			}
		}
	}
	if len(after.Lists) != len(wanted) {
		problem("%d lists for %d image manifests", len(after.Lists), len(wanted))
	}
	return found
}

// listOf reads the referrers list of a manifest.
func (l *Layout) listOf(image digest.Digest) (list ocispec.Index, ok bool) {
	for _, d := range l.Lists {
		if refName(d) == listTag(image) && d.MediaType == ocispec.MediaTypeImageIndex {
			return list, l.read(d, &list) == nil
		}
	}
	return list, false
}

func toJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
