package push

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What goes wrong while a layer comes as a stream from a registry that wants credentials: `index REPO:TAG`, `verify REPO:TAG`
// and `check --deep` end well and with the right digests, or with one clear error; then nothing was written.

// ask is a request of a fault's kind, the `number`-th from 1 for this blob or manifest.
type ask struct {
	w       http.ResponseWriter
	r       *http.Request
	content []byte
	number  int
	// Another host, which has the same content and knows no credentials.
	storage string
}

// part answers with the bytes from `from` on, of which it says that they begin at `said`; at most so many.
func (a *ask) part(from, said, most int) {
	end := min(len(a.content), from+most)
	a.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", said, said+end-from-1, len(a.content)))
	a.w.Header().Set("Content-Length", strconv.Itoa(end-from))
	a.w.WriteHeader(http.StatusPartialContent)
	_, _ = a.w.Write(a.content[from:end])
}

// cut sends so many bytes of those that it announces, and ends the connection.
func (a *ask) cut(t testing.TB, n int) {
	from := begin(t, a.r)
	a.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(a.content)-1, len(a.content)))
	a.w.Header().Set("Content-Length", strconv.Itoa(len(a.content)-from))
	a.w.WriteHeader(http.StatusPartialContent)
	_, _ = a.w.Write(a.content[from:min(len(a.content), from+n)])
	_ = http.NewResponseController(a.w).Flush()
	panic(http.ErrAbortHandler)
}

