package reference

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	socifs "github.com/awslabs/soci-snapshotter/fs"
	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/soci/store"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	unpack "github.com/containerd/containerd/v2/pkg/archive/compression"
	names "github.com/containerd/containerd/v2/pkg/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
)

// What becomes of an image, the gravest first.
const (
	WrongBytes = "wrong-bytes"
	IOError    = "io-error"
	Unpullable = "unpullable"
	Rejected   = "rejected"
	LayerEager = "layer-eager"
)

// Consumed is what a runtime with the reference's snapshotter made of an image.
type Consumed struct {
	// Seen holds each thing that happened, with one example.
	Seen map[string]string
	// Lazy are the layers that were mounted.
	Lazy []digest.Digest
}

func (c *Consumed) add(what, format string, args ...any) {
	if c.Seen == nil {
		c.Seen = make(map[string]string)
	}
	if _, known := c.Seen[what]; !known {
		c.Seen[what] = fmt.Sprintf(format, args...)
	}
}

// Worst is the gravest thing that happened; "" when all is well.
func (c *Consumed) Worst() string {
	for _, what := range []string{WrongBytes, IOError, Unpullable, Rejected, LayerEager} {
		if _, found := c.Seen[what]; found {
			return what
		}
	}
	return ""
}

// Consume pulls the first image of a layout, takes its SOCI index and reads every file of
// every layer, all with the code that the snapshotter has for it; the layout stands for the
// registry. lazy are the layers that were mounted before something was changed.
func Consume(ctx context.Context, dir string, lazy []digest.Digest) (*Consumed, error) {
	c := &Consumed{}
	from := registry{dir}
	root, image, err := firstImage(dir)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := copyGraph(ctx, from, image); err != nil {
		c.add(Unpullable, "pull: %v", err)
		return c, nil
	}
	if err := readBlob(dir, image.Digest, &manifest); err != nil {
		return nil, err
	}
	if err := checkDiffIDs(dir, manifest); err != nil {
		c.add(Unpullable, "unpack: %v", err)
		return c, nil
	}
	index, err := takeIndex(ctx, from, manifest, image)
	if err != nil {
		c.add(Rejected, "%v", err)
		return c, nil
	}
	if err := copyGraph(ctx, from, root); err != nil {
		c.add(Unpullable, "push: %v", err)
		return c, nil
	}
	// As in the reference's sociContext: the last zTOC wins, and the first prefetch artifact.
	ztocs := make(map[digest.Digest]ocispec.Descriptor)
	for _, d := range index.Blobs {
		if d.MediaType == soci.SociLayerMediaType {
			ztocs[digest.Digest(d.Annotations[soci.IndexAnnotationImageLayerDigest])] = d
		}
	}
	prefetch := make(map[digest.Digest]ocispec.Descriptor)
	for _, d := range slices.Backward(index.Blobs) {
		if d.MediaType == soci.SociPrefetchMediaType {
			prefetch[digest.Digest(d.Annotations[soci.IndexAnnotationImageLayerDigest])] = d
		}
	}
	wanted := make(map[digest.Digest]bool)
	for _, d := range lazy {
		wanted[d] = true
	}
	for _, layer := range manifest.Layers {
		ztoc, found := ztocs[layer.Digest]
		if !found {
			if wanted[layer.Digest] {
				c.add(LayerEager, "no zTOC for layer %s", layer.Digest)
			}
			continue
		}
		var artifact []byte
		if d, found := prefetch[layer.Digest]; found {
			if artifact, err = os.ReadFile(blobFile(dir, d.Digest)); err != nil {
				return nil, err
			}
		}
		if err := c.layer(dir, layer, ztoc, artifact); err != nil {
			c.add(LayerEager, "%v", err)
			continue
		}
		c.Lazy = append(c.Lazy, layer.Digest)
	}
	return c, nil
}

