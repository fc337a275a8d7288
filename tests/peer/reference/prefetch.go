package reference

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync/atomic"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
)

// counted counts the reads of a layer's blob, for which requests to a registry stand.
type counted struct {
	*os.File
	reads *atomic.Int64
}

func (c counted) ReadAt(p []byte, offset int64) (int, error) {
	c.reads.Add(1)
	return c.File.ReadAt(p, offset)
}

// FetchedLater mounts a layer, fetches ahead what an artifact says, and then reads one file.
// It gives how often the blob had to be read for the file.
func FetchedLater(layer string, toc, artifact []byte, name string) (int64, error) {
	work, err := os.MkdirTemp("", "soci-prefetch-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	m, err := mount(layer, toc, work)
	if err != nil {
		return 0, err
	}
	defer m.close()
	if err := m.fetchAhead(artifact); err != nil {
		return 0, err
	}
	before := m.reads.Load()
	id, size, err := m.find(name)
	if err != nil {
		return 0, err
	}
	var retries int
	var start int64
	for _, f := range m.list {
		if path.Clean(f.Name) == name {
			start = int64(f.UncompressedOffset)
		}
	}
	if _, err := m.read(id, start, size, &retries); err != nil {
		return 0, err
	}
	return m.reads.Load() - before, nil
}

// fetchAhead is prefetch, but for the stray byte (stray.go), which makes the reference fail at times.
func (m *mounted) fetchAhead(text []byte) error {
	artifact, err := soci.UnmarshalPrefetchArtifact(bytes.NewReader(text))
	if err != nil {
		return err
	}
	for _, span := range artifact.PrefetchSpans {
		for id := span.StartSpan; id <= span.EndSpan; id++ {
			if err := m.resolve(id); err != nil {
				return fmt.Errorf("span %d: %w", id, err)
			}
		}
	}
	return nil
}

func (m *mounted) resolve(id compression.SpanID) (err error) {
	for range 100 {
		if err = m.manager.ResolveSpan(id); err == nil {
			return nil
		}
	}
	return err
}

// find gives the file of a cleaned name.
func (m *mounted) find(name string) (id uint32, size int64, err error) {
	files := m.Metadata()
	err = fmt.Errorf("%s is not mounted", name)
	var walk func(at uint32, dir string)
	walk = func(at uint32, dir string) {
		_ = files.ForeachChild(at, func(base string, child uint32, mode fs.FileMode) bool {
			full := path.Join(dir, base)
			switch {
			case child == at:
			case mode.IsDir():
				walk(child, full)
			case full == name:
				attr, failed := files.GetAttr(child)
				id, size, err = child, attr.Size, failed
			}
			return true
		})
	}
	walk(files.RootID(), "")
	return id, size, err
}
