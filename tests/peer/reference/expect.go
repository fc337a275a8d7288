package reference

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/awslabs/soci-snapshotter/metadata"
	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Expectation is what a layer has to become, derived from the reference.
type Expectation struct {
	// Err: the reference makes no zTOC. Nor may anyone else.
	Err error
	// Own is the reference's zTOC.
	Own []byte
	// Unreadable is the reason why nobody could load a zTOC of this layer rightly,
	// although the reference makes one. The layer has to be skipped.
	Unreadable string
	// Wanted is what must be written. It is Own but for the differences that are
	// meant, named in Meant.
	Wanted []byte
	Meant  []string
}

// Differences from the reference that are meant: it refuses its own zTOCs without them.
const (
	MeantSize    = "size of an entry without data"
	MeantLeading = "empty beginning of the stream"
)

// Unsupported says whether the reference refused an entry's type, rather than damage.
func (e Expectation) Unsupported() bool {
	return e.Err != nil && strings.Contains(e.Err.Error(), "unsupported input tar entry")
}

// Expect builds the reference's zTOC and makes of it what is wanted.
func Expect(layer, mediaType string, spanSize int64, tool string) Expectation {
	var e Expectation
	toc, err := build(layer, mediaType, spanSize, tool)
	if err != nil {
		e.Err = err
		return e
	}
	if e.Own, e.Err = marshal(toc); e.Err != nil {
		return e
	}
	if e.Unreadable = unreadable(toc); e.Unreadable != "" {
		return e
	}
	if clearSizes(toc) {
		e.Meant = append(e.Meant, MeantSize)
	}
	if toc.CompressionAlgorithm == compression.Gzip {
		dropped, err := dropLeading(toc, layer)
		if err != nil {
			e.Err = err
			return e
		}
		if dropped {
			e.Meant = append(e.Meant, MeantLeading)
		}
	}
	e.Wanted, e.Err = marshal(toc)
	return e
}

// unreadable applies the rules by which a layer has to be skipped. Whether each hard
// link has its target before it is asked of the reference's own metadata reader. Its
// error text is of no use: it tries a failed transaction again, and then often fails
// on what the first try has left in memory.
func unreadable(toc *ztoc.Ztoc) string {
	if toc.CompressedArchiveSize == 0 {
		return "0 bytes: a zTOC without a span"
	}
	for _, f := range toc.FileMetadata {
		switch {
		case f.UID < 0 || f.UID > math.MaxUint32 || f.GID < 0 || f.GID > math.MaxUint32:
			return fmt.Sprintf("%q: owner %d:%d", f.Name, f.UID, f.GID)
		case f.ModTime.Year() < 0 || f.ModTime.Year() > 9999:
			return fmt.Sprintf("%q: time %v", f.Name, f.ModTime)
		case sparse(f.PAXHeaders):
			return fmt.Sprintf("%q: sparse", f.Name)
		case losesAttributes(f.PAXHeaders):
			return fmt.Sprintf("%q: attributes that the metadata store does not keep", f.Name)
		}
	}
	if err := loadMetadata(toc.TOC); err != nil {
		return err.Error()
	}
	return ""
}

// losesAttributes says whether the reference's metadata store refuses or drops an
// extended attribute, which depends on the order of a Go map (metadata/db.go): one
// without a name, or one without a value beside others.
func losesAttributes(records map[string]string) bool {
	attributes := ztoc.Xattrs(records)
	for name, value := range attributes {
		if name == "" || value == "" && len(attributes) > 1 {
			return true
		}
	}
	return false
}

// sparse says whether archive/tar reads an entry with these records as a sparse file:
// a version that it knows, or a map without any version.
func sparse(records map[string]string) bool {
	major, minor := records["GNU.sparse.major"], records["GNU.sparse.minor"]
	switch major + "." + minor {
	case "0.0", "0.1", "1.0":
		return true
	case ".":
		return records["GNU.sparse.map"] != ""
	}
	return false
}

func loadMetadata(toc ztoc.TOC) error {
	work, err := os.MkdirTemp("", "soci-metadata-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	db, err := openMetadata(work)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = metadata.NewReader(db, nil, toc)
	return err
}

// openMetadata makes a database of which nothing has to survive: it need not reach
// the disk, and there is nobody whose writes would be worth waiting for.
func openMetadata(dir string) (*bolt.DB, error) {
	db, err := bolt.Open(filepath.Join(dir, "metadata.db"), 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	if err == nil {
		db.MaxBatchSize = 1
	}
	return db, err
}

// clearSizes sets the size of entries without data to 0.
func clearSizes(toc *ztoc.Ztoc) (changed bool) {
	for i := range toc.FileMetadata {
		f := &toc.FileMetadata[i]
		if f.Type != "reg" && f.UncompressedSize != 0 {
			f.UncompressedSize, changed = 0, true
		}
	}
	return changed
}

// dropLeading keeps, of several checkpoints where the output is still at 0, only the
// first, and hashes the spans anew.
func dropLeading(toc *ztoc.Ztoc, layer string) (changed bool, err error) {
	const head, record = 12, 32785
	old := toc.Checkpoints
	kept := append([]byte(nil), old[:head]...)
	var starts []int64
	for at := head; at+record <= len(old); at += record {
		r := old[at : at+record]
		if binary.LittleEndian.Uint64(r[8:]) == 0 && len(starts) > 0 {
			continue
		}
		start := int64(binary.LittleEndian.Uint64(r))
		if r[16] != 0 {
			start--
		}
		starts = append(starts, start)
		kept = append(kept, r...)
	}
	if len(kept) == len(old) {
		return false, nil
	}
	binary.LittleEndian.PutUint32(kept, uint32(len(starts)))
	blob, err := os.ReadFile(layer)
	if err != nil {
		return false, err
	}
	toc.Checkpoints, toc.MaxSpanID, toc.SpanDigests = kept, compression.SpanID(len(starts)-1), nil
	for k, start := range starts {
		end := int64(len(blob))
		if k+1 < len(starts) {
			// Neighbours share the byte in which the border lies.
			end = int64(binary.LittleEndian.Uint64(kept[head+(k+1)*record:]))
		}
		sum := sha256.Sum256(blob[start:end])
		toc.SpanDigests = append(toc.SpanDigests, digest.NewDigestFromBytes(digest.SHA256, sum[:]))
	}
	return true, nil
}
