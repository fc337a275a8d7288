package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
	"soci-layout.test/peer/ztocdiff"
)

var (
	program  string // the binary under test
	fixtures string // the directory of real exports
	shared   string // a directory for the whole run
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if job := os.Getenv(consumeEnv); job != "" {
		return consumeHere(job)
	}
	program = os.Getenv("SOCI_LAYOUT")
	if program == "" {
		fmt.Fprintln(os.Stderr, "SOCI_LAYOUT is not set: it names the soci-layout program to judge")
		return 1
	}
	program = absolute(program)
	if _, err := os.Stat(program); err != nil {
		fmt.Fprintln(os.Stderr, "SOCI_LAYOUT:", err)
		return 1
	}
	if fixtures = os.Getenv("SOCI_FIXTURES"); fixtures == "" {
		fixtures = "../../testdata/layouts"
	}
	fixtures = absolute(fixtures)
	var err error
	if shared, err = os.MkdirTemp("", "soci-peer-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(shared)
	return m.Run()
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// outcome is what a run of the program came to.
type outcome struct {
	code   int
	output string
}

// index runs `soci-layout index`. No test may hang, so there is a limit far beyond
// what any of the layouts takes.
func index(t testing.TB, layout string, args ...string) outcome {
	t.Helper()
	return indexIn(t, nil, layout, args...)
}

func indexIn(t testing.TB, env []string, layout string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// Equality is asked also where the reference's own reader shows something else than unpacking gives.
	args = append([]string{"index", layout, "--accept", "unlike-unpacked"}, args...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("soci-layout did not come to an end: %v", cmd.Args)
	case err != nil && !errors.As(err, &exit):
		t.Fatal(err)
	}
	code := cmd.ProcessState.ExitCode()
	if code != 0 && code != 1 && code != 3 {
		t.Fatalf("soci-layout ended with %v, which is no way to end: %v\n%s", cmd.ProcessState, cmd.Args, output.Bytes())
	}
	return outcome{code, output.String()}
}

// needs fails the test when the program did not end as it has to.
func (o outcome) needs(t testing.TB, code int) {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, wanted %d:\n%s", o.code, code, tail(o.output))
	}
}

// tail is the end of an output that may be long.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// product is the corpus, made once for all tests.
var product = sync.OnceValues(func() ([]corpus.Group, error) {
	dir := filepath.Join(shared, "corpus")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	groups, missing, err := corpus.Product(dir, corpus.Contents())
	for name, err := range missing {
		fmt.Fprintf(os.Stderr, "left out: %s: %v\n", name, err)
	}
	return groups, err
})

func groups(t testing.TB) []corpus.Group {
	t.Helper()
	g, err := product()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// newLayout writes a layout into a directory that goes away with the test.
func newLayout(t testing.TB, images ...ocilayout.Image) string {
	t.Helper()
	dir, err := os.MkdirTemp(shared, "layout-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := ocilayout.Write(dir, images...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func stateOf(t testing.TB, dir string) ocilayout.State {
	t.Helper()
	state, err := ocilayout.StateOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// untouched demands that nothing in the layout has changed, not even a time.
func untouched(t testing.TB, dir string, before ocilayout.State) {
	t.Helper()
	if diff := before.Diff(stateOf(t, dir)); len(diff) > 0 {
		t.Errorf("the layout was touched:\n%s", strings.Join(diff, "\n"))
	}
}

// verdicts collects findings of several workers.
type verdicts struct {
	lock sync.Mutex
	list []string
}

func (v *verdicts) add(format string, args ...any) {
	v.lock.Lock()
	defer v.lock.Unlock()
	v.list = append(v.list, fmt.Sprintf(format, args...))
}

func (v *verdicts) report(t testing.TB) {
	t.Helper()
	const shown = 12
	for i, text := range v.list {
		if i == shown {
			t.Errorf("… and %d more", len(v.list)-shown)
			break
		}
		t.Error(text)
	}
}

// each calls f for all layers, on all processors.
func each[T any](items []T, f func(T)) {
	var workers errgroup.Group
	workers.SetLimit(runtime.NumCPU())
	for _, item := range items {
		workers.Go(func() error {
			f(item)
			return nil
		})
	}
	_ = workers.Wait()
}

// expected is a layer with what it has to become.
type expected struct {
	corpus.Layer
	reference.Expectation
}

func expect(layers []corpus.Layer, spanSize int64) []expected {
	list := make([]expected, len(layers))
	indices := make([]int, len(layers))
	for i := range indices {
		indices[i] = i
	}
	each(indices, func(i int) {
		l := layers[i]
		list[i] = expected{l, reference.Expect(l.File, l.MediaType, spanSize, reference.Tool)}
	})
	return list
}

// compareZtocs compares the zTOC of each layer in an indexed layout with the wanted one.
func compareZtocs(dir string, layers []expected) []string {
	layout, err := ocilayout.Read(dir)
	if err != nil {
		return []string{err.Error()}
	}
	ztocs, err := layout.Ztocs()
	if err != nil {
		return []string{err.Error()}
	}
	var v verdicts
	each(layers, func(l expected) {
		z, found := ztocs[l.Digest]
		if !found {
			v.add("%s: no zTOC\n  layer: %s", l.Name, keep(l.Layer))
			return
		}
		ours, err := layout.Blob(z.Digest)
		if err != nil {
			v.add("%s: %v", l.Name, err)
			return
		}
		if text := ztocdiff.Describe(ours, l.Wanted); text != "" {
			v.add("%s: zTOC differs from the wanted one\n%s  layer: %s", l.Name, text, keep(l.Layer))
		}
	})
	return v.list
}

// keep copies a layer to where it outlives the run, and says where that is.
func keep(l corpus.Layer) string {
	dir := filepath.Join(os.TempDir(), "soci-peer-failures")
	b, err := os.ReadFile(l.File)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	file := filepath.Join(dir, l.Digest.Encoded()[:16]+".layer")
	if err == nil {
		err = os.WriteFile(file, b, 0o644)
	}
	if err != nil {
		return fmt.Sprintf("could not be kept: %v", err)
	}
	return fmt.Sprintf("%s (%s)", file, l.MediaType)
}

func sizes(spanSize int64) []string {
	return []string{"--min-layer-size", "0", "--span-size", strconv.FormatInt(spanSize, 10)}
}
