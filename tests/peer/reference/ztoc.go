package reference

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/containerd/containerd/v2/core/images"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tool is the build tool identifier that the reference's command line writes.
const Tool = "AWS SOCI CLI v0.2"

// ErrSkipped says that the reference makes no zTOC of a layer because of its media
// type. It goes on with the other layers.
type ErrSkipped struct{ MediaType string }

func (e ErrSkipped) Error() string { return "the reference skips layers of type " + e.MediaType }

// compressionOf names the compression as the reference derives it from the media type.
func compressionOf(mediaType string) (string, error) {
	if !images.IsLayerType(mediaType) {
		return "", fmt.Errorf("not a layer type: %s", mediaType)
	}
	name, err := images.DiffCompression(context.Background(), mediaType)
	if err != nil {
		return "", err
	}
	if name == "" && mediaType == ocispec.MediaTypeImageLayer {
		name = compression.Uncompressed
	}
	return name, nil
}

// BuildZtoc makes the zTOC of a layer file the way the reference's index builder does.
func BuildZtoc(layer, mediaType string, spanSize int64, tool string) ([]byte, error) {
	toc, err := build(layer, mediaType, spanSize, tool)
	if err != nil {
		return nil, err
	}
	return marshal(toc)
}

func build(layer, mediaType string, spanSize int64, tool string) (*ztoc.Ztoc, error) {
	name, err := compressionOf(mediaType)
	if err != nil {
		return nil, err
	}
	builder := ztoc.NewBuilder(tool)
	if !builder.CheckCompressionAlgorithm(name) {
		return nil, ErrSkipped{mediaType}
	}
	if spanSize < 1 && name != compression.Gzip {
		return nil, fmt.Errorf("span size %d with a plain tar divides by zero in the reference", spanSize)
	}
	return builder.BuildZtoc(layer, spanSize, ztoc.WithCompression(name))
}

func marshal(toc *ztoc.Ztoc) ([]byte, error) {
	body, _, err := ztoc.Marshal(toc)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(body)
}

// Numbers are what the reference's reader finds in a zTOC.
type Numbers struct {
	Spans, Files           int
	SpanSize, Uncompressed int64
	// Prefetchable is the name of a file that `--prefetch-file` finds, if there is one.
	Prefetchable string
}

// Count reads a zTOC with the reference's reader.
func Count(blob []byte) (Numbers, error) {
	toc, err := ztoc.Unmarshal(bytes.NewReader(blob))
	if err != nil {
		return Numbers{}, err
	}
	zinfo, err := toc.Zinfo()
	if err != nil {
		return Numbers{}, err
	}
	defer zinfo.Close()
	n := Numbers{
		Spans:        int(toc.MaxSpanID) + 1,
		Files:        len(toc.FileMetadata),
		SpanSize:     int64(zinfo.SpanSize()),
		Uncompressed: int64(toc.UncompressedArchiveSize),
	}
	for _, f := range toc.FileMetadata {
		if f.Type == "reg" && f.UncompressedSize > 0 && f.Name == rooted(f.Name) {
			n.Prefetchable = f.Name
			break
		}
	}
	return n, nil
}
