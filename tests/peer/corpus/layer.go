package corpus

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layer is one blob on disk.
type Layer struct {
	// Name says how it was made: content/tar writer/compression writer.
	Name      string
	File      string
	MediaType string
	Digest    digest.Digest
	Size      int64
	// DiffID is the digest of the whole decompressed stream.
	DiffID digest.Digest
}

// Media types as short names.
const (
	TypeGzip  = ocispec.MediaTypeImageLayerGzip
	TypePlain = ocispec.MediaTypeImageLayer
	TypeZstd  = ocispec.MediaTypeImageLayerZstd
)

// NewLayer describes a file that has been written.
func NewLayer(name, file, mediaType string, diffID digest.Digest) (Layer, error) {
	d, size, err := digestFile(file)
	return Layer{Name: name, File: file, MediaType: mediaType, Digest: d, Size: size, DiffID: diffID}, err
}

// Save writes a blob into dir under its digest and describes it. A blob that is there
// already may be in use, so it stays.
func Save(dir, name string, blob []byte, mediaType string, diffID digest.Digest) (Layer, error) {
	d := digest.FromBytes(blob)
	file := filepath.Join(dir, d.Encoded())
	l := Layer{Name: name, File: file, MediaType: mediaType, Digest: d, Size: int64(len(blob)), DiffID: diffID}
	if _, err := os.Stat(file); err == nil {
		return l, nil
	}
	temporary, err := os.CreateTemp(dir, "save-")
	if err != nil {
		return l, err
	}
	_, err = temporary.Write(blob)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err != nil {
		return l, err
	}
	return l, os.Rename(temporary.Name(), file)
}

func digestFile(file string) (digest.Digest, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	return digest.Digest(fmt.Sprintf("sha256:%x", hash.Sum(nil))), size, err
}
