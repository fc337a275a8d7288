package images

import (
	"bytes"
	"os"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/ocilayout"
)

// SpanRange is a row of spans.
type SpanRange struct {
	First, Last int
	// Ranges are the bytes of the layer that each has, first and last.
	Ranges [][2]int64
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
