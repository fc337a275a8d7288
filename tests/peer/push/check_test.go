package push

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// `soci-layout check` against real registries: each mistake is made with the tool that makes it, and
// has to be told by its name; what is complete has no finding.

// finding is one of the report's.
type finding struct {
	Mistake, Consequence, Platform, Expected, Found, Advice string
	Blob                                                    digest.Digest
}

// checked runs the command and gives the findings; its exit code has to agree with them.
func checked(t testing.TB, reference string, extra ...string) []finding {
	t.Helper()
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"check", "--progress", "quiet", "--json", reference}, extra...)
	out, err := run(t, program, args...)
	var report struct {
		Findings []finding
		Images   []any
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil {
		t.Fatalf("check %s: %v, no JSON: %s", reference, err, out)
	}
	if (err != nil) != (len(report.Findings) > 0) {
		t.Fatalf("check %s: %d findings, but it ended with %v", reference, len(report.Findings), err)
	}
	return report.Findings
}

// wantMistakes: these mistakes and no others, in any order, each at least once.
func wantMistakes(t *testing.T, found []finding, want ...string) {
	t.Helper()
	var names []string
	for _, f := range found {
		if f.Advice == "" || f.Expected == "" || f.Found == "" {
			t.Errorf("a finding without words: %+v", f)
		}
		names = append(names, f.Mistake)
	}
	slices.Sort(names)
	slices.Sort(want)
	if names = slices.Compact(names); !slices.Equal(names, want) {
		t.Errorf("mistakes %q, want %q: %+v", names, want, found)
	}
}

// remove deletes a manifest or blob, as a clean-up does.
func remove(t *testing.T, repo Repo, path string) {
	t.Helper()
	resp, err := repo.request(http.MethodDelete, path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("DELETE %s: status %d", path, resp.StatusCode)
	}
}

func TestCheckFindsNothingInWholePushes(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, repo Repo) {
				l, g, _ := pushedBy(t, own, "multi-attest", f.name, repo)
				wantMistakes(t, checked(t, repo.Ref("v1")))
				root := l.Index.Manifests[slices.IndexFunc(l.Index.Manifests, func(d ocispec.Descriptor) bool { return refName(d) == g.Tags[0] })]
				wantMistakes(t, checked(t, repo.Ref("v1")+"@"+root.Digest.String()))
				if f.v2 {
					wantMistakes(t, checked(t, repo.Ref("v1"), "--for", "fargate"))
				} else {
					wantMistakes(t, checked(t, repo.Ref("v1"), "--for", "containerd"), "v1-where-v2-is-needed")
					wantMistakes(t, checked(t, repo.Ref("v1"), "--for", "eks", "--platform", "linux/arm64"), "v1-where-v2-is-needed")
				}
			})
		})
	}
}

// pushedBy indexes a fixture and pushes its first name with a tool.
func pushedBy(t *testing.T, tool, fx, fm string, repo Repo) (*Layout, *Group, Form) {
	t.Helper()
	f := form(t, fm)
	_, l := indexed(t, fixture(t, fx), f)
	g := l.Groups[0]
	if err := (Push{l, f, g, g.Tags[0], repo}).do(t, tool); err != nil {
		t.Fatal(err)
	}
	return l, g, f
}

func TestCheckTellsPushWithoutAll(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		f := form(t, "v2")
		_, l := indexed(t, fixture(t, "made-two-platforms"), f)
		program, err := findTool(skopeo)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Push{l, f, l.Groups[0], "v1", repo}).skopeoCopy(t, program, "v1"); err != nil {
			t.Fatal(err)
		}
		wantMistakes(t, checked(t, repo.Ref("v1")), "pushed-without-all")
	})
}

