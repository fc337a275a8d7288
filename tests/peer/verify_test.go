package peer_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// verify runs `soci-layout verify`.
func verify(t testing.TB, layout string) outcome {
	t.Helper()
	cmd := exec.Command(program, "verify", "--quiet", layout)
	output, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, output)
	}
	return outcome{cmd.ProcessState.ExitCode(), string(output)}
}

// What the reference writes must have no finding.
func TestVerifyPassesTheReference(t *testing.T) {
	var passed atomic.Int32
	// The fixtures may be in parallel; the outer run waits for all of them.
	t.Run("fixtures", func(t *testing.T) {
		eachFixture(t, func(t *testing.T, fixture string, _ golden) {
			converted := filepath.Join(t.TempDir(), "converted")
			if _, err := reference.Convert(context.Background(), fixture, converted, fixtureOptions); err != nil {
				t.Skipf("the reference does not convert it: %v", err)
			}
			layout, err := ocilayout.Read(converted)
			if err != nil {
				t.Fatal(err)
			}
			if len(layout.Soci) == 0 {
				t.Skip("the reference indexes nothing here")
			}
			got := verify(t, converted)
			got.needs(t, 0)
			if got.output != "" {
				t.Errorf("findings without an exit code:\n%s", got.output)
			}
			passed.Add(1)
		})
	})
	if n := passed.Load(); n < 8 {
		t.Errorf("only %d layouts of the reference", n)
	}
}

// The same for v1, which the reference makes in a content store only: its index and its
// zTOCs stand in the layout beside the image.
func TestVerifyPassesTheReferenceV1(t *testing.T) {
	var passed atomic.Int32
	t.Run("fixtures", func(t *testing.T) {
		eachFixture(t, func(t *testing.T, fixture string, g golden) {
			for i, root := range g.roots() {
				if root.ExitCode != 0 {
					continue
				}
				from, to := rootAlone(t, fixture, i), filepath.Join(t.TempDir(), "v1")
				made, err := reference.BuildV1Layout(context.Background(), from, to, fixtureOptions)
				if err != nil {
					t.Fatalf("root %d: %v", i, err)
				}
				got := verify(t, to)
				got.needs(t, 0)
				if got.output != "" || len(made) == 0 {
					t.Errorf("root %d, %d indexes:\n%s", i, len(made), got.output)
				}
				// Without the index there is a finding: it was looked at.
				if err := os.Remove(ocilayout.BlobFile(to, made[0].Digest)); err != nil {
					t.Fatal(err)
				}
				verify(t, to).needs(t, 1)
				passed.Add(1)
			}
		})
	})
	if n := passed.Load(); n < 8 {
		t.Errorf("only %d layouts of the reference", n)
	}
}
