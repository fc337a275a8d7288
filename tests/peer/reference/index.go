package reference

import (
	"bytes"
	"context"
	"fmt"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
)

// IndexRoundTrip does with the bytes of a SOCI index what the snapshotter does
// when it has fetched one: decode, encode again, and store the result under the
// digest of what was fetched. Any byte that is not the reference's own encoding
// makes that fail.
func IndexRoundTrip(fetched []byte) (*soci.Index, error) {
	var index soci.Index
	if err := soci.DecodeIndex(bytes.NewReader(fetched), &index); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	again, err := soci.MarshalIndex(&index)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	desc := ocispec.Descriptor{
		MediaType: "application/octet-stream",
		Digest:    digest.FromBytes(fetched),
		Size:      int64(len(fetched)),
	}
	if err := memory.New().Push(context.Background(), desc, bytes.NewReader(again)); err != nil {
		return nil, fmt.Errorf("store the re-encoded index under the fetched digest: %w", err)
	}
	return &index, nil
}
