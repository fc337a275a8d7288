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

// ZeroWindow zeroes the window of a checkpoint of a layer's zTOC. Nothing else changes, so
// every digest that a runtime checks is right. It says which window it was.
func ZeroWindow(dir string, layer digest.Digest, number int) (string, error) {
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
	if number >= count || len(toc.Checkpoints) != zinfoHead+count*zinfoRecord {
		return "", fmt.Errorf("%d bytes with %d checkpoints", len(toc.Checkpoints), count)
	}
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
