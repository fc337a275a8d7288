package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// The log tells ranges from whole GETs and counts what was sent; the throttle holds it up.
func TestFront(t *testing.T) {
	content := strings.Repeat("x", 300_000)
	d := digest.FromString(content)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}))
	defer backend.Close()
	front, err := Front(strings.TrimPrefix(backend.URL, "http://"), &Throttle{BytesPerSecond: 1e6, Latency: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()

	get := func(ranged string) time.Duration {
		t.Helper()
		start := time.Now()
		q, err := http.NewRequest(http.MethodGet, "http://"+front.Host+"/v2/app/blobs/"+d.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranged != "" {
			q.Header.Set("Range", ranged)
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	if took := get("bytes=10-19"); took < 10*time.Millisecond {
		t.Errorf("10 bytes took %v", took)
	}
	mark := front.Log.Mark()
	if took := get(""); took < 250*time.Millisecond {
		t.Errorf("300 kB took %v", took)
	}
	requests := front.Log.After(0)
	if got, want := Blob(requests, d), (Traffic{Ranges: 1, Wholes: 1, Bytes: 300_010}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := Ranges(requests, d); len(got) != 1 || got[0] != [2]int64{10, 19} {
		t.Errorf("ranges %v", got)
	}
	if got := Bytes(front.Log.After(mark)); got != 300_000 {
		t.Errorf("%d bytes after the mark", got)
	}
}

// TestBusy: requests at the same time count once, and only from the moment on.
func TestBusy(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	requests := []Request{
		{Time: at(10), Took: 2 * time.Second}, {Time: at(0), Took: 3 * time.Second},
		{Time: at(11), Took: 3 * time.Second}, {Time: at(11), Took: time.Second},
	}
	for since, want := range map[int]time.Duration{0: 7, 2: 5, 5: 4, 13: 1, 20: 0} {
		if got := Busy(requests, at(since)); got != want*time.Second {
			t.Errorf("since %d: %v, want %d s", since, got, want)
		}
	}
}

// TestLine: a line makes up for a sender that is a little late, not for one that pauses, and is not ahead after a rest.
func TestLine(t *testing.T) {
	begin, l := time.Unix(1000, 0), new(line)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	l.idle(at(0))
	for _, step := range []struct {
		sent, takes, until int
		idle               bool
	}{
		{sent: 0, takes: 10, until: 10},
		{sent: 11, takes: 10, until: 20}, // late by 1
		{sent: 59, takes: 10, until: 30}, // by 39
		{sent: 30, takes: 10, until: 40}, // by another sender of the same line
		{sent: 200, takes: 10, until: 160},
		{sent: 300, takes: 10, until: 310, idle: true},
	} {
		if step.idle {
			l.idle(at(step.sent))
		}
		got := l.carry(at(step.sent), time.Duration(step.takes)*time.Millisecond)
		if want := at(step.until); !got.Equal(want) {
			t.Errorf("%+v: until %v ms", step, got.Sub(begin).Milliseconds())
		}
	}
}
