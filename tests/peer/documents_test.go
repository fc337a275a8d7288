package peer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/documents"
)

// seen is what `soci-layout inspect --json` shows of the documents.
type seen struct {
	Roots  []seenEntry
	Images []struct {
		Digest digest.Digest
		Layers []seenLayer
	}
	Soci []struct {
		Digest digest.Digest
		Ztocs  []seenZtoc
	} `json:"soci_indexes"`
}

type seenEntry struct {
	Names           []string
	Digest          string
	MediaType       string `json:"media_type"`
	ArtifactType    string `json:"artifact_type"`
	Size            int64
	Kind, Problem   string
	Platform, Image *string
	Subject         *digest.Digest
	Present         *bool
	Entries         []seenEntry
}

type seenLayer struct {
	Digest    digest.Digest
	MediaType string `json:"media_type"`
	Size      int64
}

type seenZtoc struct {
	Digest, Layer digest.Digest
	Size          int64
}

// said is how a command ended.
type said struct {
	code        int
	out, errors string
}

func perform(args ...string) (said, error) {
	cmd := exec.Command(program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return said{}, err
	}
	s := said{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	if s.code != 0 && s.code != 1 {
		return s, fmt.Errorf("%v: exit code %d: %s", args, s.code, errs.String())
	}
	return s, nil
}

// Random documents: either a document is refused by name, or what is seen in it is what Go's decoder sees. What
// Go's decoder finds referred to is never removed.
func TestDocumentsAsGoSeesThem(t *testing.T) {
	bases, err := documentBases(t)
	if err != nil {
		t.Fatal(err)
	}
	first := uint64(number(t, "SOCI_PEER_DOCUMENT_SEED", 1))
	count := number(t, "SOCI_PEER_DOCUMENTS", 300)
	seeds := make([]uint64, count)
	for i := range seeds {
		seeds[i] = first + uint64(i)
	}
	var v verdicts
	var tally documentTally
	each(seeds, func(seed uint64) {
		random := rand.New(rand.NewPCG(seed, 13))
		base := bases[random.IntN(len(bases))]
		c := base.Change(random, random.IntN(3) == 0)
		one := documentCase{layout: base, changed: c, random: random}
		one.run(filepath.Join(shared, fmt.Sprintf("documents-%d", seed)))
		for _, problem := range one.problems {
			v.add("seed %d, %s:\n  %s\n  %s", seed, base.Name, strings.Join(c.Changes, "\n  "), problem)
		}
		tally.add(&one)
	})
	v.report(t)
	tally.judge(t, count)
}

// documentBases are the kinds of layouts, without and with SOCI indexes of each form.
func documentBases(t *testing.T) ([]*documents.Layout, error) {
	var list []*documents.Layout
	kinds := documents.Bases()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, form := range []string{"", "v2", "v1 nested", "v1 tagged", "both nested"} {
			files := kinds[kind]
			if version, shape, ok := strings.Cut(form+" nested", " "); ok && form != "" {
				dir := filepath.Join(t.TempDir(), "layout")
				if err := files.Write(dir); err != nil {
					return nil, err
				}
				shape, _, _ = strings.Cut(shape, " ")
				o := index(t, dir, "--min-layer-size=0", "--prune", "--index-version="+version, "--v1-shape="+shape)
				if o.code != 0 {
					continue // index.json without names has no tagged shape
				}
				var err error
				if files, err = documents.ReadFiles(dir); err != nil {
					return nil, err
				}
			}
			l, err := documents.NewLayout(kind+", "+form, files)
			if err != nil {
				return nil, err
			}
			list = append(list, l)
		}
	}
	return list, nil
}

// documentCase is one layout with changes.
type documentCase struct {
	layout   *documents.Layout
	changed  *documents.Changed
	random   *rand.Rand
	problems []string
	// refused: not all was shown; indexed: an index was written.
	refused, indexed, collected bool
}

func (c *documentCase) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *documentCase) run(dir string) {
	defer os.RemoveAll(dir)
	if err := c.commands(dir); err != nil {
		c.problem("%v", err)
	}
}

