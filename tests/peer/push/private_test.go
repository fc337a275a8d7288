package push

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What people meet in a private registry: accounts that may do one thing and not another, tags that are immutable, images that
// are not what one would push oneself.

// scoped is a registry behind a token server which gives an account what it may do in each repository, and no more.
type scoped struct {
	inner  http.Handler
	server string // of tokens
	may    map[string]string
	mu     sync.Mutex
	tokens map[string][]string
}

// needs are the rights for a request, as `repository:NAME:ACTION`.
func needs(r *http.Request) (rights []string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
	rights = append(rights, "repository:"+name+":pull")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		rights = append(rights, "repository:"+name+":push")
	}
	if from := r.URL.Query().Get("from"); from != "" {
		rights = append(rights, "repository:"+from+":pull")
	}
	return rights
}

func (s *scoped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	has := s.tokens[token]
	s.mu.Unlock()
	for _, right := range needs(r) {
		if !slices.Contains(has, right) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope=%q,error="insufficient_scope"`,
				s.server, strings.Join(needs(r), " ")))
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
	}
	s.inner.ServeHTTP(w, r)
}

// grant gives of the scopes that are asked for what the account may do.
func (s *scoped) grant(w http.ResponseWriter, r *http.Request) {
	if name, password, _ := r.BasicAuth(); name != user || password != secret {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}`, http.StatusUnauthorized)
		return
	}
	var granted []string
	for _, scope := range strings.Fields(strings.Join(r.URL.Query()["scope"], " ")) {
		part := strings.Split(scope, ":")
		for action := range strings.SplitSeq(part[2], ",") {
			if strings.Contains(s.may[part[1]], action) {
				granted = append(granted, "repository:"+part[1]+":"+action)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("tok3n-%d", len(s.tokens))
	s.tokens[token] = granted
	fmt.Fprintf(w, `{"token":%q}`, token)
}

func TestAccountsOfTokenServers(t *testing.T) {
	before, after := indexed(t, fixture(t, "made-single"), form(t, "v2"))
	want := after.Groups[0].Root.Digest.String()
	for name, c := range map[string]struct {
		may map[string]string
		ok  bool
	}{
		"both":            {map[string]string{"a": "pull", "b": "pull,push"}, true},
		"no push to b":    {map[string]string{"a": "pull", "b": "pull"}, false},
		"no pull of a":    {map[string]string{"b": "pull,push"}, false},
		"nothing at all":  {nil, false},
		"push only, of b": {map[string]string{"a": "pull", "b": "push"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := inMemory()
			s := &scoped{inner: inner, may: c.may, tokens: map[string][]string{}}
			s.server = serve(t, http.HandlerFunc(s.grant))
			open, host := serve(t, inner), serve(t, s)
			plainly(t, fixture(t, "made-single"), before, Repo{&Registry{Host: open}, "a"})
			out, err := ownRun(t, auth(host), "", append([]string{"index", "-q", host + "/a:plain", "--to", host + "/b:v1"}, sized(form(t, "v2"))...)...)
			if c.ok {
				if err != nil || strings.TrimSpace(out) != want {
					t.Fatalf("%v: %s", err, out)
				}
				for _, args := range [][]string{{"verify", "-q"}, {"check", "-q", "--deep", "--min-layer-size", "0"}} {
					if out, err := ownRun(t, auth(host), "", append(args, host+"/b:v1")...); err != nil {
						t.Errorf("%q: %v: %s", args, err, out)
					}
				}
				return
			}
			wantFailure(t, out, err, "docker login "+host)
			t.Log(out)
			if _, _, err := (Repo{&Registry{Host: open}, "b"}).manifest("v1"); err == nil {
				t.Error("the tag is there")
			}
		})
	}
}

// What registries answer to those who may not, and to a tag that may not be moved.
func TestRefusals(t *testing.T) {
	before, after := indexed(t, fixture(t, "made-single"), form(t, "v2"))
	root := after.Groups[0].Root.Digest.String()
	tag := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/taken")
	}
	puts := func(r *http.Request) bool { return r.Method == http.MethodPut }
	for name, c := range map[string]struct {
		when      func(*http.Request) bool
		status    int
		code, say string
		hint      string
	}{
		"every write is forbidden":            {puts, 403, "DENIED", "requested access to the resource is denied", "needs rights"},
		"every write wants other credentials": {puts, 401, "UNAUTHORIZED", "authentication required", "docker login"},
		// As Amazon ECR, Harbor, and others say it.
		"immutable, 400": {tag, 400, "TAG_INVALID", "The image tag 'taken' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.", "immutable"},
		"immutable, 412": {tag, 412, "PRECONDITION", "Failed to process request due to 'taken' configured as immutable.", "immutable"},
		"immutable, 409": {tag, 409, "CONFLICT", "tag exists", "immutable"},
		"immutable, 403": {tag, 403, "DENIED", "not allowed", "immutable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := inMemory()
			open := Repo{&Registry{Host: serve(t, inner)}, "app"}
			plainly(t, fixture(t, "made-single"), before, open)
			raw, was, err := open.manifest("plain")
			if err != nil {
				t.Fatal(err)
			}
			put(t, open, "taken", ocispec.MediaTypeImageManifest, raw)
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					t.Error("something was deleted")
				}
				if c.when(r) {
					if c.status == http.StatusUnauthorized {
						w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
					}
					w.WriteHeader(c.status)
					fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, c.code, c.say)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			for _, args := range [][]string{
				append([]string{"index", "-q", host + "/app:plain", "--to", host + "/app:taken"}, sized(form(t, "v2"))...),
				{"push", "-q", after.Dir, host + "/app:taken"},
			} {
				out, err := ownRun(t, auth(host), "", args...)
				wantFailure(t, out, err, c.say)
				if !strings.Contains(out, "hint: ") || !strings.Contains(out, c.hint) {
					t.Errorf("want %q: %s", c.hint, out)
				}
			}
			if _, is, err := open.manifest("taken"); err != nil || is != was {
				t.Errorf("the tag led to %s, and leads to %s", was, is)
			}
			// Where the tag leads there already, it need not be moved.
			if c.hint != "immutable" {
				return
			}
			for _, image := range []ocispec.Descriptor{after.Groups[0].Images[0].Desc, after.Groups[0].Images[0].V2.Desc} {
				put(t, open, image.Digest.String(), ocispec.MediaTypeImageManifest, manifestOf(t, after, image.Digest.String()))
			}
			put(t, open, "taken", ocispec.MediaTypeImageIndex, manifestOf(t, after, root))
			if out, err := ownRun(t, auth(host), "", "push", "-q", after.Dir, host+"/app:taken"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func manifestOf(t *testing.T, l *Layout, of string) []byte {
	t.Helper()
	for _, d := range append([]ocispec.Descriptor{l.Groups[0].Root, l.Groups[0].Images[0].Desc}, l.Groups[0].Images[0].V2.Desc) {
		if d.Digest.String() == of {
			raw, err := l.blob(d)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
	}
	t.Fatal(of)
	return nil
}

func TestWrongPasswordsAndNames(t *testing.T) {
	before, _ := indexed(t, fixture(t, "made-single"), form(t, "v2"))
	inner := inMemory()
	open, host := Repo{&Registry{Host: serve(t, inner)}, "app"}, serve(t, basic(inner))
	plainly(t, fixture(t, "made-single"), before, open)
	wrong := strings.Replace(auth(host), `"auth":"`, `"auth":"d3Jvbmc6`, 1) // another name in front
	for _, c := range []struct{ config, image, text, hint string }{
		{wrong, host + "/app:plain", "401", "docker login " + host},
		{`{}`, host + "/app:plain", "there are none for it", "docker login " + host},
		{auth(host), host + "/app:none", "there is no such image", "look at the name and the tag"},
		{auth(host), host + "/none:v1", "there is no such image", "look at the name and the tag"},
		{auth(host), host + "/app@sha256:" + strings.Repeat("0", 64), "there is no such image", "look at the name and the tag"},
	} {
		for _, args := range [][]string{{"index", "-q", c.image, "--to", host + "/app:new"}, {"verify", c.image}, {"check", c.image}} {
			out, err := ownRun(t, c.config, "", args...)
			wantFailure(t, out, err, c.text)
			if !strings.Contains(out, c.hint) {
				t.Errorf("%q: no %q: %s", args, c.hint, out)
			}
		}
	}
}

// `--to` in another repository of the registry: layers are taken over from the first, and only what is new is sent.
func TestIndexInRegistryMounts(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *Registry{"2.8": startDistribution, "3": startDistribution3} {
		t.Run(name, func(t *testing.T) {
			repo := Repo{start(t), "first"}
			before, _ := indexed(t, fixture(t, "multi-attest"), form(t, "v2"))
			plainly(t, fixture(t, "multi-attest"), before, repo)
			other := Repo{repo.Registry, "second"}
			out, err := run(t, mustOwn(t), append([]string{"index", "-q", "--json", "--progress", "quiet", repo.Ref("plain"), "--to", other.Ref("v1")}, sized(form(t, "v2"))...)...)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var report struct {
				Layers []struct{ Digest string }
				Pushed struct {
					BlobsSent    int `json:"blobs_sent"`
					BlobsMounted int `json:"blobs_mounted"`
				}
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatal(err)
			}
			// zTOCs; layers, configurations and attestations, of which one is the empty configuration.
			if report.Pushed.BlobsSent != len(report.Layers) || report.Pushed.BlobsMounted < len(report.Layers)+2 {
				t.Errorf("%+v of %d layers", report.Pushed, len(report.Layers))
			}
			if out, err := run(t, mustOwn(t), "check", "-q", "--deep", "--min-layer-size", "0", other.Ref("v1")); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// An image that has an index already, of either version, gives what the image without one gives.
func TestIndexInRegistryTakesConvertedImages(t *testing.T) {
	for _, from := range forms {
		for _, f := range forms {
			t.Run(from.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				repo := Repo{startReferrers(t), "app"}
				pushedBy(t, own, "multi-attest", from.name, repo)
				_, was, err := repo.manifest("v1")
				if err != nil {
					t.Fatal(err)
				}
				out, err := run(t, mustOwn(t), append([]string{"index", "-q", repo.Ref("v1"), "--to", repo.Ref("new")}, sized(f)...)...)
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if f.name == from.name && strings.TrimSpace(out) != was.String() {
					t.Errorf("%s became %s", was, out)
				}
				if f.v2 {
					wantMistakes(t, checked(t, repo.Ref("new"), "--for", "fargate"))
				}
				if out, err := run(t, mustOwn(t), "verify", "-q", repo.Ref("new")); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// Layers that stay with their owner are not in the registry, and need not be.
func TestIndexInRegistryLeavesForeignLayers(t *testing.T) {
	for _, absent := range []bool{true, false} {
		host := serve(t, inMemory())
		own, base := smallLayer(t, 1), smallLayer(t, 2)
		layer := upload(t, host, "blob", ocispec.MediaTypeImageLayerGzip, own)
		foreign := ocispec.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}
		kept := upload(t, map[bool]string{true: serve(t, inMemory()), false: host}[absent], "blob", foreign.MediaType, base)
		kept.MediaType, kept.URLs = foreign.MediaType, []string{"https://example.invalid/layer"}
		config := upload(t, host, "blob", ocispec.MediaTypeImageConfig,
			fmt.Appendf(nil, `{"os":"windows","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, unzipped(t, base), unzipped(t, own)))
		manifest, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: config, Layers: []ocispec.Descriptor{kept, layer}})
		if err != nil {
			t.Fatal(err)
		}
		upload(t, host, "manifests/v1", ocispec.MediaTypeImageManifest, manifest)
		for _, to := range []string{"app:v2", "other:v2"} {
			out, err := run(t, mustOwn(t), "index", "--progress", "quiet", "-q", "--json", "--min-layer-size", "0", host+"/app:v1", "--to", host+"/"+to)
			if err != nil || strings.Contains(out, `"absent"`) != absent {
				t.Errorf("%v: %s", err, out)
			}
			for _, args := range [][]string{{"verify", "-q"}, {"check", "-q", "--deep", "--min-layer-size", "0"}} {
				if out, err := run(t, mustOwn(t), append(args, host+"/"+to)...); err != nil {
					t.Errorf("%q: %v: %s", args, err, out)
				}
			}
		}
	}
}

// unzipped is the digest of what is in a layer.
func unzipped(t *testing.T, layer []byte) digest.Digest {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	found, err := digest.FromReader(zip)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
