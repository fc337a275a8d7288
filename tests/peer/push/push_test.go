package push

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/log"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		defer os.RemoveAll(emptyHome())
		_ = log.SetLevel("fatal") // the reference tells every fetch, distribution every 404
		if err := ready(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// ready asks for every program at once: a missing one fails the run at its start.
func ready() error {
	if _, err := sociLayout(); err != nil {
		return err
	}
	for _, tool := range append([]string{distribution}, tools...) {
		if _, err := findTool(tool); err != nil {
			return err
		}
	}
	_, err := skopeoKeepsIndex()
	return err
}

// TestMatrix pushes every layout in every form with every tool to both kinds of registry.
func TestMatrix(t *testing.T) {
	keeps, err := skopeoKeepsIndex()
	if err != nil {
		t.Fatal(err)
	}
	for _, fx := range fixtures {
		t.Run(fx.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range append([]Form{platformless}, forms...) {
				t.Run(f.name, func(t *testing.T) {
					before, after := indexed(t, fx, f)
					if problems := shapeProblems(before, after, f); len(problems) > 0 {
						t.Fatalf("the indexed layout:\n%s", strings.Join(problems, "\n"))
					}
					for _, tool := range tools {
						for _, kind := range registryKinds {
							cell := Cell{fixture: fx, form: f, tool: tool, oldSkopeo: tool == skopeo && !keeps}
							t.Run(tool+"/"+kind.name, func(t *testing.T) {
								t.Parallel()
								for _, g := range after.Groups {
									pushAndCheck(t, cell, after.Dir, g, kind.start(t))
								}
							})
						}
					}
				})
			}
		})
	}
}

// pushAndCheck pushes all names of one image from a copy of the layout to an empty registry.
func pushAndCheck(t *testing.T, cell Cell, dir string, g *Group, registry *Registry) {
	t.Helper()
	cell.referrers = registry.HasReferrers
	want := cell.outcome()

	source := filepath.Join(t.TempDir(), "layout")
	copyLayout(t, dir, source)
	layout := mustLoad(t, source)
	repo := Repo{registry, "app"}
	for _, tag := range g.Tags {
		err := Push{layout, cell.form, g, tag, repo}.do(t, cell.tool)
		if want.fails != "" {
			if err == nil || !strings.Contains(err.Error(), want.fails) {
				t.Errorf("want the failure %q, got %v", want.fails, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("push of %q: %v", tag, err)
		}
	}
	if problems := checkPush(t.Context(), repo, layout, g, cell.form, want, t.TempDir()); len(problems) > 0 {
		t.Errorf("%s\nknown for this combination: %s", problems, strings.Join(want.why, "; "))
	}
	if cell.pushesLists() && !want.altered {
		checkLists(t, repo, layout, want)
	}
	if indexBytes(t, source) != indexBytes(t, dir) {
		t.Error("the push changed index.json of the layout")
	}
}

// checkLists looks at the lists that were pushed as tags.
func checkLists(t *testing.T, repo Repo, layout *Layout, want Outcome) {
	t.Helper()
	for _, d := range layout.Lists {
		var list ocispec.Index
		if err := layout.read(d, &list); err != nil {
			t.Fatal(err)
		}
		if err := checkIndex(repo, refName(d), d, list.Manifests, want.listRebuilt); err != nil {
			t.Errorf("list %s: %v", refName(d), err)
		}
	}
}

// Without the superseded manifests nothing may be missed: oras follows every subject.
func TestPruned(t *testing.T) {
	for _, name := range []string{"v2", "both"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := form(t, name)
			dir := filepath.Join(t.TempDir(), "layout")
			fixture(t, "multi-attest").write(t, dir)
			before := mustLoad(t, dir)
			if out, err := runIndex(t, f, dir, "--prune"); err != nil {
				t.Fatalf("soci-layout index: %v\n%s", err, out)
			}
			after := mustLoad(t, dir)
			for _, image := range before.Groups[0].Images {
				if _, err := after.blob(image.Desc); err == nil {
					t.Errorf("superseded manifest %s is still there", image.Desc.Digest)
				}
			}
			cell := Cell{fixture: fixture(t, "multi-attest"), form: f, tool: oras}
			pushAndCheck(t, cell, dir, after.Groups[0], startDistribution(t))
		})
	}
}

// An entry without a name would become one of several once it gets a list, and no tool
// could tell them apart: soci-layout refuses, and does it when given a name.
func TestTaggedNeedsName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	fixture(t, "made-unnamed").write(t, dir)
	was := indexBytes(t, dir)
	if out, err := runIndex(t, form(t, "v1-tagged"), dir); err == nil {
		t.Errorf("it was indexed: %s", out)
	}
	if indexBytes(t, dir) != was {
		t.Error("index.json was changed")
	}
	if out, err := runIndex(t, form(t, "v1-tagged"), dir, "--name", "v1"); err != nil {
		t.Fatalf("with --name: %v\n%s", err, out)
	}
	if l := mustLoad(t, dir); refName(l.Index.Manifests[0]) != "v1" || len(l.Lists) != 1 {
		t.Errorf("index.json with --name: %s", indexBytes(t, dir))
	}
}