func TestCheckTellsMovedTag(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		_, g, _ := pushedBy(t, own, "made-two-platforms", "v2", repo)
		indexedDigest := g.Root.Digest
		plain := filepath.Join(t.TempDir(), "layout")
		fixture(t, "made-two-platforms").write(t, plain)
		was := mustLoad(t, plain)
		if err := (Push{was, form(t, "v2"), was.Groups[0], "v1", repo}).do(t, crane); err != nil {
			t.Fatal(err)
		}
		wantMistakes(t, checked(t, repo.Ref("v1")+"@"+indexedDigest.String()), "tag-moved", "no-index")
		wantMistakes(t, checked(t, repo.Ref("v1")), "no-index")
		wantMistakes(t, checked(t, repo.Host+"/"+repo.Name+"@"+indexedDigest.String()))
	})
}

func TestCheckTellsV1WhereV2IsNeeded(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		pushedBy(t, oras, "made-single", "v1-tagged", repo)
		wantMistakes(t, checked(t, repo.Ref("v1")))
		wantMistakes(t, checked(t, repo.Ref("v1"), "--for", "fargate"), "v1-where-v2-is-needed")
	})
}

// skopeo writes no list of referrers: without the API the nested V1 index is there, and nobody finds it.
func TestCheckTellsUnlistedIndex(t *testing.T) {
	repo := Repo{startDistribution(t), "app"}
	pushedBy(t, skopeo, "made-two-platforms", "v1-nested", repo)
	wantMistakes(t, checked(t, repo.Ref("v1")), "not-listed")
}

func TestCheckTellsZstdLayers(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "testdata", "layouts", "zstd-mixed")
	repo := Repo{startDistribution(t), "app"}
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, program, "push", "-q", dir, repo.Ref("z")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantMistakes(t, checked(t, repo.Ref("z"), "--min-layer-size", "0"), "layer-type", "no-index")
	wantMistakes(t, checked(t, repo.Ref("z")), "no-index")
}

func TestCheckTellsWhatWasDeleted(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		_, g, _ := pushedBy(t, own, "made-single", "v2", repo)
		image := g.Images[0]
		lost := image.V2.Manifest.Layers[0]
		remove(t, repo, "blobs/"+lost.Digest.String())
		found := checked(t, repo.Ref("v1"))
		wantMistakes(t, found, "ztoc-missing")
		if len(found) > 0 && found[0].Blob != lost.Digest {
			t.Errorf("it names %s, not %s", found[0].Blob, lost.Digest)
		}
		remove(t, repo, "blobs/"+image.Manifest.Layers[1].Digest.String())
		wantMistakes(t, checked(t, repo.Ref("v1")), "ztoc-missing", "blob-missing")
		remove(t, repo, "manifests/"+image.V2.Desc.Digest.String())
		wantMistakes(t, checked(t, repo.Ref("v1")), "index-deleted", "blob-missing")
	})
}

// An image whose SOCI index some tool wrote in another form: it is there, and no reader takes it.
func TestCheckTellsRejectedIndex(t *testing.T) {
	onBoth(t, func(t *testing.T, repo Repo) {
		l, g, _ := pushedBy(t, own, "made-single", "v2", repo)
		image := g.Images[0]
		raw, err := l.blob(image.V2.Desc)
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, raw, "", "  "); err != nil {
			t.Fatal(err)
		}
		d := digest.FromBytes(indented.Bytes())
		put(t, repo, d.String(), ocispec.MediaTypeImageManifest, indented.Bytes())
		manifest, err := l.blob(image.Desc)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(string(manifest), image.V2.Desc.Digest.String(), d.String())
		put(t, repo, "other", ocispec.MediaTypeImageManifest, []byte(changed))
		wantMistakes(t, checked(t, repo.Ref("other")), "rejected-index")
		// One that is another image's names none of its layers.
		_, l2 := indexed(t, fixture(t, "uncompressed"), form(t, "v2"))
		g2 := l2.Groups[0]
		if err := (Push{l2, form(t, "v2"), g2, g2.Tags[0], repo}).do(t, own); err != nil {
			t.Fatal(err)
		}
		foreign := g2.Images[0].V2.Desc.Digest.String()
		changed = strings.ReplaceAll(string(manifest), image.V2.Desc.Digest.String(), foreign)
		put(t, repo, "foreign", ocispec.MediaTypeImageManifest, []byte(changed))
		wantMistakes(t, checked(t, repo.Ref("foreign")), "other-image")
	})
}
