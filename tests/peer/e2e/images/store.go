package images

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
)

// recipe is part of the cache's name: to be raised when the same content gives other bytes.
const recipe = 1

// Store makes layers and keeps those of packages.
type Store struct {
	packages, kept, fresh string
}

// NewStore takes packages from cache/debs, keeps layers in cache, and puts what it does
// not keep into fresh.
func NewStore(cache, fresh string) (*Store, error) {
	s := &Store{packages: filepath.Join(cache, "debs"), fresh: filepath.Join(fresh, "layers")}
	files, err := filepath.Glob(filepath.Join(s.packages, "*.deb"))
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	slices.Sort(files)
	key := sha256.Sum256([]byte(strings.Join(files, "\n")))
	s.kept = filepath.Join(cache, fmt.Sprintf("layers-%d-%x", recipe, key[:6]))
	return s, errors.Join(os.MkdirAll(s.kept, 0o755), os.Mkdir(s.fresh, 0o755))
}

// Packages is a layer of packages; base adds the links of a root file system. Method is
// the name of a writer of the corpus.
func (s *Store) Packages(name string, base bool, names []string, method string) (corpus.Layer, error) {
	return s.Kept(name, method, packages(s.packages, base, names))
}

// Kept is a layer that is made once.
func (s *Store) Kept(name, method string, content func(*tar.Writer) error) (corpus.Layer, error) {
	file := filepath.Join(s.kept, name+"."+method)
	var known corpus.Layer
	if text, err := os.ReadFile(file + ".json"); err == nil && json.Unmarshal(text, &known) == nil {
		known.File = file
		return known, nil
	}
	// In a place of its own until it is whole: runs may be killed, or share the cache.
	dir, err := os.MkdirTemp(s.kept, "making-")
	if err != nil {
		return known, err
	}
	defer os.RemoveAll(dir)
	making := filepath.Join(dir, "layer")
	layer, err := build(making, name, method, written(content))
	if err != nil {
		return layer, err
	}
	text, err := json.Marshal(layer)
	if err != nil {
		return layer, err
	}
	layer.File = file
	return layer, errors.Join(os.Rename(making, file), os.WriteFile(making, text, 0o644), os.Rename(making, file+".json"))
}

// Layer is a layer that is made anew.
func (s *Store) Layer(name, method string, content func(*tar.Writer) error) (corpus.Layer, error) {
	return s.Archive(name, method, written(content))
}

// Archive is a layer of a tar that is written to a file.
func (s *Store) Archive(name, method string, write func(file string) error) (corpus.Layer, error) {
	return build(filepath.Join(s.fresh, name+"."+method), name, method, write)
}

func build(file, name, method string, write func(file string) error) (corpus.Layer, error) {
	i := slices.IndexFunc(corpus.GzipWriters(), func(w corpus.GzipWriter) bool { return w.Name == method })
	if i < 0 {
		return corpus.Layer{}, fmt.Errorf("no writer %q", method)
	}
	writer := corpus.GzipWriters()[i]
	archive := file + ".tar"
	defer os.Remove(archive)
	if err := write(archive); err != nil {
		return corpus.Layer{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return corpus.Layer{}, err
	}
	if err := writer.Write(archive, file); err != nil {
		return corpus.Layer{}, fmt.Errorf("%s by %s: %w", name, method, err)
	}
	mediaType := corpus.TypeGzip
	if writer.Plain {
		mediaType = corpus.TypePlain
	}
	diffID, err := diffID(file, mediaType)
	if err != nil {
		return corpus.Layer{}, err
	}
	return corpus.NewLayer(name+"."+method, file, mediaType, diffID)
}

// written makes the file of a tar that Go writes.
func written(content func(*tar.Writer) error) func(file string) error {
	return func(file string) error {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		defer f.Close()
		out := tar.NewWriter(f)
		return errors.Join(content(out), out.Close())
	}
}

// diffID is the digest of what comes out again.
func diffID(file, mediaType string) (digest.Digest, error) {
	in, err := Uncompressed(file, mediaType)
	if err != nil {
		return "", err
	}
	defer in.Close()
	return digest.FromReader(in)
}

// Uncompressed reads the tar of a layer.
func Uncompressed(file, mediaType string) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil || mediaType == ocispec.MediaTypeImageLayer || strings.HasSuffix(mediaType, ".tar") {
		return f, err
	}
	var z io.Reader
	if strings.HasSuffix(mediaType, "+zstd") {
		z, err = zstd.NewReader(f)
	} else {
		z, err = gzip.NewReader(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
