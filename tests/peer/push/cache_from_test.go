package push

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// `soci-layout index --cache-from`: zTOCs from the SOCI indexes that a registry has.

// indexReport runs index on a copy of a fixture and gives, for each layer, where its zTOC came from,
// the warnings, and the bytes of index.json.
func indexReport(t *testing.T, fx, fm string, extra ...string) (from []string, warnings []string, index string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	fixture(t, fx).write(t, dir)
	out, err := runIndex(t, form(t, fm), dir, append([]string{"--json", "-q"}, extra...)...)
	if err != nil {
		t.Fatalf("index: %v: %s", err, out)
	}
	var report struct {
		Layers []struct {
			Outcome, From string
		}
		Warnings []string
	}
	if start := strings.Index(out, "{\n"); start > 0 {
		out = out[start:] // behind warnings on standard error
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, layer := range report.Layers {
		from = append(from, layer.Outcome+" "+layer.From)
	}
	return from, report.Warnings, indexBytes(t, dir)
}

func all(list []string, want string) bool {
	for _, one := range list {
		if one != want {
			return false
		}
	}
	return len(list) > 0
}

// The second build scans nothing, and writes the same bytes as one that scans everything.
func TestCacheFromReuses(t *testing.T) {
	for _, fm := range []string{"v2", "v1-nested", "v1-tagged"} {
		t.Run(fm, func(t *testing.T) {
			onBoth(t, func(t *testing.T, repo Repo) { wantReused(t, repo, fm) })
		})
	}
}

func wantReused(t *testing.T, repo Repo, fm string) {
	t.Helper()
	scanned, _, want := indexReport(t, "multi-attest", fm)
	pushedBy(t, own, "multi-attest", fm, repo)
	from, warnings, got := indexReport(t, "multi-attest", fm, "--cache-from", repo.Ref("v1"))
	if !all(scanned, "indexed ") || !all(from, "reused registry") || len(warnings) > 0 || got != want {
		t.Errorf("%q, then %q, %q; same bytes: %v", scanned, from, warnings, got == want)
	}
}

// Only what fits the settings is taken, and a registry that has nothing is a warning.
func TestCacheFromScansTheRest(t *testing.T) {
	repo := Repo{startDistribution(t), "app"}
	pushedBy(t, own, "single", "v2", repo)
	_, _, want := indexReport(t, "single", "v2", "--build-tool-identifier", "me")
	from, warnings, got := indexReport(t, "single", "v2", "--build-tool-identifier", "me", "--cache-from", repo.Ref("v1"))
	if !all(from, "indexed ") || len(warnings) > 0 || got != want {
		t.Errorf("other settings: %q, %q", from, warnings)
	}
	_, _, want = indexReport(t, "single", "v2")
	for _, absent := range []string{repo.Ref("absent"), "127.0.0.1:1/app:v1"} {
		from, warnings, got = indexReport(t, "single", "v2", "--cache-from", absent)
		if !all(from, "indexed ") || len(warnings) != 1 || !strings.Contains(warnings[0], absent) || got != want {
			t.Errorf("%s: %q, %q", absent, from, warnings)
		}
	}
}

// A zTOC whose bytes are not its digest's, or that is another layer's, is not taken.
func TestCacheFromChecksWhatItGets(t *testing.T) {
	inner := inMemory()
	good := Repo{&Registry{Host: serve(t, inner), HasReferrers: true}, "app"}
	l, g, _ := pushedBy(t, own, "single", "v2", good)
	_, _, want := indexReport(t, "single", "v2")
	ztocs := map[string]bool{}
	for _, d := range g.Images[0].V2.Manifest.Layers {
		ztocs[d.Digest.String()] = true
	}
	raw, err := l.blob(g.Images[0].V2.Desc)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(string) string{
		"changed": func(body string) string { return strings.Repeat("x", len(body)) },
		"cut":     func(body string) string { return body[:len(body)/2] },
		"empty":   func(string) string { return "" },
	} {
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ztocs[filepath.Base(r.URL.Path)] && r.Method == http.MethodGet {
				resp, err := http.Get("http://" + good.Host + r.URL.Path)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				fmt.Fprint(w, change(string(body)))
				return
			}
			inner.ServeHTTP(w, r)
		}))
		from, warnings, got := indexReport(t, "single", "v2", "--cache-from", host+"/app:v1")
		if !all(from, "indexed ") || len(warnings) == 0 || got != want {
			t.Errorf("%s: %q, %q", name, from, warnings)
		}
	}
	// The index names the zTOC of one layer for another.
	layers := g.Images[0].Manifest.Layers
	first, second := layers[0].Digest.String(), layers[1].Digest.String()
	swapped := strings.NewReplacer(first, second, second, first).Replace(string(raw))
	if swapped == string(raw) {
		t.Fatal("nothing was swapped")
	}
	mixed := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/manifests/mixed") {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			fmt.Fprint(w, swapped)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	from, _, got := indexReport(t, "single", "v2", "--cache-from", mixed+"/app:mixed")
	if !all(from[:2], "indexed ") || !all(from[2:], "reused registry") || got != want {
		t.Errorf("swapped: %q", from)
	}
}