func (c *documentCase) commands(dir string) error {
	layout := filepath.Join(dir, "a")
	if err := c.changed.Write(layout); err != nil {
		return err
	}
	view := documents.See(c.changed.Files)
	inspected, err := perform("inspect", "--json", layout)
	if err != nil {
		return err
	}
	c.compare(view, inspected)
	if err := c.verify(view, layout); err != nil {
		return err
	}
	if err := c.gc(layout); err != nil {
		return err
	}
	return c.index(view, filepath.Join(dir, "b"))
}

func (c *documentCase) verify(view *documents.View, layout string) error {
	verified, err := perform("verify", "--json", "--quiet", layout)
	if err != nil {
		return err
	}
	var report struct{ Findings []finding }
	if err := json.Unmarshal([]byte(verified.out), &report); err != nil {
		if verified.code == 0 || c.changed.Legal || !names(verified.errors) {
			c.problem("verify: exit code %d: %s", verified.code, verified.errors)
		}
		return nil
	}
	wrong := ""
	for _, e := range imagesOf(view.Entries) {
		if what := c.unpullable(e); what != "" {
			wrong = what
		}
	}
	unpullable := slices.ContainsFunc(report.Findings, func(f finding) bool { return f.Consequence == "unpullable" })
	if wrong != "" && !unpullable {
		c.problem("verify finds nothing, but %s: %+v", wrong, report.Findings)
	}
	if c.changed.Legal && unpullable {
		c.problem("verify: %+v", report.Findings)
	}
	return nil
}

// unpullable tells what is wrong with an image by Go's view of its documents.
func (c *documentCase) unpullable(e *documents.Entry) string {
	if e.ConfigProblem != nil {
		return fmt.Sprintf("the configuration of %s cannot be decoded: %v", e.Digest, e.ConfigProblem)
	}
	if e.Config == nil {
		return "the configuration of " + e.Digest.String() + " is missing"
	}
	ids := e.Config.RootFS.DiffIDs
	if len(ids) != len(e.Manifest.Layers) {
		return fmt.Sprintf("%s: %d diff IDs", e.Digest, len(ids))
	}
	for i, layer := range e.Manifest.Layers {
		if !images.IsLayerType(layer.MediaType) || !strings.HasSuffix(layer.MediaType, "gzip") {
			continue
		}
		if id := c.changed.DiffID(layer.Digest); id != ids[i] {
			return fmt.Sprintf("%s: layer %d: diff ID %s, of the layer %s", e.Digest, i, ids[i], id)
		}
	}
	return ""
}

func imagesOf(entries []*documents.Entry) []*documents.Entry {
	var list []*documents.Entry
	for _, e := range entries {
		if e.Manifest != nil && e.Problem == nil && kindOf(e, false) == "image" {
			list = append(list, e)
		}
		list = append(list, imagesOf(e.Entries)...)
	}
	return list
}

// names tells whether an error names a document.
func names(message string) bool {
	places := []string{"index.json", "oci-layout", "blob sha256:", "image configuration sha256:", "SOCI index sha256:"}
	return strings.Contains(message, "holds no container image") || slices.ContainsFunc(places, func(place string) bool { return strings.Contains(message, place) })
}

func (c *documentCase) gc(dir string) error {
	collected, err := perform("gc", "--min-age=0", "--quiet", dir)
	if err != nil {
		return err
	}
	after, err := documents.ReadFiles(dir)
	if err != nil {
		return err
	}
	c.keeps("gc", c.changed.Files, after)
	c.collected = collected.code == 0
	switch {
	case !c.collected && c.changed.Legal:
		c.problem("gc: %s", collected.errors)
	case !c.collected && len(after) != len(c.changed.Files):
		c.problem("gc fails and removes something: %s", collected.errors)
	case c.collected && after.Has(c.layout.Garbage):
		c.problem("gc removes nothing")
	}
	return nil
}

// keeps demands that nothing is gone that the documents of now lead to.
func (c *documentCase) keeps(what string, before, after documents.Files) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range documents.Referenced(all) {
		if !after.Has(name) {
			c.problem("%s removes %s, which is referred to", what, name)
		}
	}
}

