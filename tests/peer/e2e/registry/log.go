package registry

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
)

// Request is one line of the access log.
type Request struct {
	// Time is when it came, Took how long it was until its answer was sent.
	Time         time.Time
	Took         time.Duration
	Method, Path string
	// Range is the header of that name, "" where the whole is asked for.
	Range  string
	Status int
	// Bytes of the body that were sent.
	Bytes int64
}

func (r Request) String() string {
	return fmt.Sprintf("%s %s range %q: %d, %d bytes", r.Method, r.Path, r.Range, r.Status, r.Bytes)
}

// Log is the access log, written by the proxy, read by the checks.
type Log struct {
	lock     sync.Mutex
	requests []Request
	// running are requests that are not in the log yet. A client has the last byte of an
	// answer a moment before its request is written down.
	running int
	// begun and sent count what was asked for and what was answered, also of requests that are running.
	begun, sent atomic.Int64
}

// runningLimit is how long a request may take to end once nobody waits for it.
const runningLimit = 30 * time.Second

func (l *Log) begin() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.running++
	l.begun.Add(1)
}

func (l *Log) end(r Request) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.running--
	l.requests = append(l.requests, r)
}

// SoFar is the number of requests and of bytes sent at this moment, also of requests that are running.
func (l *Log) SoFar() (requests, bytes int64) { return l.begun.Load(), l.sent.Load() }

// Mark is a place in the log: what comes later is After it.
func (l *Log) Mark() int {
	return len(l.After(0))
}

// After gives the requests since a mark, when none is running any more.
func (l *Log) After(mark int) []Request {
	for end := time.Now().Add(runningLimit); ; time.Sleep(time.Millisecond) {
		l.lock.Lock()
		if l.running == 0 || time.Now().After(end) {
			defer l.lock.Unlock()
			return append([]Request(nil), l.requests[mark:]...)
		}
		l.lock.Unlock()
	}
}

// Traffic is what was asked of one blob.
type Traffic struct {
	// Ranges are answers with a part, Wholes GETs of everything.
	Ranges, Wholes int
	Bytes          int64
}

// Blob sums up the GETs of a blob.
func Blob(requests []Request, d digest.Digest) Traffic {
	var t Traffic
	for _, r := range requests {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.Path, "/blobs/"+d.String()) {
			continue
		}
		t.Bytes += r.Bytes
		if r.Status == http.StatusPartialContent {
			t.Ranges++
		} else {
			t.Wholes++
		}
	}
	return t
}

// Ranges lists the ranges of a blob that were asked for, first and last byte.
func Ranges(requests []Request, d digest.Digest) [][2]int64 {
	var found [][2]int64
	for _, r := range requests {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.Path, "/blobs/"+d.String()) {
			continue
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(r.Range, "bytes="), ",") {
			var first, last int64
			if _, err := fmt.Sscanf(part, "%d-%d", &first, &last); err == nil {
				found = append(found, [2]int64{first, last})
			}
		}
	}
	return found
}

// Bytes is all that was sent.
func Bytes(requests []Request) int64 {
	var sum int64
	for _, r := range requests {
		sum += r.Bytes
	}
	return sum
}
