package push

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// `soci-layout index REPO:TAG`, `verify REPO:TAG` and `check --deep`: layers come as streams from the registry.

// sized are the settings of runIndex.
func sized(f Form, args ...string) []string {
	return append(append([]string{"--min-layer-size", "0", "--span-size", "65536"}, f.args...), args...)
}

// plainly pushes a fixture as it is, under the tag "plain".
func plainly(t *testing.T, fx Fixture, l *Layout, repo Repo) {
	t.Helper()
	from := l.Dir
	if len(l.Index.Manifests) > 1 {
		from += ":" + refName(l.Index.Manifests[0])
	}
	if out, err := run(t, mustOwn(t), "push", "-q", from, repo.Ref("plain")); err != nil {
		t.Fatalf("push: %v: %s", err, out)
	}
}

// What is made in the registry is what export, index and push make, and the consumer finds it.
func TestIndexInRegistryGivesWhatPushGives(t *testing.T) {
	for _, fx := range []string{"made-two-platforms", "multi-attest", "single", "docker-mediatypes", "uncompressed"} {
		for _, f := range forms {
			t.Run(fx+"/"+f.name, func(t *testing.T) {
				onBoth(t, func(t *testing.T, repo Repo) { wantWhatPushGives(t, repo, fx, f) })
			})
		}
	}
}

func wantWhatPushGives(t *testing.T, repo Repo, fx string, f Form) {
	t.Helper()
	before, l := indexed(t, fixture(t, fx), f)
	plainly(t, fixture(t, fx), before, repo)
	_, was, err := repo.manifest("plain")
	if err != nil {
		t.Fatal(err)
	}
	g := l.Groups[0]
	tag := tagOf(g.Tags[0])
	out, err := run(t, mustOwn(t), append([]string{"index", "-q", repo.Ref("plain"), "--to", repo.Ref(tag)}, sized(f)...)...)
	if err != nil || strings.TrimSpace(out) != g.Root.Digest.String() {
		t.Fatalf("%v: %s, want %s", err, out, g.Root.Digest)
	}
	g.Tags = g.Tags[:1]
	g.Tags[0] = tag
	if problems := checkPush(t.Context(), repo, l, g, f, Outcome{}, t.TempDir()); len(problems) > 0 {
		t.Error(problems)
	}
	if _, is, err := repo.manifest("plain"); err != nil || is != was && !f.tagged {
		t.Errorf("the source's tag led to %s and leads to %s, %v", was, is, err)
	}
	for _, args := range [][]string{{"verify", "-q", repo.Ref(tag)}, {"check", "-q", "--deep", "--min-layer-size", "0", repo.Ref(tag)}} {
		if out, err := run(t, mustOwn(t), args...); err != nil {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
}

// A second run scans nothing and sends nothing; without --to no tag appears.
func TestIndexInRegistryFindsWhatIsDone(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		f := form(t, "v2")
		before, _ := indexed(t, fixture(t, "multi-attest"), f)
		plainly(t, fixture(t, "multi-attest"), before, repo)
		var report struct {
			Layers []struct{ Outcome, From string }
			Pushed struct {
				Reference     string
				Digest        string
				BlobsSent     int `json:"blobs_sent"`
				ManifestsSent int `json:"manifests_sent"`
			}
		}
		index := func(args ...string) {
			t.Helper()
			out, err := run(t, mustOwn(t), append([]string{"index", "-q", "--json", repo.Ref("plain")}, sized(f, args...)...)...)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		index()
		first := report.Pushed.Digest
		if !strings.HasSuffix(report.Pushed.Reference, "@"+first) {
			t.Errorf("%+v", report.Pushed)
		}
		index("--to", repo.Ref("v1"))
		if report.Pushed.BlobsSent+report.Pushed.ManifestsSent > 0 || report.Pushed.Digest != first {
			t.Errorf("%+v, first %s", report.Pushed, first)
		}
		index("--to", repo.Ref("v1"))
		for _, layer := range report.Layers {
			if layer.Outcome != "reused" || layer.From != "registry" {
				t.Errorf("%+v", layer)
			}
		}
		// Another repository gets the layers, too; nothing is made when too little would be lazy.
		other := Repo{repo.Registry, "other"}
		index("--to", other.Ref("v1"))
		if _, got, err := other.manifest("v1"); err != nil || got.String() != first {
			t.Errorf("%s, %v", got, err)
		}
		out, err := run(t, mustOwn(t), append([]string{"index", "-q", repo.Ref("plain"), "--to", repo.Ref("none"), "--max-eager", "0", "--skip-layer", "1"}, sized(f)...)...)
		if code := exitCode(err); code != 3 {
			t.Errorf("exit code %d: %s", code, out)
		}
		if _, _, err := repo.manifest("none"); err == nil {
			t.Error("the tag was set")
		}
	})
}

func exitCode(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}

// faulty is a registry whose layers come as `serve` says; it counts what it sends of them.
type faulty struct {
	inner  http.Handler
	layers map[string][]byte
	serve  func(w http.ResponseWriter, r *http.Request, blob []byte)
	mu     sync.Mutex
	sent   int64
	asked  int
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	blob, ok := f.layers[filepath.Base(r.URL.Path)]
	if !ok || r.Method != http.MethodGet {
		f.inner.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	f.serve(w, r, blob)
}

// count sends at most n bytes and cuts the connection where there are more.
func (f *faulty) upTo(w http.ResponseWriter, body []byte, n int) {
	cut := len(body) > n
	if cut {
		body = body[:n]
	}
	got, _ := w.Write(body)
	f.mu.Lock()
	f.sent += int64(got)
	f.mu.Unlock()
	if cut {
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// withLayers pushes a fixture to a registry whose layers fail.
func withLayers(t *testing.T, serveLayer func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte)) (*faulty, Repo, *Layout) {
	t.Helper()
	f := &faulty{inner: inMemory(), layers: map[string][]byte{}}
	f.serve = func(w http.ResponseWriter, r *http.Request, blob []byte) { serveLayer(f, w, r, blob) }
	repo := Repo{&Registry{Host: serve(t, f), HasReferrers: true}, "app"}
	before, l := indexed(t, fixture(t, "made-single"), form(t, "v2"))
	plainly(t, fixture(t, "made-single"), before, repo)
	for _, layer := range before.Groups[0].Images[0].Manifest.Layers {
		blob, err := before.blob(layer)
		if err != nil {
			t.Fatal(err)
		}
		f.layers[layer.Digest.String()] = blob
	}
	return f, repo, l
}

func begin(t testing.TB, r *http.Request) int {
	from, _, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-")
	if !ok {
		return 0
	}
	at, err := strconv.Atoi(from)
	if err != nil {
		t.Errorf("range %q", r.Header.Get("Range"))
	}
	return at
}

// A connection that is cut goes on at that byte, also where the registry has no ranges.
func TestIndexInRegistryResumes(t *testing.T) {
	const piece = 40000
	for name, ranges := range map[string]bool{"ranges": true, "no ranges": false} {
		t.Run(name, func(t *testing.T) {
			f, repo, l := withLayers(t, func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) {
				at := begin(t, r)
				if ranges {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, len(blob)-1, len(blob)))
					w.Header().Set("Content-Length", strconv.Itoa(len(blob)-at))
					w.WriteHeader(http.StatusPartialContent)
					f.upTo(w, blob[at:], piece)
				} else {
					f.upTo(w, blob, at+piece)
				}
			})
			out, err := run(t, mustOwn(t), append([]string{"index", "-q", repo.Ref("plain"), "--to", repo.Ref("v1")}, sized(form(t, "v2"))...)...)
			if err != nil || strings.TrimSpace(out) != l.Groups[0].Root.Digest.String() {
				t.Fatalf("%v: %s", err, out)
			}
			var size int64
			for _, blob := range f.layers {
				size += int64(len(blob))
			}
			if f.asked < 6 || ranges && f.sent > size+4096 {
				t.Errorf("asked %d times; %d bytes were sent of %d", f.asked, f.sent, size)
			}
		})
	}
}

