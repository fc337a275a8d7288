package push

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// How `soci-layout push` and `check` reach registries: credentials, certificates, redirects, and registries
// that are broken or mean harm.

const (
	user   = "robot"
	secret = "S3cret-that-is-never-shown"
	// bcrypted is secret as `htpasswd -B` has it.
	bcrypted = "$2b$05$abcdefghijklmnopqrstuuVGhN91szIsb8dX2HNduLkebo3DcPiMG"
)

// ownRun runs the program with a docker configuration of its own and more directories in front of PATH.
func ownRun(t testing.TB, config string, path string, args ...string) (string, error) {
	t.Helper()
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"HOME=" + home, "DOCKER_CONFIG=" + home, "LC_ALL=C", "PATH=" + path + ":" + os.Getenv("PATH"), "SSL_CERT_FILE=" + os.Getenv("SSL_CERT_FILE")}
	out, err := cmd.CombinedOutput()
	for _, shown := range []string{secret, base64.StdEncoding.EncodeToString([]byte(user + ":" + secret)), "tok3n"} {
		if bytes.Contains(out, []byte(shown)) {
			t.Errorf("a secret was printed: %s", out)
		}
	}
	return string(out), err
}

// inMemory is a registry's handler.
func inMemory() http.Handler {
	return registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
}

func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// auth is the entry of a configuration for a host.
func auth(host string) string {
	text := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, text)
}

func madeLayout(t testing.TB) string {
	t.Helper()
	_, l := indexed(t, fixture(t, "made-two-platforms"), form(t, "v2"))
	return l.Dir
}

// wantPushed pushes and checks.
func wantPushed(t *testing.T, config, path, dir, ref string, extra ...string) {
	t.Helper()
	if out, err := ownRun(t, config, path, append([]string{"push", "-q", dir, ref}, extra...)...); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	if out, err := ownRun(t, config, path, append([]string{"check", "-q", ref}, extra...)...); err != nil {
		t.Fatalf("check: %v\n%s", err, out)
	}
}

func wantFailure(t *testing.T, out string, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(out, text) {
		t.Errorf("want a failure with %q, got %v: %s", text, err, out)
	}
	if n := strings.Count(out, "error: "); n != 1 {
		t.Errorf("%d errors: %s", n, out)
	}
}