func (a *ask) status(code int, retryAfter string) {
	a.w.Header().Set("Retry-After", retryAfter)
	http.Error(a.w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`, code)
}

func endlessBytes(w http.ResponseWriter) {
	piece := make([]byte, 1<<16)
	for {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// streamFaults: what is answered in place of what is right; false where the right answer follows. No text: it ends well.
func streamFaults(t testing.TB) []streamFault {
	layers, heads, manifests := "GET layers", "HEAD layers", "GET manifests"
	times := func(n int, do func(*ask)) func(*ask) bool {
		return func(a *ask) bool {
			if a.number <= n {
				do(a)
			}
			return a.number <= n
		}
	}
	always := func(do func(*ask)) func(*ask) bool { return times(1<<30, do) }
	return []streamFault{
		{"429 with Retry-After", layers, times(2, func(a *ask) { a.status(429, "1") }), "", ""},
		{"429 with Retry-After, asking", heads, times(2, func(a *ask) { a.status(429, "1") }), "", ""},
		{"429 with Retry-After, manifests", manifests, times(2, func(a *ask) { a.status(429, "1") }), "", ""},
		{"429, an hour", layers, always(func(a *ask) { a.status(429, "3600") }), "too long", ""},
		{"500", layers, times(2, func(a *ask) { a.status(500, "0") }), "", ""},
		{"503", layers, times(2, func(a *ask) { a.status(503, "1") }), "", ""},
		{"503 always", layers, always(func(a *ask) { a.status(503, "0") }), "503 (Service Unavailable): slow down", ""},
		{"403", layers, always(func(a *ask) { a.w.WriteHeader(403) }), "403", ""},
		{"404", layers, always(func(a *ask) { a.w.WriteHeader(404) }), "404", ""},
		{"cut after k bytes", layers, always(func(a *ask) { a.cut(t, 40000) }), "", ""},
		{"cut at once, thrice", layers, times(3, func(a *ask) { a.cut(t, 0) }), "", ""},
		{"cut at once, always", layers, always(func(a *ask) { a.cut(t, 0) }), "again and again", ""},
		{"manifests are cut", manifests, times(2, func(a *ask) {
			a.w.Header().Set("Content-Length", strconv.Itoa(len(a.content)))
			_, _ = a.w.Write(a.content[:len(a.content)/2])
			panic(http.ErrAbortHandler)
		}), "", ""},
		{"slow", layers, always(func(a *ask) {
			from := begin(t, a.r)
			a.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(a.content)-1, len(a.content)))
			a.w.WriteHeader(http.StatusPartialContent)
			for rest := a.content[from:]; len(rest) > 0; time.Sleep(100 * time.Millisecond) {
				n := min(len(rest), 1+len(a.content)/10)
				_, _ = a.w.Write(rest[:n])
				_ = http.NewResponseController(a.w).Flush()
				rest = rest[n:]
			}
		}), "", ""},
		{"wrong digest", layers, always(func(a *ask) { _, _ = a.w.Write(bytes.Repeat([]byte{'x'}, len(a.content))) }), "corrupt", "the layer's blob"},
		{"one wrong byte", layers, always(func(a *ask) {
			wrong := bytes.Clone(a.content)
			wrong[len(wrong)/2]++
			_, _ = a.w.Write(wrong)
		}), "corrupt", "the layer's blob"},
		{"wrong size, asking", heads, always(func(a *ask) { a.w.Header().Set("Content-Length", "77") }), "found 77", "77"},
		{"no size, asking", heads, always(func(a *ask) { a.w.WriteHeader(200) }), "does not say the blob's size", ""},
		{"too short", layers, always(func(a *ask) { _, _ = a.w.Write(a.content[:1000]) }), "again and again", ""},
		{"too long", layers, always(func(a *ask) { _, _ = a.w.Write(append(bytes.Clone(a.content), "more"...)) }), "", ""},
		{"endless", layers, always(func(a *ask) { endlessBytes(a.w) }), "corrupt", "the layer's blob"},
		{"truncated range", layers, always(func(a *ask) { at := begin(t, a.r); a.part(at, at, 50000) }), "", ""},
		{"range ignored", layers, func(a *ask) bool {
			if a.number == 1 {
				a.cut(t, 40000)
			}
			_, _ = a.w.Write(a.content)
			return true
		}, "", ""},
		{"Content-Range begins elsewhere", layers, always(func(a *ask) { at := begin(t, a.r); a.part(at, at+7, 1<<30) }), "expected the bytes from", ""},
		{"no Content-Range", layers, always(func(a *ask) {
			a.w.WriteHeader(http.StatusPartialContent)
			_, _ = a.w.Write(a.content)
		}), "expected the bytes from", ""},
		{"Content-Range lies", layers, func(a *ask) bool {
			if a.number == 1 {
				a.cut(t, 40000)
			}
			at := begin(t, a.r)
			a.part(at-1, at, len(a.content)-at) // one byte too early
			return true
		}, "corrupt", "the layer's blob"},
		{"redirect", layers, always(func(a *ask) {
			http.Redirect(a.w, a.r, "http://"+a.storage+a.r.URL.Path+"?signature=tok3n", http.StatusTemporaryRedirect)
		}), "", ""},
		{"redirect to a host that wants credentials", layers, always(func(a *ask) {
			http.Redirect(a.w, a.r, "http://"+a.storage+"/denied?signature=tok3n", http.StatusTemporaryRedirect)
		}), "403", ""},
		{"endless manifest", manifests, always(func(a *ask) { endlessBytes(a.w) }), "more than", ""},
		{"huge manifest", manifests, always(func(a *ask) {
			a.w.Header().Set("Content-Length", "99999999999")
			endlessBytes(a.w)
		}), "more than", ""},
		{"wrong manifest", manifests, always(func(a *ask) { _, _ = io.WriteString(a.w, `{"schemaVersion":2}`) }), "expected the digest", ""},
	}
}

type streamFault struct {
	name, of string
	do       func(*ask) bool
	// What the error says, and what `verify` finds instead of an error.
	text, finding string
}

func TestStreamsThatFail(t *testing.T) {
	before, after := indexed(t, fixture(t, "made-single"), form(t, "v2"))
	contents := map[string][]byte{}
	for _, layer := range before.Groups[0].Images[0].Manifest.Layers {
		blob, err := before.blob(layer)
		if err != nil {
			t.Fatal(err)
		}
		contents[layer.Digest.String()] = blob
	}
	for _, fault := range streamFaults(t) {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			streamFails(t, fault, before, after, contents)
		})
	}
}

func streamFails(t *testing.T, fault streamFault, before, after *Layout, layers map[string][]byte) {
	inner := inMemory()
	var leaked, elsewhere atomic.Int32
	storage := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		if r.Header.Get("Authorization") != "" {
			leaked.Add(1)
		}
		if r.URL.Path == "/denied" {
			w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(layers[filepath.Base(r.URL.Path)]))
	}))
	var mu sync.Mutex
	active, asked := false, map[string]int{}
	host := serve(t, basic(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, kind := layers[filepath.Base(r.URL.Path)], "layers"
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/sha256:") {
			recorded := httptest.NewRecorder()
			inner.ServeHTTP(recorded, r.Clone(r.Context()))
			content, kind = recorded.Body.Bytes(), "manifests"
		}
		mu.Lock()
		hit := active && content != nil && r.Method+" "+kind == fault.of
		if hit {
			asked[r.URL.Path]++
		}
		a := &ask{w, r, content, asked[r.URL.Path], storage}
		mu.Unlock()
		if !hit || !fault.do(a) {
			inner.ServeHTTP(w, r)
		}
	})))
	own := func(args ...string) (string, error) { return ownRun(t, auth(host), "", args...) }
	for _, one := range []struct{ dir, to string }{{before.Dir, "app:plain"}, {after.Dir, "done:v1"}} {
		if out, err := own("push", "-q", one.dir, host+"/"+one.to); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	begin := func() {
		mu.Lock()
		defer mu.Unlock()
		active, asked = true, map[string]int{}
	}
	begin()
	source := host + "/app:plain"
	if fault.of == "GET manifests" {
		source = host + "/app@" + before.Index.Manifests[0].Digest.String()
	}
	out, err := own(append([]string{"index", "-q", source, "--to", host + "/app:new"}, sized(form(t, "v2"))...)...)
	root := after.Groups[0].Root
	if len(asked) == 0 {
		t.Error("the fault was not met")
	}
	if fault.text == "" && fault.finding == "" {
		if err != nil || strings.TrimSpace(out) != root.Digest.String() {
			t.Errorf("index: %v: %s, want %s", err, out, root.Digest)
		}
	} else {
		wantFailure(t, out, err, fault.text)
		t.Logf("index: %s", out)
		mu.Lock()
		active = false
		mu.Unlock()
		resp, err := http.DefaultClient.Do(authorised(t, "http://"+host+"/v2/app/manifests/new"))
		if err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("the tag is there: %v, %v", resp, err)
		}
		resp, err = http.DefaultClient.Do(authorised(t, "http://"+host+"/v2/app/manifests/"+root.Digest.String()))
		if err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("the new index is there: %v, %v", resp, err)
		}
	}
	for _, args := range [][]string{{"verify", "-q"}, {"check", "-q", "--deep", "--min-layer-size", "0"}} {
		begin()
		out, err := own(append(args, host+"/done:v1")...)
		switch {
		case fault.finding != "":
			if exitCode(err) != 1 || !strings.Contains(out, fault.finding) || strings.Contains(out, "error: ") {
				t.Errorf("%q: %v: %s", args, err, out)
			}
		case fault.text != "":
			wantFailure(t, out, err, fault.text)
		case err != nil:
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
	if leaked.Load() > 0 || (elsewhere.Load() > 0) != strings.Contains(fault.name, "redirect") {
		t.Errorf("%d requests elsewhere, %d with credentials", elsewhere.Load(), leaked.Load())
	}
}

func authorised(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, secret)
	return req
}