// A layer that is not what the manifest says: one error, and nothing is written.
func TestIndexInRegistryRefusesWrongLayers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte)
		text  string
	}{
		"another content": {func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) {
			_, _ = w.Write(bytes.Repeat([]byte{'x'}, len(blob)))
		}, "corrupt"},
		"endless": {func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "corrupt"},
		"it ends early, always": {func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(blob[:1000])
		}, "of"},
		"another part": {func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 7-%d/%d", len(blob)-1, len(blob)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(blob[7:])
		}, "expected the bytes from 0 on, found bytes 7-"},
		"gone":      {func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) { w.WriteHeader(404) }, "404"},
		"forbidden": {func(f *faulty, w http.ResponseWriter, r *http.Request, blob []byte) { w.WriteHeader(403) }, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, repo, l := withLayers(t, c.serve)
			out, err := run(t, mustOwn(t), append([]string{"index", "-q", repo.Ref("plain"), "--to", repo.Ref("v1")}, sized(form(t, "v2"))...)...)
			wantFailure(t, out, err, c.text)
			if strings.Contains(out, ".tmp") {
				t.Errorf("a temporary place is named: %s", out)
			}
			if _, _, err := repo.manifest("v1"); err == nil {
				t.Error("the tag is there")
			}
			if err := repo.hasManifest(l.Groups[0].Root); err == nil {
				t.Error("the new index is there")
			}
		})
	}
}

