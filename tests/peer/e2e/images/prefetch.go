package images

import (
	"bytes"
	"io"
	"os"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/ocilayout"
)

// SpanRange is a row of spans.
type SpanRange struct {
	First, Last int
	// Ranges are the bytes of the layer that each has, first and last.
	Ranges [][2]int64
}

// AddPrefetch adds a list of spans to fetch ahead to a layer, as `soci create --prefetch-file`
// does: by the reference's own encoders. soci-layout writes none.
func AddPrefetch(dir string, layer digest.Digest, spans SpanRange) error {
	list := soci.NewPrefetchArtifact()
	list.AddPrefetchSpan(soci.PrefetchSpan{StartSpan: compression.SpanID(spans.First), EndSpan: compression.SpanID(spans.Last)})
	body, desc, err := soci.MarshalPrefetchArtifact(list)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(ocilayout.BlobFile(dir, desc.Digest), text, 0o644); err != nil {
		return err
	}
	desc.Annotations = map[string]string{soci.IndexAnnotationImageLayerDigest: layer.String()}
	return editIndex(dir, func(text []byte, _ []ocispec.Descriptor) ([]byte, error) {
		var index soci.Index
		if err := soci.UnmarshalIndex(text, &index); err != nil {
			return nil, err
		}
		index.Blobs = append(index.Blobs, desc)
		return soci.MarshalIndex(&index)
	})
}

// Spans reads how many spans a layer's zTOC has, and in which of them a file lies.
func Spans(dir string, layer digest.Digest, file string) (count int, of SpanRange, err error) {
	z, err := ztocOf(dir, layer)
	if err != nil {
		return 0, of, err
	}
	text, err := os.ReadFile(ocilayout.BlobFile(dir, z.Digest))
	if err != nil {
		return 0, of, err
	}
	toc, err := ztoc.Unmarshal(bytes.NewReader(text))
	if err != nil {
		return 0, of, err
	}
	zinfo, err := toc.Zinfo()
	if err != nil {
		return 0, of, err
	}
	defer zinfo.Close()
	entry, err := toc.GetMetadataEntry(file)
	if err != nil {
		return 0, of, err
	}
	of.First = int(zinfo.UncompressedOffsetToSpanID(entry.UncompressedOffset))
	of.Last = int(zinfo.UncompressedOffsetToSpanID(entry.UncompressedOffset + entry.UncompressedSize))
	for n := of.First; n <= of.Last; n++ {
		start := zinfo.StartCompressedOffset(compression.SpanID(n))
		end := zinfo.EndCompressedOffset(compression.SpanID(n), toc.CompressedArchiveSize)
		of.Ranges = append(of.Ranges, [2]int64{int64(start), int64(end) - 1})
	}
	return int(toc.MaxSpanID) + 1, of, nil
}
