package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/awslabs/soci-snapshotter/fs"
	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/soci/store"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
)

// What the soci-snapshotter does on the first mount of an image. The entry points
// that the reference exports are called; the two steps that it keeps to itself
// (fs/fs.go: findSociIndexDescAnnotation, and newRemoteStore in fs/artifact_fetcher.go)
// are made of the same oras-go calls.

// errNoIndex: the image has no SOCI index of the wanted version, as the snapshotter sees it.
var errNoIndex = errors.New("no SOCI index found")

// snapshotter is a consumer with an empty store of its own.
type snapshotter struct {
	repo    *remote.Repository
	refspec reference.Spec
	store   store.Store
}

func newSnapshotter(r Repo, storeDir string) (*snapshotter, error) {
	refspec, err := reference.Parse(r.Host + "/" + r.Name + ":any")
	if err != nil {
		return nil, err
	}
	repo, err := remote.NewRepository(refspec.Locator)
	if err != nil {
		return nil, err
	}
	repo.Client = http.DefaultClient
	repo.PlainHTTP = true
	local, err := store.NewSociStore(storeDir)
	if err != nil {
		return nil, err
	}
	return &snapshotter{repo, refspec, local}, nil
}

// findV2 follows the annotation of the image manifest. Only the digest is known then.
func (s *snapshotter) findV2(ctx context.Context, image digest.Digest) (ocispec.Descriptor, error) {
	_, body, err := s.repo.Manifests().FetchReference(ctx, image.String())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer body.Close()
	var manifest ocispec.Manifest
	if err := json.NewDecoder(body).Decode(&manifest); err != nil {
		return ocispec.Descriptor{}, err
	}
	text := manifest.Annotations[soci.ImageAnnotationSociIndexDigest]
	if text == "" {
		return ocispec.Descriptor{}, errNoIndex
	}
	d, err := digest.Parse(text)
	return ocispec.Descriptor{Digest: d}, err
}

// findV1 asks for the referrers of the image manifest and takes the first.
func (s *snapshotter) findV1(ctx context.Context, image digest.Digest) (ocispec.Descriptor, error) {
	d, err := fs.NewOCIArtifactClient(s.repo).SelectReferrer(ctx, ocispec.Descriptor{Digest: image}, fs.SelectFirstPolicy)
	if errors.Is(err, fs.ErrNoReferrers) {
		return d, errNoIndex
	}
	return d, err
}

// use fetches a SOCI index that was found and everything in it, and parses all of it.
// The fetch stores the index re-encoded under its original digest, so it fails for
// bytes that are not the reference's own encoding.
func (s *snapshotter) use(ctx context.Context, found ocispec.Descriptor, want *Soci, image Image) error {
	if found.Digest != want.Desc.Digest {
		return fmt.Errorf("found SOCI index %s, the layout has %s", found.Digest, want.Desc.Digest)
	}
	index, err := fs.FetchSociArtifacts(ctx, s.refspec, found, s.store, s.repo)
	if err != nil {
		return err
	}
	if len(index.Blobs) == 0 || len(index.Blobs) != len(want.Manifest.Layers) {
		return fmt.Errorf("SOCI index %s: %d zTOCs, the layout has %d", found.Digest, len(index.Blobs), len(want.Manifest.Layers))
	}
	for _, blob := range index.Blobs {
		layer := blob.Annotations[soci.IndexAnnotationImageLayerDigest]
		of := func(d ocispec.Descriptor) bool { return d.Digest.String() == layer }
		if !slices.ContainsFunc(image.Manifest.Layers, of) {
			return fmt.Errorf("zTOC %s: its layer %q is not in the image", blob.Digest, layer)
		}
		if err := s.parseZtoc(ctx, blob); err != nil {
			return fmt.Errorf("zTOC %s: %w", blob.Digest, err)
		}
	}
	return nil
}

// parseZtoc reads a zTOC from the local store, where the fetch has put it.
func (s *snapshotter) parseZtoc(ctx context.Context, d ocispec.Descriptor) error {
	body, err := s.store.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer body.Close()
	parsed, err := ztoc.Unmarshal(body)
	if err != nil {
		return err
	}
	zinfo, err := parsed.Zinfo()
	if err != nil {
		return err
	}
	defer zinfo.Close()
	if spans := len(parsed.SpanDigests); spans != int(parsed.MaxSpanID)+1 {
		return fmt.Errorf("%d span digests for last span %d", spans, parsed.MaxSpanID)
	}
	return nil
}

// canonical checks that a SOCI index is byte for byte what the reference would write:
// decoded and encoded again it must not change.
func canonical(raw []byte) error {
	var index soci.Index
	if err := soci.UnmarshalIndex(raw, &index); err != nil {
		return err
	}
	again, err := soci.MarshalIndex(&index)
	if err != nil {
		return err
	}
	if string(again) != string(raw) {
		return fmt.Errorf("not the reference's encoding:\n got  %s\n want %s", raw, again)
	}
	return nil
}
