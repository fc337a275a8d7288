package images

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/ocilayout"
)

// Sizes of the reference's gzip zinfo: a head, then records of fields and a window.
const (
	zinfoHead   = 12
	zinfoFields = 17
	zinfoWindow = 32 << 10
	zinfoRecord = zinfoFields + zinfoWindow
)

// ZeroWindow zeroes the window of the middle checkpoint of a layer's zTOC. Nothing else
// changes, so every digest that a runtime checks is right. It says which one it was.
func ZeroWindow(dir string, layer digest.Digest) (string, error) {
	z, err := ztocOf(dir, layer)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(ocilayout.BlobFile(dir, z.Digest))
	if err != nil {
		return "", err
	}
	toc, err := ztoc.Unmarshal(bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	count := int(binary.LittleEndian.Uint32(toc.Checkpoints))
	if count < 3 || len(toc.Checkpoints) != zinfoHead+count*zinfoRecord {
		return "", fmt.Errorf("%d bytes with %d checkpoints", len(toc.Checkpoints), count)
	}
	number := count / 2
	window := toc.Checkpoints[zinfoHead+number*zinfoRecord+zinfoFields:][:zinfoWindow]
	clear(window)
	body, _, err := ztoc.Marshal(toc)
	if err != nil {
		return "", err
	}
	changed, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	_, err = Replace(dir, z.Digest, changed)
	return fmt.Sprintf("window of checkpoint %d of %d", number, count), err
}

// SwapZtocs exchanges the layers that the first two zTOCs are said to be of.
func SwapZtocs(dir string) error {
	return editIndex(dir, func(text []byte, layers []ocispec.Descriptor) ([]byte, error) {
		if len(layers) < 2 {
			return nil, errors.New("no two zTOCs")
		}
		a := []byte(layers[0].Annotations[soci.IndexAnnotationImageLayerDigest])
		b := []byte(layers[1].Annotations[soci.IndexAnnotationImageLayerDigest])
		text = bytes.ReplaceAll(text, a, []byte("@"))
		text = bytes.ReplaceAll(text, b, a)
		return bytes.ReplaceAll(text, []byte("@"), b), nil
	})
}

// Indent writes the SOCI index as people like to read it.
func Indent(dir string) error {
	return editIndex(dir, func(text []byte, _ []ocispec.Descriptor) ([]byte, error) {
		var out bytes.Buffer
		err := json.Indent(&out, text, "", "  ")
		return out.Bytes(), err
	})
}

// AddPrefetch adds a list of spans to fetch ahead to a layer, as `soci create --prefetch-file`
// does: by the reference's own encoders. soci-layout writes none.
func AddPrefetch(dir string, layer digest.Digest, spans ...soci.PrefetchSpan) error {
	list := soci.NewPrefetchArtifact()
	for _, s := range spans {
		list.AddPrefetchSpan(s)
	}
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
func Spans(dir string, layer digest.Digest, file string) (count int, of soci.PrefetchSpan, err error) {
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
	of.StartSpan = zinfo.UncompressedOffsetToSpanID(entry.UncompressedOffset)
	of.EndSpan = zinfo.UncompressedOffsetToSpanID(entry.UncompressedOffset + entry.UncompressedSize)
	return int(toc.MaxSpanID) + 1, of, nil
}

// editIndex changes the only SOCI index of a layout.
func editIndex(dir string, change func([]byte, []ocispec.Descriptor) ([]byte, error)) error {
	layout, err := ocilayout.Read(dir)
	if err != nil {
		return err
	}
	if len(layout.Soci) != 1 {
		return fmt.Errorf("%d SOCI indexes", len(layout.Soci))
	}
	index := layout.Soci[0]
	text, err := layout.Blob(index.Desc.Digest)
	if err != nil {
		return err
	}
	if text, err = change(text, index.Layers); err != nil {
		return err
	}
	_, err = Replace(dir, index.Desc.Digest, text)
	return err
}

func ztocOf(dir string, layer digest.Digest) (ocispec.Descriptor, error) {
	layout, err := ocilayout.Read(dir)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, s := range layout.Soci {
		for _, z := range s.Layers {
			if z.Annotations[soci.IndexAnnotationImageLayerDigest] == layer.String() {
				return z, nil
			}
		}
	}
	return ocispec.Descriptor{}, fmt.Errorf("no zTOC of %s", layer)
}