// layer mounts one layer and reads it. The error is for a mount that fails: the snapshotter
// then has the layer unpacked.
func (c *Consumed) layer(dir string, layer, desc ocispec.Descriptor, artifact []byte) error {
	toc, err := os.ReadFile(blobFile(dir, desc.Digest))
	if err != nil {
		return err
	}
	file := blobFile(dir, layer.Digest)
	entries, err := ListEntries(file, layer.MediaType)
	if err != nil {
		return fmt.Errorf("archive/tar: %w", err)
	}
	work, err := os.MkdirTemp("", "soci-consume-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	m, err := mount(file, toc, work)
	if err != nil {
		return err
	}
	defer m.close()
	m.prefetch(artifact)
	// As in fs/layer/layer.go.
	noXattrs, _ := strconv.ParseBool(desc.Annotations[soci.IndexAnnotationDisableXAttrs])
	m.consume(c, tree(entries), noXattrs)
	return nil
}

// prefetch is executePrefetch of fs/layer/layer.go, which is not exported: what is wrong
// with an artifact is logged, what fails is not even that.
func (m *mounted) prefetch(text []byte) {
	artifact, err := soci.UnmarshalPrefetchArtifact(bytes.NewReader(text))
	if err != nil {
		return
	}
	var ids []compression.SpanID
	for _, span := range artifact.PrefetchSpans {
		for id := span.StartSpan; id <= span.EndSpan; id++ {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		_ = m.manager.ResolveSpan(id)
	}
}

// consume compares what a container sees with what is in the tar. An attribute that is
// wrong does not count when opening the file fails for it.
func (m *mounted) consume(c *Consumed, want map[string]Entry, noXattrs bool) {
	seen := make(map[string]bool)
	files := m.Metadata()
	visit := func(id uint32, name string) {
		seen[name] = true
		attr, err := files.GetAttr(id)
		if err != nil {
			c.add(IOError, "%q: %v", name, err)
			return
		}
		entry, listed := want[name]
		if !listed {
			if !attr.Mode.IsDir() {
				c.add(WrongBytes, "%q: not in the tar", name)
			}
			return
		}
		if noXattrs {
			attr.Xattrs = nil
			if strings.HasSuffix(name, ".wh..wh..opq") {
				c.add(WrongBytes, "%q: not opaque without extended attributes", name)
			}
		}
		if attr.Mode.IsRegular() {
			var retries int
			sum, err := m.read(id, entry.Offset, attr.Size, &retries)
			if err != nil {
				c.add(IOError, "%q: %v", name, err)
				return
			}
			if entry.HasData() && sum != entry.Sum {
				c.add(WrongBytes, "%q: content differs", name)
			}
		}
		var differences Mismatches
		compareAttr(&differences, name, attr, entry)
		if len(differences) > 0 {
			c.add(WrongBytes, "%s", differences[0])
		}
	}
	walked := make(map[uint32]bool)
	var walk func(id uint32, dir string)
	walk = func(id uint32, dir string) {
		visit(id, dir)
		if walked[id] {
			c.add(WrongBytes, "%q: a directory with several names", dir)
			return
		}
		walked[id] = true
		err := files.ForeachChild(id, func(base string, child uint32, mode fs.FileMode) bool {
			switch {
			case child == id:
			case mode.IsDir():
				walk(child, path.Join(dir, base))
			default:
				visit(child, path.Join(dir, base))
			}
			return true
		})
		if err != nil {
			c.add(IOError, "%q: %v", dir, err)
		}
	}
	walk(files.RootID(), "")
	for name := range want {
		if !seen[name] {
			c.add(WrongBytes, "%q: in the tar, not in the file system", name)
		}
	}
}

// takeIndex is fs.fetchSociIndex of the reference: by the annotation (v2), or else by the
// referrers of the manifest (v1), for which a list in the layout stands.
func takeIndex(ctx context.Context, from registry, manifest ocispec.Manifest, image ocispec.Descriptor) (*soci.Index, error) {
	desc := ocispec.Descriptor{}
	if text, found := manifest.Annotations[soci.ImageAnnotationSociIndexDigest]; found {
		d, err := digest.Parse(text)
		if err != nil {
			return nil, err
		}
		desc.Digest = d
	} else {
		var err error
		if desc, err = referrer(from.dir, image.Digest); err != nil {
			return nil, err
		}
		desc.Size = 0 // only the digest is taken over
	}
	work, err := os.MkdirTemp("", "soci-store-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	local, err := store.NewSociStore(work)
	if err != nil {
		return nil, err
	}
	name := names.Spec{Locator: "registry.example/image", Object: "latest"}
	return socifs.FetchSociArtifacts(ctx, name, ocispec.Descriptor{Digest: desc.Digest}, local, from)
}

// referrer finds the v1 index whose subject is the image.
func referrer(dir string, image digest.Digest) (ocispec.Descriptor, error) {
	var found *ocispec.Descriptor
	err := eachManifest(dir, func(d ocispec.Descriptor, m ocispec.Manifest) {
		if m.Config.MediaType == soci.SociIndexArtifactTypeV1 && m.Subject != nil && m.Subject.Digest == image && found == nil {
			found = &d
		}
	})
	if err == nil && found == nil {
		return ocispec.Descriptor{}, fmt.Errorf("no SOCI index")
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return *found, nil
}

// firstImage gives the entry of index.json that leads to the first image, and the image.
func firstImage(dir string) (root, image ocispec.Descriptor, err error) {
	_, top, err := readIndex(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return root, image, err
	}
	if len(top.Manifests) == 0 {
		return root, image, fmt.Errorf("index.json is empty")
	}
	root = top.Manifests[0]
	var found *ocispec.Descriptor
	err = eachManifest(dir, func(d ocispec.Descriptor, m ocispec.Manifest) {
		if found == nil && m.Config.MediaType == ocispec.MediaTypeImageConfig {
			found = &d
		}
	})
	if err == nil && found == nil {
		err = fmt.Errorf("no image")
	}
	if err != nil {
		return root, image, err
	}
	return root, *found, nil
}

// eachManifest visits all manifests that can be read, in order.
func eachManifest(dir string, visit func(ocispec.Descriptor, ocispec.Manifest)) error {
	_, top, err := readIndex(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return err
	}
	var walk func([]ocispec.Descriptor)
	walk = func(list []ocispec.Descriptor) {
		for _, d := range list {
			var index ocispec.Index
			var manifest ocispec.Manifest
			switch {
			case d.MediaType == ocispec.MediaTypeImageIndex:
				if readBlob(dir, d.Digest, &index) == nil {
					walk(index.Manifests)
				}
			case readBlob(dir, d.Digest, &manifest) == nil:
				visit(d, manifest)
			}
		}
	}
	walk(top.Manifests)
	return nil
}

func readBlob(dir string, d digest.Digest, into any) error {
	text, err := os.ReadFile(blobFile(dir, d))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// checkDiffIDs unpacks as containerd does, and compares as it does.
func checkDiffIDs(dir string, manifest ocispec.Manifest) error {
	var config ocispec.Image
	if err := readBlob(dir, manifest.Config.Digest, &config); err != nil {
		return err
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return fmt.Errorf("%d diff IDs for %d layers", len(config.RootFS.DiffIDs), len(manifest.Layers))
	}
	for i, layer := range manifest.Layers {
		blob, err := os.ReadFile(blobFile(dir, layer.Digest))
		if err != nil {
			return err
		}
		stream, err := unpack.DecompressStream(bytes.NewReader(blob))
		if err != nil {
			return err
		}
		found, err := digest.FromReader(stream)
		if err != nil {
			return err
		}
		if found != config.RootFS.DiffIDs[i] {
			return fmt.Errorf("wrong diff id calculated on extraction %q", found)
		}
	}
	return nil
}

// copyGraph copies what hangs on a descriptor, as a tool that pushes or pulls does.
func copyGraph(ctx context.Context, from registry, root ocispec.Descriptor) error {
	return oras.CopyGraph(ctx, from, memory.New(), root, oras.DefaultCopyGraphOptions)
}

// registry gives out the blobs of a layout, whatever is in them.
type registry struct{ dir string }

func (r registry) Resolve(_ context.Context, name string) (ocispec.Descriptor, error) {
	_, text, _ := strings.Cut(name, "@")
	d, err := digest.Parse(text)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	info, err := os.Stat(blobFile(r.dir, d))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: info.Size()}, nil
}

func (r registry) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	return os.Open(blobFile(r.dir, d.Digest))
}

func (r registry) Exists(_ context.Context, d ocispec.Descriptor) (bool, error) {
	_, err := os.Stat(blobFile(r.dir, d.Digest))
	return err == nil, nil
}

func (r registry) Push(context.Context, ocispec.Descriptor, io.Reader) error {
	return fmt.Errorf("nothing is pushed here")
}