func (c *documentCase) index(view *documents.View, dir string) error {
	if err := c.changed.Write(dir); err != nil {
		return err
	}
	version := []string{"v2", "v1", "both"}[c.random.IntN(3)]
	indexed, err := perform("index", "--quiet", "--min-layer-size=0", "--index-version="+version, dir)
	if err != nil {
		return err
	}
	after, err := documents.ReadFiles(dir)
	if err != nil {
		return err
	}
	c.keeps("index", c.changed.Files, after)
	c.indexed = indexed.code == 0
	if !c.indexed {
		if c.changed.Legal {
			c.problem("index: %s", indexed.errors)
		}
		if !maps.EqualFunc(after, c.changed.Files, bytes.Equal) {
			c.problem("index fails and changes the layout")
		}
		return nil
	}
	c.carried(view, documents.See(after))
	removed, err := perform("remove", "--quiet", "--prune", dir)
	if err != nil {
		return err
	}
	if removed.code != 0 {
		c.problem("remove: %s", removed.errors)
	}
	last, err := documents.ReadFiles(dir)
	if err != nil {
		return err
	}
	c.keeps("remove --prune", after, last)
	if plain := strings.HasSuffix(c.layout.Name, ", "); plain && !bytes.Equal(last["index.json"], c.changed.Files["index.json"]) {
		c.problem("index.json after remove:\n%s\nwas\n%s", last["index.json"], c.changed.Files["index.json"])
	}
	c.carried(view, documents.See(last))
	return nil
}

// carried demands that the images of before are the images of now, with all that Go sees of them.
func (c *documentCase) carried(before, after *documents.View) {
	if after.Problem != nil {
		c.problem("what is written cannot be decoded: %v", after.Problem)
		return
	}
	now := make(map[string]int)
	for _, e := range imagesOf(after.Entries) {
		now[summary(e, e.Platform())]++
	}
	for _, e := range imagesOf(before.Entries) {
		text := summary(e, e.Platform())
		// Who pulls an image that stands alone goes by its configuration, so that counts once an index is around it.
		if alone := *e; now[text] == 0 && !e.Nested {
			alone.Descriptor.Platform = nil
			text = summary(e, alone.Platform())
		}
		if now[text]--; now[text] < 0 {
			c.problem("lost: %s\n  there is %v", text, slices.Sorted(maps.Keys(now)))
		}
	}
}

// summary is all of an image that Go sees and that an index does not change.
func summary(e *documents.Entry, platform string) string {
	var layers []string
	for _, layer := range e.Manifest.Layers {
		layers = append(layers, fmt.Sprintf("%s %d %q %q", layer.Digest, layer.Size, layer.Annotations, layer.URLs))
	}
	annotations := maps.Clone(e.Manifest.Annotations)
	delete(annotations, "com.amazon.soci.index-digest")
	own := maps.Clone(e.All)
	maps.DeleteFunc(own, func(name, _ string) bool {
		return name == ocispec.AnnotationRefName || strings.HasPrefix(name, "io.containerd.") ||
			strings.HasPrefix(name, "com.amazon.soci.") || strings.HasPrefix(name, "soci-layout.")
	})
	return fmt.Sprintf("%s of %s %q, layers %q, annotations %q %q", platform, e.Manifest.Config.Digest,
		e.Manifest.Config.Annotations, layers, annotations, own)
}

// documentTally counts what came of the cases: a test that only sees refusals says nothing.
type documentTally struct {
	verdicts
	legal, other, shown, indexed, collected int
}

func (t *documentTally) add(c *documentCase) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if c.changed.Legal {
		t.legal++
		return
	}
	t.other++
	for counter, is := range map[*int]bool{&t.shown: !c.refused, &t.indexed: c.indexed, &t.collected: c.collected} {
		if is {
			*counter++
		}
	}
}

func (t *documentTally) judge(test *testing.T, count int) {
	test.Logf("%d legal; of %d others %d shown, %d indexed, %d collected", t.legal, t.other, t.shown, t.indexed, t.collected)
	if t.legal < count/5 || t.shown < t.other/5 || t.shown > t.other*4/5 {
		test.Error("the changes are too tame or too wild to show anything")
	}
}
