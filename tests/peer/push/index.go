package push

import (
	"os"
	"path/filepath"
	"testing"
)

// Form is what soci-layout is asked to write.
type Form struct {
	name string
	args []string
	// v1, v2: which indexes an image must have. tagged: v1 stands in a list
	// under a name of its own, and the image's digests stay.
	v1, v2, tagged bool
}

var forms = []Form{
	{name: "v2", v2: true, args: []string{"--index-version", "v2"}},
	{name: "v1-nested", v1: true, args: []string{"--index-version", "v1", "--v1-shape", "nested"}},
	{name: "v1-tagged", v1: true, tagged: true, args: []string{"--index-version", "v1", "--v1-shape", "tagged"}},
	{name: "both", v1: true, v2: true, args: []string{"--index-version", "both"}},
}

// platformless is v2 with SOCI indexes that say they are for no platform.
var platformless = Form{name: "v2-platformless", v2: true, args: []string{"--index-version", "v2", "--v2-platform", "unknown"}}

func form(t testing.TB, name string) Form {
	t.Helper()
	for _, f := range forms {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("no form %s", name)
	return Form{}
}

// runIndex indexes a layout in place: every layer, with spans small enough for several per layer.
func runIndex(t testing.TB, f Form, dir string, extra ...string) (string, error) {
	t.Helper()
	program, err := sociLayout()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"index", dir, "--min-layer-size", "0", "--span-size", "65536"}, f.args...)
	return run(t, program, append(args, extra...)...)
}

// indexed gives a fixture's layout before and after indexing, the latter checked for its shape.
func indexed(t testing.TB, fx Fixture, f Form) (before, after *Layout) {
	t.Helper()
	was, is := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "layout")
	fx.write(t, was)
	copyLayout(t, was, is)
	var extra []string
	if fx.unnamed && f.tagged {
		extra = []string{"--name", "v1"} // without a name two entries could not be told apart
	}
	if out, err := runIndex(t, f, is, extra...); err != nil {
		t.Fatalf("soci-layout index: %v\n%s", err, out)
	}
	return mustLoad(t, was), mustLoad(t, is)
}

func mustLoad(t testing.TB, dir string) *Layout {
	t.Helper()
	l, err := load(dir)
	if err != nil {
		t.Fatalf("reading the layout: %v", err)
	}
	return l
}

// indexBytes gives index.json as it stands.
func indexBytes(t testing.TB, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