// Damage is told of as in a layout; a registry that fails in the middle is an error, and no finding.
func TestVerifyInRegistryTellsDamage(t *testing.T) {
	inner := inMemory()
	var mu sync.Mutex
	change := map[string]http.HandlerFunc{}
	repo := Repo{&Registry{Host: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		do := change[filepath.Base(r.URL.Path)]
		mu.Unlock()
		if do != nil && r.Method == http.MethodGet {
			do(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})), HasReferrers: true}, "app"}
	l, g, _ := pushedBy(t, own, "made-single", "v2", repo)
	layer := g.Images[0].Manifest.Layers[0]
	blob, err := l.blob(layer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		do        http.HandlerFunc
		text, not string
	}{
		{func(w http.ResponseWriter, r *http.Request) {
			damaged := bytes.Clone(blob)
			damaged[len(damaged)/2]++
			_, _ = w.Write(damaged)
		}, "the layer's blob", "error:"},
		{func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) }, "403", "finding"},
	} {
		mu.Lock()
		change[layer.Digest.String()] = c.do
		mu.Unlock()
		for _, args := range [][]string{{"verify", "-q"}, {"check", "-q", "--deep", "--min-layer-size", "0"}} {
			out, err := run(t, mustOwn(t), append(args, repo.Ref("v1"))...)
			if exitCode(err) != 1 || !strings.Contains(out, c.text) || strings.Contains(out, c.not) {
				t.Errorf("%q: %v: %s", args, err, out)
			}
		}
	}
}

// generated is a gzip layer of so many bytes that nobody can compress; it is the same each time.
func generated(w io.Writer, size int64) error {
	zip, err := gzip.NewWriterLevel(w, gzip.NoCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zip)
	if err := archive.WriteHeader(&tar.Header{Name: "large", Mode: 0o644, Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	piece, random := make([]byte, 1<<20), rand.New(rand.NewPCG(1, 2))
	for i := range piece {
		piece[i] = byte(random.Uint32())
	}
	for left := size; left > 0; {
		n := min(left, int64(len(piece)))
		if _, err := archive.Write(piece[:n]); err != nil {
			return err
		}
		left -= n
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zip.Close()
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// after drops what comes before an offset.
type after struct {
	w    io.Writer
	skip int64
}

func (a *after) Write(p []byte) (int, error) {
	n := min(a.skip, int64(len(p)))
	a.skip -= n
	if _, err := a.w.Write(p[n:]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// largeLayer is how large the layer is, in MiB: SOCI_LARGE_LAYER says more.
func largeLayer(t *testing.T) int64 {
	text := os.Getenv("SOCI_LARGE_LAYER")
	if text == "" {
		return 512 << 20
	}
	mib, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return mib << 20
}

// peakOf waits for the end of a process and gives the most memory that it was seen with. What the system says at the end
// counts this process in, whose memory the other has until it becomes another program.
func peakOf(pid int, ended <-chan error) (peak int64, err error) {
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-time.After(5 * time.Millisecond):
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, after, found := strings.Cut(string(status), "VmHWM:"); found && strings.HasPrefix(string(status), "Name:\tsoci-layout") {
			var kib int64
			if _, err := fmt.Sscan(after, &kib); err == nil {
				peak = max(peak, kib<<10)
			}
		}
	}
}

// A layer that is larger than any file may be and than the memory that is used.
func TestIndexInRegistryStoresNoLayer(t *testing.T) {
	size, most := largeLayer(t), int64(256<<20)
	hash, count := sha256.New(), &counter{}
	if err := generated(io.MultiWriter(hash, count), size); err != nil {
		t.Fatal(err)
	}
	layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.NewDigest(digest.SHA256, hash), Size: count.n}
	inner := inMemory()
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) != layer.Digest.String() {
			inner.ServeHTTP(w, r)
			return
		}
		at := int64(begin(t, r))
		w.Header().Set("Content-Length", strconv.FormatInt(layer.Size-at, 10))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, layer.Size-1, layer.Size))
		if r.Method == http.MethodHead {
			return
		}
		w.WriteHeader(http.StatusPartialContent)
		_ = generated(&after{w, at}, size)
	}))
	dir := t.TempDir()
	w := newWriter(t, dir)
	config := w.blob(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`))
	manifest := w.document(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{layer}})
	for _, one := range []struct{ path, media string }{
		{"blobs/uploads/?digest=" + config.Digest.String(), "application/octet-stream"}, {"manifests/v1", ocispec.MediaTypeImageManifest},
	} {
		d, method := config, http.MethodPost
		if one.path == "manifests/v1" {
			d, method = manifest, http.MethodPut
		}
		raw, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded()))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(method, "http://"+host+"/v2/app/"+one.path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", one.media)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("%v, %v", resp, err)
		}
		resp.Body.Close()
	}
	// In blocks of 512 bytes: 64 MiB, or what the zTOC of a larger layer takes.
	limit := fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, max(64<<20, size>>6)/512)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", limit, mustOwn(t), "index", "--progress", "quiet",
		"--index-version", "v2", host+"/app:v1", "--to", host+"/app:v2")
	cmd.Env = []string{"HOME=" + emptyHome(), "DOCKER_CONFIG=" + emptyHome(), "PATH=" + os.Getenv("PATH")}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	peak, err := peakOf(cmd.Process.Pid, ended)
	if err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	t.Logf("%d MiB: %d MiB of memory, %v\n%s", size>>20, peak>>20, cmd.ProcessState.UserTime(), &out)
	if peak == 0 || peak > most {
		t.Errorf("%d bytes of memory", peak)
	}
	if out, err := run(t, mustOwn(t), "check", "-q", host+"/app:v2"); err != nil {
		t.Error(out)
	}
}
