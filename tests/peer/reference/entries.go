package reference

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
)

// Entry is what Go's archive/tar, the arbiter of a layer's content, says of one member.
type Entry struct {
	Header *tar.Header
	// Offset of the data in the tar stream, counted from outside the tar reader.
	Offset int64
	Sum    [sha256.Size]byte
}

// HasData says whether bytes follow the header. Only regular files have any; the
// size field of the other types means nothing.
func (e Entry) HasData() bool { return e.Header.Typeflag == tar.TypeReg }

// Size is the length of the data.
func (e Entry) Size() int64 {
	if e.HasData() {
		return e.Header.Size
	}
	return 0
}

// Xattrs are the extended attributes, without the prefix of their PAX records.
func (e Entry) Xattrs() map[string]string { return ztoc.Xattrs(e.Header.PAXRecords) }

// Path is the name as a path below the root.
func (e Entry) Path() string { return rooted(e.Header.Name) }

func rooted(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// ListEntries reads a layer from front to back, without any zTOC.
func ListEntries(layer, mediaType string) ([]Entry, error) {
	name, err := compressionOf(mediaType)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(layer)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var stream io.Reader = file
	if name == compression.Gzip {
		if stream, err = gzip.NewReader(file); err != nil {
			return nil, err
		}
	}
	counted := &counter{from: stream}
	archive := tar.NewReader(counted)
	var entries []Entry
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(entries), err)
		}
		entry := Entry{Header: header, Offset: counted.read}
		hash := sha256.New()
		if _, err := io.Copy(hash, archive); err != nil {
			return nil, fmt.Errorf("entry %d (%q): %w", len(entries), header.Name, err)
		}
		hash.Sum(entry.Sum[:0])
		entries = append(entries, entry)
	}
}

type counter struct {
	from io.Reader
	read int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read += int64(n)
	return n, err
}

// tree applies the entries in order: the last one wins a name, and a hard link is
// another name of the node that has its target's name at that moment.
func tree(entries []Entry) map[string]Entry {
	nodes := make(map[string]Entry)
	for _, e := range entries {
		name := e.Path()
		if e.Header.Typeflag == tar.TypeLink {
			target, found := nodes[rooted(e.Header.Linkname)]
			if !found {
				continue // the metadata reader refuses such a layer
			}
			e = target
		}
		nodes[name] = e
	}
	return nodes
}

// sameRecords compares PAX records.
func sameRecords(a, b map[string]string) bool {
	return len(a) == len(b) && (len(a) == 0 || maps.Equal(a, b))
}
