package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Negative controls: pushes that do lose something, so that a check that cannot fail
// is noticed.

// onBoth runs a control against both kinds of registry.
func onBoth(t *testing.T, run func(*testing.T, Repo)) {
	for _, kind := range registryKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			run(t, Repo{kind.start(t), "app"})
		})
	}
}

func wantProblem(t *testing.T, problems report, text string) {
	t.Helper()
	if !strings.Contains(problems.String(), text) {
		t.Errorf("no problem with %q was reported, only:\n%s", text, problems)
	}
}

// pushed indexes a fixture and pushes its first name with oras.
func pushed(t *testing.T, fx, fm string, repo Repo) (*Layout, *Group, Form) {
	t.Helper()
	return pushedBy(t, oras, fx, fm, repo)
}

// The starting point of the controls below is itself a complete push.
func TestControlBaseline(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		l, g, f := pushed(t, "made-two-platforms", "both", repo)
		if problems := checkPush(t.Context(), repo, l, g, f, Outcome{}, t.TempDir()); len(problems) > 0 {
			t.Error(problems)
		}
	})
}

// An image without any SOCI index arrives whole, and no index is found.
func TestControlNotIndexed(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		dir := filepath.Join(t.TempDir(), "layout")
		fixture(t, "made-two-platforms").write(t, dir)
		l := mustLoad(t, dir)
		g := l.Groups[0]
		if err := (Push{l, form(t, "v2"), g, g.Tags[0], repo}).do(t, crane); err != nil {
			t.Fatal(err)
		}
		snap, err := newSnapshotter(repo, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range g.Images {
			if _, err := snap.findV2(t.Context(), image.Desc.Digest); !errors.Is(err, errNoIndex) {
				t.Errorf("v2: %v", err)
			}
			if _, err := snap.findV1(t.Context(), image.Desc.Digest); !errors.Is(err, errNoIndex) {
				t.Errorf("v1: %v", err)
			}
		}
	})
}

// skopeo without --all ends well and leaves the SOCI index behind, one platform only.
func TestControlSkopeoWithoutAll(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		f := form(t, "v2")
		_, l := indexed(t, fixture(t, "made-two-platforms"), f)
		g := l.Groups[0]
		program, err := findTool(skopeo)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Push{l, f, g, "v1", repo}).skopeoCopy(t, program, "v1"); err != nil {
			t.Fatal(err)
		}
		problems := checkPush(t.Context(), repo, l, g, f, Outcome{rebuilt: true}, t.TempDir())
		for i, image := range g.Images {
			if repo.hasManifest(image.V2.Desc) == nil {
				t.Errorf("image %d: its SOCI index was pushed", i)
			}
			wantProblem(t, problems, image.V2.Desc.Digest.String()+": status 404")
		}
		wantProblem(t, problems, "image 0 v2: ")
	})
}

// A push of only the tag, in the tagged form, leaves the v1 index behind.
func TestControlTagOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		f := form(t, "v1-tagged")
		_, l := indexed(t, fixture(t, "made-two-platforms"), f)
		g := l.Groups[0]
		program, err := findTool(oras)
		if err != nil {
			t.Fatal(err)
		}
		asV2 := Push{l, form(t, "v2"), g, "v1", repo} // oras without -r
		if err := asV2.oras(t, program); err != nil {
			t.Fatal(err)
		}
		problems := checkPush(t.Context(), repo, l, g, f, Outcome{}, t.TempDir())
		wantProblem(t, problems, "image 0 v1: "+errNoIndex.Error())
		wantProblem(t, problems, g.Images[1].V1.Desc.Digest.String()+": status 404")
	})
}

// A list without artifactType in its descriptor leads nowhere where there is no API.
func TestControlListWithoutType(t *testing.T) {
	repo := Repo{startDistribution(t), "app"}
	f := form(t, "v1-tagged")
	_, l := indexed(t, fixture(t, "made-single"), f)
	g := l.Groups[0]
	if err := (Push{l, f, g, "v1", repo}).do(t, crane); err != nil {
		t.Fatal(err)
	}
	list, ok := l.listOf(g.Images[0].Desc.Digest)
	if !ok {
		t.Fatal("no list in the layout")
	}
	list.Manifests[0].ArtifactType = ""
	put(t, repo, listTag(g.Images[0].Desc.Digest), list.MediaType, []byte(toJSON(list)))
	problems := checkPush(t.Context(), repo, l, g, f, Outcome{}, t.TempDir())
	wantProblem(t, problems, "image 0 v1: "+errNoIndex.Error())
}

// A zTOC that is lost in the registry is missed by the plain reads and by the lookup.
func TestControlLostZtoc(t *testing.T) {
	repo := Repo{startDistribution(t), "app"}
	l, g, f := pushed(t, "made-single", "v2", repo)
	lost := g.Images[0].V2.Manifest.Layers[1]
	link := filepath.Join(repo.Storage, "docker", "registry", "v2", "repositories", repo.Name,
		"_layers", "sha256", lost.Digest.Encoded())
	if _, err := os.Stat(link); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(link); err != nil {
		t.Fatal(err)
	}
	problems := checkPush(t.Context(), repo, l, g, f, Outcome{}, t.TempDir())
	wantProblem(t, problems, "blob "+lost.Digest.String()+": status 404")
	wantProblem(t, problems, "image 0 v2: ")
}

// A SOCI index in any other encoding than the reference's own is refused by its reader.
func TestControlIndentedIndex(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		l, g, _ := pushed(t, "made-single", "v2", repo)
		image := g.Images[0]
		raw, err := l.blob(image.V2.Desc)
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, raw, "", "  "); err != nil {
			t.Fatal(err)
		}
		if canonical(raw) != nil || canonical(indented.Bytes()) == nil {
			t.Error("canonical does not tell the encodings apart")
		}
		d := ocispec.Descriptor{Digest: digest.FromBytes(indented.Bytes())}
		put(t, repo, d.Digest.String(), ocispec.MediaTypeImageManifest, indented.Bytes())
		snap, err := newSnapshotter(repo, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := snap.use(t.Context(), d, &Soci{Desc: d, Manifest: image.V2.Manifest}, image); err == nil {
			t.Error("the indented index was accepted")
		}
	})
}

// put stores a manifest under a tag or its digest.
func put(t *testing.T, repo Repo, reference, mediaType string, body []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, "http://"+repo.Host+"/v2/"+repo.Name+"/manifests/"+reference, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: status %d", reference, resp.StatusCode)
	}
}
