// Package exchange replaces blobs of a layout as if it had been built with others: every
// digest and size above them is set right again, up to index.json. So nothing but the
// change itself can tell that there was one.
package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/ocilayout"
)

// reference is a digest in a document; in a descriptor of compact JSON its size follows.
var reference = regexp.MustCompile(`(sha256:[0-9a-f]{64})(","size":)?(\d+)?`)

// Blobs puts new blobs in the place of old ones. The old ones stay as files that nothing
// leads to any more.
//
// Documents name each other by digest, so there is no way around in circles: each is
// written once, after all that it names.
func Blobs(dir string, changed map[digest.Digest][]byte) error {
	e := &exchange{dir: dir, changed: changed, done: make(map[digest.Digest]blob)}
	file := filepath.Join(dir, ocispec.ImageIndexFile)
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := e.rewrite(old)
	if err != nil {
		return err
	}
	for d := range changed {
		if _, found := e.done[d]; !found {
			return fmt.Errorf("index.json does not lead to %s", d)
		}
	}
	return os.WriteFile(file, text, 0o644)
}

type blob struct {
	digest digest.Digest
	size   int64
}

type exchange struct {
	dir     string
	changed map[digest.Digest][]byte
	// done holds what has become of each blob that was come by.
	done map[digest.Digest]blob
}

// rewrite gives a document with all digests that it names exchanged.
func (e *exchange) rewrite(text []byte) ([]byte, error) {
	var failed error
	out := reference.ReplaceAllFunc(text, func(found []byte) []byte {
		parts := reference.FindSubmatch(found)
		old := digest.Digest(parts[1])
		now, err := e.resolve(old)
		if err != nil {
			failed = err
		}
		if now.digest == old {
			return found
		}
		whole := append([]byte(now.digest), parts[2]...)
		if len(parts[3]) > 0 {
			whole = strconv.AppendInt(whole, now.size, 10)
		}
		return whole
	})
	return out, failed
}

// resolve gives what a blob becomes, writing it if that is something new.
func (e *exchange) resolve(d digest.Digest) (blob, error) {
	if known, found := e.done[d]; found {
		return known, nil
	}
	now, err := e.content(d)
	if err != nil {
		return blob{digest: d}, err
	}
	result := blob{digest: d}
	if now != nil {
		result = blob{digest.FromBytes(now), int64(len(now))}
		if err := os.WriteFile(ocilayout.BlobFile(e.dir, result.digest), now, 0o644); err != nil {
			return result, err
		}
	}
	e.done[d] = result
	return result, nil
}

// content is the new content of a blob, nil when it stays as it is.
func (e *exchange) content(d digest.Digest) ([]byte, error) {
	if now, found := e.changed[d]; found {
		return now, nil
	}
	old, err := os.ReadFile(ocilayout.BlobFile(e.dir, d))
	if os.IsNotExist(err) {
		return nil, nil // an annotation may name anything
	}
	if err != nil || !json.Valid(old) {
		return nil, err
	}
	now, err := e.rewrite(old)
	if err != nil || bytes.Equal(now, old) {
		return nil, err
	}
	return now, nil
}
