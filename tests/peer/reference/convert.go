package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/soci/store"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
)

// Options are those flags of the reference's command line that change its result.
type Options struct {
	SpanSize     int64
	MinLayerSize int64
	// Platforms as typed; nil means all of the image.
	Platforms []string
	Tool      string
	// XattrOptimization is `--optimizations xattr`.
	XattrOptimization bool
	// Prefetch are the files of `--prefetch-file`.
	Prefetch []string
	// Archive asks for a tar instead of a directory.
	Archive bool
}

func (o Options) builder(db *soci.ArtifactsDb) []soci.BuilderOption {
	options := []soci.BuilderOption{
		soci.WithSpanSize(o.SpanSize),
		soci.WithMinLayerSize(o.MinLayerSize),
		soci.WithBuildToolIdentifier(o.Tool),
		soci.WithArtifactsDb(db),
		// A process of the reference starts with an empty database. Here it may hold
		// layers of an earlier conversion, which must not be taken over.
		soci.WithForceRecreateZtocs(true),
	}
	if len(o.Prefetch) > 0 {
		options = append(options, soci.WithPrefetchPaths(o.Prefetch))
	}
	if o.XattrOptimization {
		options = append(options, soci.WithOptimizations([]soci.Optimization{soci.XAttrOptimization}))
	}
	return options
}

// Convert is the reference's `convert --standalone SRC DST`, with its temporary
// copy of the layout and its copy to DST, so that it may also be timed. It gives
// the descriptor of the converted index.
func Convert(ctx context.Context, src, dst string, o Options) (*ocispec.Descriptor, error) {
	defer silence()()
	work, err := os.MkdirTemp("", "soci-oci-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	image, builder, wanted, err := prepare(ctx, src, work, o)
	if err != nil {
		return nil, err
	}
	converted, err := builder.Convert(ctx, image.Image, soci.ConvertWithPlatforms(wanted...))
	if err != nil {
		return nil, err
	}
	if o.Archive {
		return converted, saveArchive(ctx, image.content, *converted, dst)
	}
	return converted, saveDirectory(work, *converted, dst)
}

// NoSuchPlatform says whether a conversion failed because the image is for none of the
// platforms that were asked for.
func NoSuchPlatform(err error) bool { return errdefs.IsNotFound(err) }

// NoImage says whether a conversion failed because the root is something else, such as
// a build cache.
func NoImage(err error) bool {
	return err != nil && strings.Contains(err.Error(), "image does not support any platforms")
}

// BuildV1Layout puts the v1 SOCI indexes of BuildV1, with their zTOCs, into a copy of the
// layout, as more entries of index.json: the layout that a copy of the image with all
// its referrers has.
func BuildV1Layout(ctx context.Context, src, dst string, o Options) ([]ocispec.Descriptor, error) {
	defer silence()()
	if err := os.Mkdir(dst, 0o755); err != nil {
		return nil, err
	}
	image, builder, wanted, err := prepare(ctx, src, dst, o)
	if err != nil {
		return nil, err
	}
	_, top, err := readIndex(filepath.Join(src, ocispec.ImageIndexFile))
	if err != nil {
		return nil, err
	}
	var made []ocispec.Descriptor
	for _, platform := range wanted {
		built, err := builder.Build(ctx, image.Image, soci.WithPlatform(platform))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", platforms.FormatAll(platform), err)
		}
		made = append(made, built.Desc)
	}
	top.Manifests = append(top.Manifests, made...)
	text, err := json.Marshal(top)
	if err != nil {
		return nil, err
	}
	return made, os.WriteFile(filepath.Join(dst, ocispec.ImageIndexFile), text, 0o644)
}

// BuildV1 makes one v1 SOCI index per platform with the reference's library (its
// command line only does so against containerd) and gives the index manifests in
// the order of the platforms. The layout is not touched; the zTOCs are dropped.
func BuildV1(ctx context.Context, src string, o Options) ([][]byte, error) {
	defer silence()()
	work, err := os.MkdirTemp("", "soci-oci-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	image, builder, wanted, err := prepare(ctx, src, work, o)
	if err != nil {
		return nil, err
	}
	var manifests [][]byte
	for _, platform := range wanted {
		built, err := builder.Build(ctx, image.Image, soci.WithPlatform(platform))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", platforms.FormatAll(platform), err)
		}
		manifest, err := soci.MarshalIndex(built.Index)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, manifest)
	}
	return manifests, nil
}

// layoutImage is an image in a writable copy of its layout. The directory is
// opened twice, as a containerd content store for reading and as an ORAS store for
// what is made: both know the same blobs directory.
type layoutImage struct {
	images.Image
	content content.Store
	blobs   *store.SociStore
}

func load(ctx context.Context, src, work string) (*layoutImage, error) {
	if err := copyLayout(ctx, src, work); err != nil {
		return nil, err
	}
	root, err := layoutRoot(work)
	if err != nil {
		return nil, err
	}
	blobs, err := oci.New(work)
	if err != nil {
		return nil, err
	}
	files, err := local.NewStore(work)
	if err != nil {
		return nil, err
	}
	return &layoutImage{images.Image{Name: src, Target: root}, files, &store.SociStore{Store: blobs}}, nil
}

// prepare loads the image of the layout src into work, with its builder and the platforms
// that are wanted.
func prepare(ctx context.Context, src, work string, o Options) (*layoutImage, *soci.IndexBuilder, []ocispec.Platform, error) {
	image, err := load(ctx, src, work)
	if err != nil {
		return nil, nil, nil, err
	}
	builder, err := image.builder(o)
	if err != nil {
		return nil, nil, nil, err
	}
	wanted, err := image.platforms(ctx, o)
	return image, builder, wanted, err
}

func (i *layoutImage) builder(o Options) (*soci.IndexBuilder, error) {
	db, err := artifactsDB()
	if err != nil {
		return nil, err
	}
	return soci.NewIndexBuilder(i.content, i.blobs, o.builder(db)...)
}

func (i *layoutImage) platforms(ctx context.Context, o Options) ([]ocispec.Platform, error) {
	if o.Platforms == nil {
		return images.Platforms(ctx, i.content, i.Target)
	}
	var wanted []ocispec.Platform
	for _, text := range o.Platforms {
		platform, err := platforms.Parse(text)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, platform)
	}
	return wanted, nil
}
