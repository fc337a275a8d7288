package reference

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/awslabs/soci-snapshotter/cache"
	"github.com/awslabs/soci-snapshotter/fs/reader"
	spanmanager "github.com/awslabs/soci-snapshotter/fs/span-manager"
	"github.com/awslabs/soci-snapshotter/metadata"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Reading says what a full read of a layer through a zTOC came to.
type Reading struct {
	Entries, Files int
	Bytes          int64
	// Retries counts the reads that were repeated because of the stray byte, see stray.go.
	Retries int
	Mismatches
}

// ReadAll loads a zTOC with the reference's own readers, the way a mount does, and
// compares everything that they give with what archive/tar says of the layer: the
// list of entries, the file system made of it, and the content of every file. The
// error is for a zTOC that the reference refuses to load at all.
func ReadAll(layer, mediaType string, toc []byte) (*Reading, error) {
	entries, err := ListEntries(layer, mediaType)
	if err != nil {
		return nil, fmt.Errorf("archive/tar: %w", err)
	}
	work, err := os.MkdirTemp("", "soci-read-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	m, err := mount(layer, toc, work)
	if err != nil {
		return nil, err
	}
	defer m.close()

	r := &Reading{Entries: len(entries)}
	compareList(&r.Mismatches, m.list, entries)
	m.compareTree(r, entries)
	return r, nil
}

// mounted is what the snapshotter holds of a layer that is mounted with a zTOC.
type mounted struct {
	reader.Reader
	list    []ztoc.FileMetadata
	spans   spanTable
	manager *spanmanager.SpanManager
	layer   *os.File
	// reads counts the reads of the layer.
	reads atomic.Int64
	db    *bolt.DB
}

func mount(layer string, toc []byte, work string) (_ *mounted, err error) {
	m := &mounted{}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	parsed, err := ztoc.Unmarshal(bytes.NewReader(toc))
	if err != nil {
		return nil, fmt.Errorf("zTOC: %w", err)
	}
	m.list = parsed.FileMetadata
	m.spans = readSpanTable(parsed)

	if m.layer, err = os.Open(layer); err != nil {
		return nil, err
	}
	info, err := m.layer.Stat()
	if err != nil {
		return nil, err
	}
	section := io.NewSectionReader(counted{m.layer, &m.reads}, 0, info.Size())

	if m.db, err = openMetadata(work); err != nil {
		return nil, err
	}
	files, err := metadata.NewReader(m.db, section, parsed.TOC)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	spanCache, err := cache.NewDirectoryCache(filepath.Join(work, "spans"), cache.DirectoryCacheConfig{SyncAdd: true})
	if err != nil {
		return nil, err
	}
	name := digest.FromString(layer) // only a label of the reference's metrics
	manager, err := spanmanager.New(parsed, section, spanCache, 0, name, cache.Direct())
	if err != nil {
		return nil, fmt.Errorf("span manager: %w", err)
	}
	m.manager = manager
	m.Reader, err = reader.NewReader(files, name, manager, false)
	return m, err
}

func (m *mounted) close() {
	if m.Reader != nil {
		m.Reader.Close()
	}
	if m.db != nil {
		m.db.Close()
	}
	if m.layer != nil {
		m.layer.Close()
	}
}

// read hashes a whole file in pieces of the size that a FUSE read has at most. The
// first piece makes the reader verify the entry against the tar header.
func (m *mounted) read(id uint32, start, size int64, retries *int) (sum [sha256.Size]byte, err error) {
	const piece = 128 << 10
	file, err := m.OpenFile(id)
	if err != nil {
		return sum, err
	}
	hash := sha256.New()
	buffer := make([]byte, piece)
	for offset := int64(0); offset == 0 || offset < size; {
		var n int
		err := m.spans.retry(start+offset, min(piece, size-offset), retries, func() (err error) {
			n, err = file.ReadAt(buffer, offset)
			return err
		})
		if size == 0 && err == io.EOF {
			break // an empty file: verified (else the error is another one), and nothing to read
		}
		if err != nil {
			return sum, fmt.Errorf("at %d: %w", offset, err)
		}
		if n == 0 {
			return sum, fmt.Errorf("at %d: %w", offset, io.ErrNoProgress)
		}
		hash.Write(buffer[:n])
		offset += int64(n)
	}
	hash.Sum(sum[:0])
	return sum, nil
}
