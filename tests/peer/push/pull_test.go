package push

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The rule for every shape of layout: whoever could pull a platform before `index` can pull it
// afterwards and finds the same layers, and `remove --prune` gives the layout back byte for byte.

// everything runs the full product of push tools and consumers (make foreign); otherwise a part of it.
var everything = os.Getenv("SOCI_PULL") == "all"

func TestPullsAsBefore(t *testing.T) {
	for i, fx := range slices.Concat(fixtures, exports, foreign) {
		t.Run(fx.name, func(t *testing.T) {
			t.Parallel()
			was := filepath.Join(t.TempDir(), "layout")
			fx.write(t, was)
			for j, f := range forms {
				t.Run(f.name, func(t *testing.T) {
					// Before any form pushes from it: push tools put lock files beside index.json for a moment.
					is := filepath.Join(t.TempDir(), "layout")
					copyLayout(t, was, is)
					t.Parallel()
					problems := indexShape(t, fx, f, is)
					turns := []int{i + j}
					if everything {
						turns = []int{0, 1, 2, 3, 4}
					}
					for _, turn := range turns {
						problems = append(problems, comparePulls(t, fx, f, was, is, turn)...)
					}
					judge(t, fx, f, append(problems, removed(t, fx, f, was, is)...))
				})
			}
		})
	}
}

// indexShape indexes a layout, or asks for the reason where it is to be left alone.
func indexShape(t testing.TB, fx Fixture, f Form, dir string) (problems []string) {
	t.Helper()
	before := indexBytes(t, dir)
	var extra []string
	if fx.unnamed && f.tagged {
		extra = []string{"--name", "v1"}
	}
	out, err := runIndex(t, f, dir, extra...)
	changed := indexBytes(t, dir) != before
	if reason := fx.leaves(f); reason != "" {
		if changed || !strings.Contains(out, reason) {
			return []string{fmt.Sprintf("index: want it left alone with %q; changed: %t, %v\n%s", reason, changed, err, out)}
		}
	} else if err != nil || !changed {
		return []string{fmt.Sprintf("index: changed: %t, %v\n%s", changed, err, out)}
	}
	return nil
}

// comparePulls pushes both layouts with one tool, and pulls every image for every platform from both.
func comparePulls(t testing.TB, fx Fixture, f Form, was, is string, turn int) (problems []string) {
	t.Helper()
	tool, before, images := carryAny(t, fx, f, was, turn)
	if tool == "" {
		if fx.unpushed {
			return nil
		}
		t.Fatal("no tool could push the layout before it was indexed")
	}
	if fx.unpushed {
		t.Fatalf("%s could push it", tool)
	}
	after := Repo{startReferrers(t), "app"}
	newImages, err := carry(t, tool, fx, f, is, after)
	if err != nil || len(newImages) != len(images) {
		return []string{fmt.Sprintf("%s pushed %d images before, afterwards %d: %v", tool, len(images), len(newImages), err)}
	}
	for k, puller := range pullers {
		if !everything && !fx.foreign && k != 0 && k != 1+turn%(len(pullers)-1) {
			continue
		}
		for i, image := range images {
			for _, p := range image.platforms {
				if problem := comparePull(t, puller, before, after, image.tag, newImages[i].tag, p); problem != "" {
					problems = append(problems, fmt.Sprintf("%s %s %s, pushed by %s: %s", puller.name, image.tag, platforms.Format(p), tool, problem))
				}
			}
		}
	}
	return problems
}

// comparePull gives what is wrong; a consumer that got nothing before may get nothing afterwards.
func comparePull(t testing.TB, puller Puller, before, after Repo, tag, newTag string, p ocispec.Platform) string {
	t.Helper()
	want, err := puller.pull(t, before, tag, p, t.TempDir())
	if err != nil {
		return ""
	}
	got, err := puller.pull(t, after, newTag, p, t.TempDir())
	if err != nil {
		return fmt.Sprintf("pulled before, not afterwards: %v", err)
	}
	if !slices.Equal(got.Layers, want.Layers) || got.Config != want.Config {
		return fmt.Sprintf("pulled %v, before %v", got, want)
	}
	return ""
}

// pushedImage is what can be pulled: a tag, and the platforms that it has images for.
type pushedImage struct {
	tag       string
	platforms []ocispec.Platform
}