// resumer is a registry whose uploads can go on: it keeps what it got before a connection is cut.
type resumer struct {
	inner  http.Handler
	mu     sync.Mutex
	upload map[string][]byte
	cuts   int
	sent   int
	// What it says to have, instead of what it has.
	has string
}

func (s *resumer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := "/v2/app/blobs/uploads/kept"
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/uploads/"):
		s.upload["kept"] = nil
		w.Header().Set("Location", place)
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodGet && r.URL.Path == place:
		w.Header().Set("Location", place)
		has := fmt.Sprintf("0-%d", len(s.upload["kept"])-1)
		if s.has != "" {
			has = s.has
		}
		w.Header().Set("Range", has)
		w.WriteHeader(http.StatusNoContent)
	case (r.Method == http.MethodPut || r.Method == http.MethodPatch) && r.URL.Path == place:
		body := r.Body
		limit := r.ContentLength
		cut := s.cuts > 0 && r.ContentLength > 20000
		if cut {
			s.cuts--
			limit = 20000
		}
		piece, _ := io.ReadAll(io.LimitReader(body, limit))
		s.upload["kept"] = append(s.upload["kept"], piece...)
		s.sent += len(piece)
		if cut {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
			return
		}
		if r.Method == http.MethodPatch {
			w.Header().Set("Location", place)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		inner := httpRequest(r, string(s.upload["kept"]))
		s.inner.ServeHTTP(w, inner)
	default:
		s.inner.ServeHTTP(w, r)
	}
}

// httpRequest stores a whole blob at once.
func httpRequest(r *http.Request, body string) *http.Request {
	url := "http://x/v2/app/blobs/uploads/?" + r.URL.RawQuery
	whole, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	return whole
}

// An upload that has more than there is, as it says, is begun anew.
func TestPushIsNotMisledByWhatIsThere(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "testdata", "layouts", "single")
	for _, has := range []string{"0-99999999999", "0-18446744073709551615", "0-99999999999999999999", "-", "x"} {
		s := &resumer{inner: inMemory(), upload: map[string][]byte{}, cuts: 1, has: has}
		host := serve(t, s)
		if out, err := run(t, mustOwn(t), "push", "-q", "--jobs", "1", dir, host+"/app:v1"); err != nil {
			t.Errorf("%s: %v: %s", has, err, out)
		}
	}
}

// An upload that is cut goes on where the registry says that it stands.
func TestPushResumes(t *testing.T) {
	s := &resumer{inner: inMemory(), upload: map[string][]byte{}, cuts: 3}
	host := serve(t, s)
	dir := filepath.Join("..", "..", "..", "testdata", "layouts", "single")
	if out, err := run(t, mustOwn(t), "push", "-q", "--jobs", "1", dir, host+"/app:v1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	total := 0
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if info, err := blob.Info(); err == nil {
			total += int(info.Size())
		}
	}
	if s.cuts != 0 || s.sent > total {
		t.Errorf("%d cuts left; %d bytes sent, the layout has %d", s.cuts, s.sent, total)
	}
}
