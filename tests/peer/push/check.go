package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// report collects what is wrong in a registry after a push. It is a value, not a
// test failure, so that the negative controls can ask for problems.
type report []string

func (r *report) add(where string, err error) {
	if err != nil {
		*r = append(*r, where+": "+err.Error())
	}
}

func (r report) String() string { return strings.Join(r, "\n") }

// checkPush looks at everything that a push of one image had to bring.
func checkPush(ctx context.Context, repo Repo, l *Layout, g *Group, f Form, want Outcome, storeDir string) report {
	var r report
	if want.altered {
		for _, image := range g.Images {
			if repo.hasManifest(image.Desc) == nil {
				r.add("altered", fmt.Errorf("image manifest %s arrived although the tool converts it", image.Desc.Digest))
			}
		}
		return r
	}
	for _, tag := range g.Tags {
		if tag == "" {
			tag = "latest"
		}
		r.add("tag "+tag, checkIndex(repo, tag, g.Root, g.Children, want.rebuilt))
	}
	for _, other := range g.Others {
		r.add("other", repo.hasManifest(other))
	}
	for i, image := range g.Images {
		where := fmt.Sprintf("image %d", i)
		r.add(where, repo.hasManifest(image.Desc))
		for _, blob := range append([]ocispec.Descriptor{image.Manifest.Config}, image.Manifest.Layers...) {
			r.add(where, repo.hasBlob(blob))
		}
		for _, s := range []*Soci{image.V1, image.V2} {
			r = append(r, checkSoci(repo, l, s)...)
		}
		snap, err := newSnapshotter(repo, filepath.Join(storeDir, strconv.Itoa(i)))
		if err != nil {
			r.add(where, err)
			continue
		}
		r.add(where+" v2", checkV2(ctx, snap, image, f))
		r.add(where+" v1", checkV1(ctx, snap, repo, image, want.v1))
	}
	return r
}

// checkIndex looks at the manifest behind a tag: it is the layout's own, or (rebuilt)
// another index of the same children.
func checkIndex(repo Repo, tag string, root ocispec.Descriptor, children []ocispec.Descriptor, rebuilt bool) error {
	body, got, err := repo.manifest(tag)
	if err != nil {
		return err
	}
	if got == root.Digest {
		return nil
	}
	if !rebuilt {
		return fmt.Errorf("digest %s, want %s", got, root.Digest)
	}
	var index ocispec.Index
	if err := json.Unmarshal(body, &index); err != nil {
		return err
	}
	same := func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size }
	if !slices.EqualFunc(index.Manifests, children, same) {
		return fmt.Errorf("the index has other children: %s", body)
	}
	return nil
}

// checkSoci looks at a SOCI manifest and all it needs, without any lookup.
func checkSoci(repo Repo, l *Layout, s *Soci) report {
	var r report
	if s == nil {
		return r
	}
	where := "SOCI index"
	r.add(where, repo.hasManifest(s.Desc))
	if s.Manifest.Config.Digest != digest.FromString("{}") {
		r.add(where, fmt.Errorf("config %s is not {}", s.Manifest.Config.Digest))
	}
	for _, blob := range append([]ocispec.Descriptor{s.Manifest.Config}, s.Manifest.Layers...) {
		r.add(where, repo.hasBlob(blob))
	}
	raw, err := l.blob(s.Desc)
	r.add(where, err)
	if err == nil {
		r.add(where, canonical(raw))
	}
	return r
}

// checkV2: the annotation leads to the index, or is not there if none was asked for.
func checkV2(ctx context.Context, snap *snapshotter, image Image, f Form) error {
	found, err := snap.findV2(ctx, image.Desc.Digest)
	if !f.v2 {
		return wantNone(found, err)
	}
	if err != nil {
		return err
	}
	return snap.use(ctx, found, image.V2, image)
}

// checkV1: the registry's referrers, read plainly and by the reference, lead to the index.
func checkV1(ctx context.Context, snap *snapshotter, repo Repo, image Image, want Sight) error {
	if image.V1 != nil && want == open {
		return nil
	}
	listed, err := repo.referrers(image.Desc.Digest)
	if err != nil {
		return err
	}
	found, err := snap.findV1(ctx, image.Desc.Digest)
	if image.V1 == nil || want == unseen {
		if len(listed) != 0 {
			return fmt.Errorf("%d referrers are listed", len(listed))
		}
		return wantNone(found, err)
	}
	if err != nil {
		return err
	}
	if len(listed) != 1 || listed[0].Digest != image.V1.Desc.Digest || listed[0].Size != image.V1.Desc.Size {
		return fmt.Errorf("listed: %s, want %s only", toJSON(listed), image.V1.Desc.Digest)
	}
	return snap.use(ctx, found, image.V1, image)
}

func wantNone(found ocispec.Descriptor, err error) error {
	if err == nil {
		return fmt.Errorf("%s was found, want nothing", found.Digest)
	}
	if !errors.Is(err, errNoIndex) {
		return err
	}
	return nil
}