// distribution itself with a file of passwords, as `htpasswd -B` writes it.
func TestBasicCredentialsOfDistribution(t *testing.T) {
	dir := t.TempDir()
	passwords := filepath.Join(dir, "passwords")
	if err := os.WriteFile(passwords, []byte(user+":"+bcrypted+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", passwords)
	repo := Repo{startDistributionWith(t, settings), "app"}
	layout := madeLayout(t)
	wantPushed(t, auth(repo.Host), "", layout, repo.Ref("v1"))
	out, err := ownRun(t, `{}`, "", "push", "-q", layout, repo.Ref("v2"))
	wantFailure(t, out, err, "docker login "+repo.Host)
	wrong := base64.StdEncoding.EncodeToString([]byte(user + ":wrong-" + secret))
	out, err = ownRun(t, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, repo.Host, wrong), "", "check", repo.Ref("v1"))
	wantFailure(t, out, err, "401")
}

// A helper on PATH, named for the host and as the store of all.
func TestCredentialHelpers(t *testing.T) {
	host := serve(t, basic(inMemory()))
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nread host\n[ \"$host\" = %q ] || { echo 'credentials not found in native keychain'; exit 1; }\n"+
		"printf '{\"ServerURL\":\"x\",\"Username\":%q,\"Secret\":%q}'\n", host, user, secret)
	broken := "#!/bin/sh\nread host\necho " + secret + "\necho " + secret + " >&2\nexit 3\n"
	for name, text := range map[string]string{"fake": script, "broken": broken} {
		if err := os.WriteFile(filepath.Join(bin, "docker-credential-"+name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	layout := madeLayout(t)
	wantPushed(t, fmt.Sprintf(`{"credHelpers":{%q:"fake"}}`, host), bin, layout, host+"/app:v1")
	wantPushed(t, `{"credsStore":"fake"}`, bin, layout, host+"/app:v2")
	out, err := ownRun(t, `{"credsStore":"fake"}`, bin, "check", "127.0.0.1:1/app:v1")
	wantFailure(t, out, err, "connection")
	for _, config := range []string{`{"credsStore":"broken"}`, `{"credsStore":"absent"}`, `{"auths":`} {
		out, err := ownRun(t, config, bin, "check", host+"/app:v1")
		wantFailure(t, out, err, "failed to read manifest v1")
	}
}

// basic wants name and password.
func basic(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != user || password != secret {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			// A server that repeats what it was sent must not get it printed.
			http.Error(w, fmt.Sprintf(`{"errors":[{"code":"UNAUTHORIZED","message":%q}]}`, r.Header.Get("Authorization")), http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// bearer is a registry behind a token server on another port; tokens are for one scope, and wear out.
type bearer struct {
	inner  http.Handler
	server string // of tokens
	uses   int    // of each token
	mu     sync.Mutex
	valid  map[string]int
	asked  []string
}

func (b *bearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	b.mu.Lock()
	left := b.valid[token]
	if left > 0 {
		b.valid[token] = left - 1
	}
	b.mu.Unlock()
	if left == 0 {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope="repository:app:pull"`, b.server))
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	b.inner.ServeHTTP(w, r)
}

func (b *bearer) tokens(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	name, password, _ := r.BasicAuth()
	identity := r.Method == http.MethodPost && r.Form.Get("refresh_token") == secret
	if !identity && (name != user || password != secret) {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	token := fmt.Sprintf("tok3n-%d", len(b.valid))
	b.valid[token] = b.uses
	b.asked = append(b.asked, strings.Join(r.Form["scope"], " "))
	fmt.Fprintf(w, `{"access_token":%q,"expires_in":60}`, token)
}

func TestTokenServer(t *testing.T) {
	b := &bearer{inner: inMemory(), uses: 7, valid: map[string]int{}}
	b.server = serve(t, http.HandlerFunc(b.tokens))
	host := serve(t, b)
	layout := madeLayout(t)
	wantPushed(t, auth(host), "", layout, host+"/app:v1")
	wantPushed(t, fmt.Sprintf(`{"auths":{%q:{"identitytoken":%q}}}`, host, secret), "", layout, host+"/app:v2")
	if !strings.Contains(strings.Join(b.asked, "\n"), "repository:app:pull,push") {
		t.Errorf("scopes asked for: %q", b.asked)
	}
	out, err := ownRun(t, `{}`, "", "check", host+"/app:v1")
	wantFailure(t, out, err, "its token server")
}

// certified makes a certificate authority, and a certificate of it for this machine.
func certified(t *testing.T) (authority []byte, own tls.Certificate) { return certifiedFor(t) }

// certifiedFor adds names.
func certifiedFor(t *testing.T, names ...string) (authority []byte, own tls.Certificate) {
	t.Helper()
	make := func(template, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) []byte {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER := make(ca, ca, &caKey.PublicKey, caKey)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der := make(leaf, ca, &key.PublicKey, caKey)
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	return authority, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestCertificates(t *testing.T) {
	authority, certificate := certified(t)
	server := httptest.NewUnstartedServer(inMemory())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	for name, content := range map[string][]byte{ca: authority, empty: nil} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	layout := madeLayout(t)
	wantPushed(t, `{}`, "", layout, host+"/app:v1", "--ca-file", ca)
	out, err := ownRun(t, `{}`, "", "check", host+"/app:v1")
	wantFailure(t, out, err, "--ca-file")
	// Its name is another one.
	out, err = ownRun(t, `{}`, "", "check", "localhost:"+host[strings.LastIndexByte(host, ':')+1:]+"/app:v1", "--ca-file", ca)
	wantFailure(t, out, err, "not trusted")
	out, err = ownRun(t, `{}`, "", "check", host+"/app:v1", "--ca-file", empty)
	wantFailure(t, out, err, "no certificate")
	t.Setenv("SSL_CERT_FILE", ca)
	if out, err := ownRun(t, `{}`, "", "check", host+"/app:v1"); err != nil {
		t.Errorf("with SSL_CERT_FILE: %v: %s", err, out)
	}
}

// Another host gets what is asked for, and no credentials.
func TestRedirectsTakeNoCredentials(t *testing.T) {
	inner := inMemory()
	var mu sync.Mutex
	elsewhere, leaked := 0, 0
	storage := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		elsewhere++
		if r.Header.Get("Authorization") != "" {
			leaked++
		}
		mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	host := serve(t, basic(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			http.Redirect(w, r, "http://"+storage+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		inner.ServeHTTP(w, r)
	})))
	wantPushed(t, auth(host), "", madeLayout(t), host+"/app:v1")
	if leaked > 0 || elsewhere == 0 {
		t.Errorf("%d requests elsewhere, %d with credentials", elsewhere, leaked)
	}
}

// What a broken registry does to requests of a kind, for so many times.
func TestPushEndures(t *testing.T) {
	cut := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(code)
		}
	}
	layout := madeLayout(t)
	for name, fault := range map[string]http.HandlerFunc{
		"429": status(429), "503": status(503), "500": status(500), "cut": cut,
	} {
		for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut, http.MethodGet} {
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				left := 2
				inner := inMemory()
				host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					now := r.Method == method && left > 0 && r.URL.Path != "/v2/"
					if now {
						left--
					}
					mu.Unlock()
					if now {
						fault(w, r)
						return
					}
					inner.ServeHTTP(w, r)
				}))
				wantPushed(t, `{}`, "", layout, host+"/app:v1")
				if left > 0 {
					t.Errorf("%d faults were not met", left)
				}
			})
		}
	}
}

// A registry that keeps failing: one error, and the tag is as before.
func TestPushGivesUp(t *testing.T) {
	layout := madeLayout(t)
	var asked atomic.Int32
	for name, fails := range map[string]func(*http.Request) int{
		"it asks to wait for ever, later": func(r *http.Request) int {
			if r.Method != http.MethodPost {
				return 0
			}
			return map[bool]int{true: 503, false: 429}[asked.Add(1) == 1]
		},
		"uploads are forbidden": func(r *http.Request) int { return map[bool]int{true: 403}[r.Method == http.MethodPost] },
		"blobs are refused": func(r *http.Request) int {
			return map[bool]int{true: 400}[r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/")]
		},
		"manifests are refused": func(r *http.Request) int {
			return map[bool]int{true: 400}[r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:")]
		},
		"the tag is refused": func(r *http.Request) int {
			return map[bool]int{true: 403}[r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1")]
		},
		"it asks to wait an hour":  func(r *http.Request) int { return map[bool]int{true: 429}[r.Method == http.MethodPost] },
		"it is always unavailable": func(r *http.Request) int { return map[bool]int{true: 503}[r.Method == http.MethodPost] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := inMemory()
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if code := fails(r); code != 0 {
					if code == 429 {
						wait := "3600"
						if strings.Contains(name, "for ever") {
							wait = "18446744073709551615"
						}
						w.Header().Set("Retry-After", wait)
					}
					http.Error(w, `{"errors":[{"code":"DENIED","message":"not today"}]}`, code)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			out, err := ownRun(t, `{}`, "", "push", "-q", layout, host+"/app:v1")
			wantFailure(t, out, err, "failed to ")
			if _, _, err := (Repo{&Registry{Host: host}, "app"}).manifest("v1"); err == nil {
				t.Error("the tag is there")
			}
		})
	}
}

// Answers that are wrong: one error, in bounded time and memory.
func TestCheckRefusesWrongAnswers(t *testing.T) {
	layout := madeLayout(t)
	inner := inMemory()
	good := serve(t, inner)
	if out, err := ownRun(t, `{}`, "", "push", "-q", layout, good+"/app:v1"); err != nil {
		t.Fatal(out)
	}
	manifest := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/v1") }
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", manifestTypes)
		piece := bytes.Repeat([]byte(" "), 1<<16)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		when func(*http.Request) bool
		do   http.HandlerFunc
		text string
	}{
		"endless manifest": {manifest, endless, "more than"},
		"huge manifest": {manifest, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "99999999999")
			endless(w, r)
		}, "more than"},
		"wrong digest": {manifest, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
			fmt.Fprint(w, `{"schemaVersion":2}`)
		}, "expected the digest"},
		"no JSON": {manifest, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			fmt.Fprint(w, `<html>`)
		}, "unreadable"},
		"redirects without end": {manifest, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, "redirects"},
		"redirect to another scheme": {manifest, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, "failed to read"},
		"redirect to plain HTTP elsewhere": {manifest, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/x", http.StatusFound)
		}, "without TLS"},
		"no HTTP": {manifest, func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(conn, "SSH-2.0-x\r\n\r\n")
				conn.Close()
			}
		}, "failed to read"},
		"endless error": {manifest, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			endless(w, r)
		}, "403"},
		"wrong size of blobs": {func(r *http.Request) bool {
			return r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
		},
			func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1") }, "ztoc-size"},
		"wrong content of configurations": {func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
		},
			func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") }, ""},
		"gone in the middle": {func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256:") },
			func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) }, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.when(r) {
					c.do(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			out, err := ownRun(t, `{}`, "", "check", "--progress", "quiet", host+"/app:v1")
			if c.text == "" {
				return // it is enough that it ends
			}
			if err == nil || !strings.Contains(out, c.text) || strings.Contains(out, "bug") {
				t.Errorf("want %q, got %v: %s", c.text, err, out)
			}
		})
	}
}

// Blobs that another repository of the registry has are taken over from there.
func TestPushMounts(t *testing.T) { wantMounts(t, Repo{startDistribution(t), "first"}) }

func wantMounts(t *testing.T, repo Repo) {
	t.Helper()
	layout := madeLayout(t)
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, program, "push", "-q", layout, repo.Ref("v1")); err != nil {
		t.Fatal(out)
	}
	var report struct {
		BlobsSent    int `json:"blobs_sent"`
		BlobsMounted int `json:"blobs_mounted"`
		BlobsThere   int `json:"blobs_there"`
	}
	for _, step := range []struct {
		to   string
		args []string
		sent bool
	}{{"second", []string{"--mount-from", repo.Name}, false}, {"third", nil, true}, {"third", nil, false}} {
		args := append([]string{"push", "--progress", "quiet", "-q", "--json", layout, Repo{repo.Registry, repo.Name + "-" + step.to}.Ref("v1")}, step.args...)
		out, err := run(t, program, args...)
		if err != nil {
			t.Fatal(out)
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		if (report.BlobsSent > 0) != step.sent || (step.args != nil) != (report.BlobsMounted > 0) {
			t.Errorf("to %s: %+v", step.to, report)
		}
	}
}

// What only the registry knows to refer to an image stays in its list.
func TestPushMergesLists(t *testing.T) {
	repo := Repo{startDistribution(t), "app"}
	l, g, _ := pushedBy(t, own, "made-single", "v1-tagged", repo)
	image := g.Images[0].Desc
	attach, err := findTool(oras)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "note.txt")
	if err := os.WriteFile(file, []byte("note"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, attach, "attach", "--plain-http", "--disable-path-validation", "--artifact-type", "test/note", repo.Host+"/app@"+image.Digest.String(), file)
	if err != nil {
		t.Fatal(out)
	}
	if out, err := run(t, mustOwn(t), "push", "-q", l.Dir+":v1", repo.Ref("v1")); err != nil {
		t.Fatal(out)
	}
	was := listed(t, repo, image.Digest)
	if len(was) != 2 || !slices.Contains(was, "test/note") {
		t.Errorf("the list has %q", was)
	}
	wantMistakes(t, checked(t, repo.Ref("v1")))
	// Another V1 index of the same image takes the place of the first.
	f := form(t, "v1-tagged")
	again := filepath.Join(t.TempDir(), "layout")
	fixture(t, "made-single").write(t, again)
	index := append([]string{"index", "-q", again, "--min-layer-size", "0", "--span-size", "131072"}, f.args...)
	if out, err := run(t, mustOwn(t), index...); err != nil {
		t.Fatal(out)
	}
	if out, err := run(t, mustOwn(t), "push", "-q", again+":v1", repo.Ref("v1")); err != nil {
		t.Fatal(out)
	}
	if now := listed(t, repo, image.Digest); !slices.Equal(now, []string{"test/note", soci.SociIndexArtifactType}) {
		t.Errorf("the list has %q", now)
	}
	// It is what the consumer finds.
	l2 := mustLoad(t, again)
	snap, err := newSnapshotter(repo, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	found, err := snap.findV1(t.Context(), image.Digest)
	if err != nil || found.Digest != l2.Groups[0].Images[0].V1.Desc.Digest {
		t.Errorf("the consumer finds %s, %v", found.Digest, err)
	}
}

// listed gives the types in the list of what refers to an image, in its order.
func listed(t *testing.T, repo Repo, image digest.Digest) (types []string) {
	t.Helper()
	raw, _, err := repo.manifest(listTag(image))
	if err != nil {
		t.Fatal(err)
	}
	var list ocispec.Index
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Manifests {
		types = append(types, d.ArtifactType)
	}
	return types
}

func mustOwn(t testing.TB) string {
	t.Helper()
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// A registry elsewhere is reached through the proxy that the environment names, one of NO_PROXY and this machine without it.
func TestProxies(t *testing.T) {
	authority, certificate := certifiedFor(t, "registry.test")
	server := httptest.NewUnstartedServer(inMemory())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority, 0o644); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "registry.test:443" || r.Header.Get("Authorization") != "" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		asked.Add(1)
		to, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		fmt.Fprint(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(to, from) }()
		_, _ = io.Copy(from, to)
	}))
	layout := madeLayout(t)
	own := func(env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), mustOwn(t), args...)
		cmd.Env = append([]string{"HOME=" + emptyHome(), "DOCKER_CONFIG=" + emptyHome(), "PATH=" + os.Getenv("PATH")}, env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	through := []string{"HTTPS_PROXY=http://" + proxy}
	if out, err := own(through, "push", "-q", layout, "registry.test/app:v1", "--ca-file", ca); err != nil || asked.Load() == 0 {
		t.Fatalf("%v: %s; the proxy was asked %d times", err, out, asked.Load())
	}
	if out, err := own(through, "check", "-q", "--deep", "--min-layer-size", "0", "registry.test/app:v1", "--ca-file", ca); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	before := asked.Load()
	out, err := own(append(through, "NO_PROXY=registry.test"), "check", "registry.test/app:v1", "--ca-file", ca)
	wantFailure(t, out, err, "lookup")
	if out, err := own(through, "push", "-q", layout, serve(t, inMemory())+"/app:v1"); err != nil || asked.Load() != before {
		t.Errorf("%v: %s; the proxy was asked %d times, then %d", err, out, before, asked.Load())
	}
	out, err = own([]string{"HTTPS_PROXY=http://" + serve(t, http.NotFoundHandler())}, "check", "registry.test/app:v1", "--ca-file", ca)
	wantFailure(t, out, err, "proxy")
}
