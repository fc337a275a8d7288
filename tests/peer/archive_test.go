package peer_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestArchivesGoThroughSkopeo takes what skopeo writes as an oci-archive, as a file and
// through a pipe, and lets skopeo read the archive that comes out.
func TestArchivesGoThroughSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Fatal("skopeo is not installed: run tests/setup.sh")
	}
	dir := t.TempDir()
	run := func(argv ...string) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	run(skopeo, "copy", "oci:"+filepath.Join(fixtures, "single")+":v1", "oci-archive:in.tar:v1")
	in, out := filepath.Join(dir, "in.tar"), filepath.Join(dir, "out.tar")
	small := []string{"--min-layer-size", "0", "--span-size", "64KiB"}
	index(t, in, append(small, "--output", out)...).needs(t, 0)

	// The same through a pipe, and the same again: an archive depends on its content alone.
	piped := exec.Command(program, append([]string{"index", "-", "--quiet", "--output", "-"}, small...)...)
	piped.Stdin = open(t, in)
	archive, err := piped.Output()
	if err != nil {
		t.Fatalf("%v: %v", piped.Args, err)
	}
	if file, err := os.ReadFile(out); err != nil || !bytes.Equal(file, archive) {
		t.Fatalf("the archive in a file is another one than that on standard output (%v)", err)
	}

	// skopeo checks every digest on its way.
	run(skopeo, "copy", "--all", "oci-archive:out.tar:v1", "dir:copied")
	var ztocs, layers int
	err = filepath.WalkDir(filepath.Join(dir, "copied"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		switch {
		case bytes.HasPrefix(content, []byte{0x1f, 0x8b}):
			layers++
		case strings.Contains(string(content), `"application/vnd.amazon.soci.index.v2+json"`):
			ztocs++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if layers == 0 || ztocs == 0 {
		t.Errorf("%d layers and %d documents of SOCI in what skopeo copied", layers, ztocs)
	}

	// And what it says is what the directory gives.
	unpacked := filepath.Join(dir, "unpacked")
	run("mkdir", unpacked)
	run("tar", "-xf", "out.tar", "-C", unpacked)
	got := verify(t, unpacked)
	got.needs(t, 0)
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}