// carryAny pushes with the first tool from `turn` on that can, to a registry of its own.
func carryAny(t testing.TB, fx Fixture, f Form, dir string, turn int) (string, Repo, []pushedImage) {
	t.Helper()
	for i := range tools {
		tool := tools[(turn+i)%len(tools)]
		repo := Repo{startReferrers(t), "app"}
		if images, err := carry(t, tool, fx, Form{name: f.name}, dir, repo); err == nil && len(images) > 0 {
			return tool, repo, images
		}
	}
	return "", Repo{}, nil
}

// carry pushes every image that has a name, or is the only one.
func carry(t testing.TB, tool string, fx Fixture, f Form, dir string, repo Repo) (images []pushedImage, err error) {
	t.Helper()
	layout := mustLoad(t, dir)
	add := func(tag string, groups ...*Group) error {
		list, err := platformsOf(layout, groups...)
		images = append(images, pushedImage{tag, list})
		return err
	}
	if fx.rootIndex { // the only way to push it
		if tool != crane {
			return nil, fmt.Errorf("%s does not push index.json itself", tool)
		}
		if err := command(t, crane, "push", "--index", dir, repo.Ref("latest")); err != nil {
			return nil, err
		}
		err := add("latest", layout.Groups...)
		return images, err
	}
	for _, g := range layout.Groups {
		for _, tag := range g.Tags {
			if tag == "" && len(layout.Index.Manifests) > 1 {
				continue
			}
			push := Push{layout, f, g, tag, repo}
			if err := push.do(t, tool); err != nil {
				return nil, err
			}
			if err := add(push.target(), g); err != nil {
				return nil, err
			}
		}
	}
	return images, nil
}

// removed: the layout is again what it was.
func removed(t testing.TB, fx Fixture, f Form, was, is string) (problems []string) {
	t.Helper()
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	if fx.leaves(f) != "" {
		return nil // what a tool wrote before is not taken back here
	}
	if out, err := run(t, program, "remove", is, "--prune"); err != nil {
		return []string{fmt.Sprintf("remove: %v\n%s", err, out)}
	}
	want, got := tree(t, was), tree(t, is)
	if fx.unnamed && f.tagged {
		got["/index.json"] = want["/index.json"] // it keeps the name that it was given
	}
	for name, content := range want {
		if got[name] != content {
			problems = append(problems, fmt.Sprintf("remove: %s is not as before:\n%.300q\n%.300q", name, got[name], content))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			problems = append(problems, "remove: there is a new "+name)
		}
	}
	return problems
}

// judge: nothing is wrong but what the table says, and that is still so.
func judge(t *testing.T, fx Fixture, f Form, problems []string) {
	t.Helper()
	text := strings.Join(problems, "\n")
	known := false
	for _, e := range pullExceptions {
		if !slices.Contains(e.fixtures, fx.name) || len(e.forms) > 0 && !slices.Contains(e.forms, f.name) {
			continue
		}
		known = true
		if !strings.Contains(text, e.text) {
			t.Errorf("no longer so, take it out of the table: %s", e.why)
		}
		problems = slices.DeleteFunc(problems, func(p string) bool { return strings.Contains(p, e.text) })
	}
	if len(problems) > 0 {
		t.Errorf("known: %t\n%s", known, strings.Join(problems, "\n"))
	}
}

// tree gives every file of a directory with its content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// With SOCI indexes in front of the images every consumer takes the wrong manifest: the comparison notices.
func TestControlSociIndexesFirst(t *testing.T) {
	fx, f := fixture(t, "made-two-platforms"), form(t, "v2")
	was, l := indexed(t, fx, f)
	g := l.Groups[0]
	w := &writer{t, l.Dir}
	slices.Reverse(g.Children)
	w.index(named(w.list(g.Children...), "v1"))
	before, after := Repo{startReferrers(t), "app"}, Repo{startReferrers(t), "app"}
	for dir, repo := range map[string]Repo{was.Dir: before, l.Dir: after} {
		if _, err := carry(t, oras, fx, f, dir, repo); err != nil {
			t.Fatal(err)
		}
	}
	for _, puller := range pullers {
		if comparePull(t, puller, before, after, "v1", "v1", ocispec.Platform{OS: "linux", Architecture: "amd64"}) == "" {
			t.Errorf("%s: nothing is wrong", puller.name)
		}
	}
}
