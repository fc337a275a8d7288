package reference

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
)

// The reference's unpacker has a fault: when a span starts inside a byte (bits ≠ 0)
// it counts that byte twice, and so feeds inflate one byte from behind its buffer.
// If the span ends at a block border, inflate takes that byte for the next block's
// header, and where it happens to say "block type 3" the read fails with a data
// error although every byte of the span has been unpacked. What stands behind the
// buffer is chance; the zTOC is right, and nothing in it could prevent this.
//
// So exactly that is forgiven: this error, from a range that touches such a span,
// a bounded number of times. The content is compared afterwards as always; a read
// that succeeds with wrong bytes is never repeated.
const (
	strayError = "error extracting data; return code: -3"
	// A random byte fails in one case of four: 4^-60 is never.
	strayAttempts = 60
)

// spanTable holds, per span, where it starts in the output and whether its first
// byte is shared with the span before.
type spanTable []spanStart

type spanStart struct {
	out    int64
	shared bool
}

// readSpanTable reads the checkpoints of a gzip layer; the packed form is in the
// format notes. A plain tar has no spans of this kind.
func readSpanTable(z *ztoc.Ztoc) spanTable {
	const head, record = 12, 32785
	if z.CompressionAlgorithm != compression.Gzip {
		return nil
	}
	var t spanTable
	for at := head; at+record <= len(z.Checkpoints); at += record {
		r := z.Checkpoints[at:]
		t = append(t, spanStart{int64(binary.LittleEndian.Uint64(r[8:])), r[16] != 0})
	}
	return t
}

// touchesShared says whether any span of the output range starts inside a byte. The
// reference also unpacks the span of the byte after the range.
func (t spanTable) touchesShared(start, end int64) bool {
	for i, s := range t {
		if s.out > end {
			break
		}
		if s.shared && (i+1 == len(t) || t[i+1].out > start) {
			return true
		}
	}
	return false
}

// headerRoom is how far before the data of a file its tar headers may begin: the
// first read of a file unpacks those as well. Meta entries are 1 MiB at most.
const headerRoom = 3 << 20

// retry calls read, which unpacks the output range, until it does not fail by the
// stray byte any more.
func (t spanTable) retry(start, size int64, retries *int, read func() error) error {
	var ballast [][]byte
	for attempt := 1; ; attempt++ {
		err := read()
		forgiven := err != nil && attempt < strayAttempts &&
			strings.Contains(err.Error(), strayError) && t.touchesShared(start-headerRoom, start+size)
		if !forgiven {
			return err
		}
		*retries++
		ballast = append(ballast, shuffleMemory()...)
	}
}

// shuffleMemory puts random bytes where the next buffers may come to lie: without it
// the same small buffer has the same neighbour in every attempt. Of what is written, one
// half stays and the other becomes free memory.
func shuffleMemory() (kept [][]byte) {
	for i := range 2000 {
		b := make([]byte, 1+rand.IntN(1<<(1+rand.IntN(14))))
		for j := range b {
			b[j] = byte(rand.Uint32())
		}
		if i%2 == 0 {
			kept = append(kept, b)
		}
	}
	runtime.GC()
	return kept
}
