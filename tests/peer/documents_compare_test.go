package peer_test

import (
	"encoding/json"
	"slices"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/documents"
	"soci-layout.test/peer/ocilayout"
)

// compare holds what inspect shows against what Go sees.
func (c *documentCase) compare(view *documents.View, inspected said) {
	if inspected.code != 0 {
		c.refused = true
		if !names(inspected.errors) || c.changed.Legal {
			c.problem("inspect: %s", inspected.errors)
		}
		return
	}
	var shown seen
	if err := json.Unmarshal([]byte(inspected.out), &shown); err != nil {
		c.problem("inspect: %v", err)
		return
	}
	if view.Problem != nil {
		c.listOf(view.Problem, shown.Roots)
		return
	}
	if len(shown.Roots) != len(view.Entries) {
		c.problem("%d entries, Go sees %d", len(shown.Roots), len(view.Entries))
		return
	}
	for i, e := range view.Entries {
		if got, want := shown.Roots[i].Names, e.Names(); !slices.Equal(got, want) && shown.Roots[i].Kind != "unreadable" {
			c.problem("names %q, Go sees %q", got, want)
		}
		c.entry(e, shown.Roots[i], &shown, false)
	}
	if c.refused && c.changed.Legal {
		c.problem("inspect: %s", inspected.out)
	}
}

// listOf: a list that Go refuses as a whole is shown with the entries that are the reason.
func (c *documentCase) listOf(problem error, entries []seenEntry) {
	c.refused = true
	if !slices.ContainsFunc(entries, func(e seenEntry) bool { return e.Kind == "unreadable" && e.Problem != "" }) {
		c.problem("inspect shows what Go refuses: %v", problem)
	}
}

func (c *documentCase) entry(e *documents.Entry, shown seenEntry, all *seen, inList bool) {
	if shown.Kind == "unreadable" {
		c.refused = true
		if shown.Problem == "" {
			c.problem("unreadable without a reason")
		}
		return
	}
	if shown.Digest != e.Digest.String() || shown.MediaType != e.MediaType || shown.Size != e.Size {
		c.problem("shown %+v, Go sees %+v", shown, e.Descriptor)
	}
	switch {
	case shown.Kind == "other" && e.Digest.Validate() == nil && e.Digest.Algorithm() != digest.SHA256:
		return
	case e.Problem != nil && e.Index != nil && (shown.Kind == "index" || shown.Kind == "referrers"):
		c.listOf(e.Problem, shown.Entries)
		return
	case e.Problem != nil:
		c.problem("shown as %s, Go refuses it: %v", shown.Kind, e.Problem)
		return
	}
	want := kindOf(e, inList)
	if shown.Kind != want {
		c.problem("shown as %s, is %s", shown.Kind, want)
		return
	}
	switch want {
	case "index", "referrers":
		if len(shown.Entries) != len(e.Entries) {
			c.problem("%d entries of %s, Go sees %d", len(shown.Entries), e.Digest, len(e.Entries))
			return
		}
		for i, child := range e.Entries {
			c.entry(child, shown.Entries[i], all, want == "referrers")
		}
	case "image":
		c.image(e, shown, all)
	case "soci-index":
		c.sociIndex(e, all)
	case "attestation":
		image, has := e.Annotations["vnd.docker.reference.digest"]
		if has != (shown.Image != nil) || has && *shown.Image != image || *shown.Present == e.Missing {
			c.problem("attestation %+v, Go sees %q", shown, image)
		}
	case "artifact":
		kind := e.Manifest.ArtifactType
		if kind == "" {
			kind = e.Manifest.Config.MediaType
		}
		subject := digest.Digest("")
		if e.Manifest.Subject != nil && e.Manifest.Subject.Digest.Algorithm() == digest.SHA256 {
			subject = e.Manifest.Subject.Digest
		}
		if shown.ArtifactType != kind || shown.Subject == nil != (subject == "") || subject != "" && *shown.Subject != subject {
			c.problem("artifact %+v, Go sees %q of %q", shown, kind, subject)
		}
	}
}

// kindOf classifies an entry by what Go sees.
func kindOf(e *documents.Entry, inList bool) string {
	_, attestation := e.Annotations["vnd.docker.reference.type"]
	name := e.Annotations[ocispec.AnnotationRefName]
	isList := len(name) == 71 && name[:7] == "sha256-" && digest.Digest("sha256:"+name[7:]).Validate() == nil
	m := e.Manifest
	switch {
	case e.Missing && attestation:
		return "attestation"
	case e.Missing:
		return "missing"
	case e.Index != nil && isList && !e.Nested:
		return "referrers"
	case e.Index != nil:
		return "index"
	case m == nil || none(m.Config):
		return "other"
	case attestation:
		return "attestation"
	case m.Config.MediaType == ocilayout.TypeSociV1 || m.Config.MediaType == ocilayout.TypeSociV2:
		return "soci-index"
	}
	config := m.Config.MediaType == ocispec.MediaTypeImageConfig || m.Config.MediaType == images.MediaTypeDockerSchema2Config
	layer := func(d ocispec.Descriptor) bool { return images.IsLayerType(d.MediaType) }
	layers := len(m.Layers) == 0 || slices.ContainsFunc(m.Layers, layer)
	if !config || m.ArtifactType != "" || inList || !layers || e.Unknown() {
		return "artifact"
	}
	return "image"
}

func none(d ocispec.Descriptor) bool {
	return d.MediaType == "" && d.Digest == "" && d.Size == 0 && d.Annotations == nil
}

func (c *documentCase) image(e *documents.Entry, shown seenEntry, all *seen) {
	platform := e.Platform()
	if shown.Platform == nil {
		if platform != "" && platform[0] != '/' {
			c.problem("image %s: no platform, Go sees %q", e.Digest, platform)
		}
	} else if *shown.Platform != platform {
		c.problem("image %s: %q, Go sees %q", e.Digest, *shown.Platform, platform)
	}
	for _, image := range all.Images {
		if image.Digest != e.Digest {
			continue
		}
		var layers []ocispec.Descriptor
		for _, d := range e.Manifest.Layers {
			if images.IsLayerType(d.MediaType) {
				layers = append(layers, ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size})
			}
		}
		same := func(a ocispec.Descriptor, b seenLayer) bool {
			return a.MediaType == b.MediaType && a.Digest == b.Digest && a.Size == b.Size
		}
		if !slices.EqualFunc(layers, image.Layers, same) {
			c.problem("image %s: layers %+v, Go sees %+v", e.Digest, image.Layers, layers)
		}
		return
	}
	c.problem("image %s is not listed", e.Digest)
}

func (c *documentCase) sociIndex(e *documents.Entry, all *seen) {
	for _, index := range all.Soci {
		if index.Digest != e.Digest {
			continue
		}
		var ztocs []seenZtoc
		for _, d := range e.Manifest.Layers {
			if d.MediaType != "application/octet-stream" || d.Digest.Algorithm() != digest.SHA256 {
				continue
			}
			z := seenZtoc{Digest: d.Digest, Size: d.Size}
			if layer := digest.Digest(d.Annotations["com.amazon.soci.image-layer-digest"]); layer.Validate() == nil && layer.Algorithm() == digest.SHA256 {
				z.Layer = layer
			}
			ztocs = append(ztocs, z)
		}
		if !slices.Equal(ztocs, index.Ztocs) {
			c.problem("SOCI index %s: %+v, Go sees %+v", e.Digest, index.Ztocs, ztocs)
		}
		return
	}
	c.problem("SOCI index %s is not listed", e.Digest)
}
