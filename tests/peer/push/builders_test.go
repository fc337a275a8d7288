//go:build foreign

package push

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Who can build on an indexed image, load its layout or carry it on (make foreign). The table is the
// one of docs/push-interop.md; every cell is asserted, also those that fail.

type user struct {
	name string
	// use works on the pushed image or its layout, and leaves the result under the tag `built`.
	use func(t *testing.T, l *Layout, from Repo) error
	// fails: by form, what it says where it cannot.
	fails map[string]string
	// carries: it makes no other image, and every SOCI index of this one has to arrive.
	carries bool
	// loses: what it stores and pushes again is the image alone, its layers compressed anew.
	loses bool
}

// in gives the same message for several forms.
func in(text string, forms ...string) map[string]string {
	fails := map[string]string{}
	for _, form := range forms {
		fails[form] = text
	}
	return fails
}

var users = []user{
	{name: "crane append", use: func(t *testing.T, _ *Layout, from Repo) error {
		return command(t, crane, "append", "--platform", "linux/amd64", "-b", from.Ref("v1"), "-f", oneFile(t), "-t", from.Ref("built"))
	}},
	{name: "crane mutate", use: func(t *testing.T, _ *Layout, from Repo) error {
		return command(t, crane, "mutate", "--label", "a=b", "-t", from.Ref("built"), from.Ref("v1"))
	}},
	{name: "crane flatten", fails: in("invalid tar header", "v2", "both"), use: func(t *testing.T, _ *Layout, from Repo) error {
		return command(t, crane, "flatten", "-t", from.Ref("built"), from.Ref("v1"))
	}},
	{name: "jib", fails: in("artifactType", "v2", "v1-nested", "both"), use: func(t *testing.T, _ *Layout, from Repo) error {
		work := filepath.Join("..", "..", "..")
		return failure(run(t, "java", "-cp", filepath.Join(work, ".work", "foreign", "jib", "lib", "*"),
			filepath.Join(work, "tests", "foreign", "Jib.java"), "on", from.Ref("v1"), from.Ref("built"), t.TempDir()))
	}},
	{name: "buildah", use: func(t *testing.T, _ *Layout, from Repo) error {
		store := storage(t)
		out, err := run(t, "buildah", append(store, "from", "-q", "--tls-verify=false", "docker://"+from.Ref("v1"))...)
		if err != nil {
			return failure(out, err)
		}
		name := strings.TrimSpace(out)
		for _, args := range [][]string{
			{"copy", "-q", name, oneFile(t), "/new"},
			{"commit", "-q", name, "built"},
			{"push", "-q", "--tls-verify=false", "built", "docker://" + from.Ref("built")},
		} {
			if err := failure(run(t, "buildah", append(slices.Clone(store), args...)...)); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "podman pull, push", use: func(t *testing.T, _ *Layout, from Repo) error {
		store := storage(t)
		if err := failure(run(t, "podman", append(slices.Clone(store), "pull", "-q", "--tls-verify=false", from.Ref("v1"))...)); err != nil {
			return err
		}
		return failure(run(t, "podman", append(store, "push", "-q", "--tls-verify=false", from.Ref("v1"), "docker://"+from.Ref("built"))...))
	}},
	{name: "podman load", loses: true, fails: in("more than one image in oci", "v1-tagged"), use: func(t *testing.T, l *Layout, from Repo) error {
		store := storage(t)
		out, err := run(t, "podman", append(slices.Clone(store), "load", "-q", "-i", packed(t, l.Dir))...)
		if err != nil {
			return failure(out, err)
		}
		name := strings.TrimSpace(out[strings.LastIndex(out, "Loaded image: ")+len("Loaded image: "):])
		return failure(run(t, "podman", append(store, "push", "-q", "--tls-verify=false", name, "docker://"+from.Ref("built"))...))
	}},
	{name: "umoci insert", fails: in("tag is ambiguous", "v2", "v1-nested", "both"), use: func(t *testing.T, l *Layout, from Repo) error {
		dir := filepath.Join(t.TempDir(), "layout")
		copyLayout(t, l.Dir, dir)
		umoci := filepath.Join("..", "..", "..", ".work", "foreign", "bin", "umoci")
		if err := failure(run(t, umoci, "insert", "--rootless", "--image", dir+":v1", "--tag", "built", oneFile(t), "/new")); err != nil {
			return err
		}
		return command(t, oras, "cp", "--from-oci-layout", "--to-plain-http", dir+":built", from.Ref("built"))
	}},
	{name: "regctl image import", carries: true, fails: in("v1: SOCI index", "v1-tagged"), use: func(t *testing.T, l *Layout, from Repo) error {
		return command(t, regctl, "--host", "reg="+from.Host+",tls=disabled", "image", "import", "--name", "v1", from.Ref("built"), packed(t, l.Dir))
	}},
	{name: "oras restore", carries: true, use: func(t *testing.T, l *Layout, from Repo) error {
		return command(t, oras, "restore", "--plain-http", "--input", packed(t, l.Dir), from.Ref("v1"))
	}},
}

func TestWhoBuildsOnIndexed(t *testing.T) {
	for _, u := range users {
		t.Run(u.name, func(t *testing.T) {
			for _, f := range append([]Form{{name: "before"}}, forms...) {
				t.Run(f.name, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "layout")
					fixture(t, "single").write(t, dir)
					was := mustLoad(t, dir).Groups[0].Images[0]
					if f.name != "before" {
						if out, err := runIndex(t, f, dir); err != nil {
							t.Fatalf("%v\n%s", err, out)
						}
					}
					l := mustLoad(t, dir)
					from := Repo{startReferrers(t), "app"}
					if !u.carries && !u.loses {
						if err := (Push{l, f, l.Groups[0], "v1", from}).do(t, oras); err != nil {
							t.Fatal(err)
						}
					}
					err := u.use(t, l, from)
					if err == nil {
						err = u.result(t, l, f, from, was)
					}
					text, fails := u.fails[f.name]
					if fails != (err != nil) || fails && !strings.Contains(err.Error(), text) {
						t.Errorf("want failure %t %q: %v", fails, text, err)
					}
				})
			}
		})
	}
}

// result: the image for the platform has the layers, or everything of the layout has arrived.
func (u user) result(t *testing.T, l *Layout, f Form, from Repo, was Image) error {
	if u.carries {
		tag := "built"
		if u.name == "oras restore" {
			tag = "v1"
		}
		if _, got, err := from.manifest(tag); err != nil || got != l.Groups[0].Root.Digest {
			return fmt.Errorf("tag %s: %s, %v", tag, got, err)
		}
		if problems := checkSoci(from, l, l.Groups[0].Images[0].V1); len(problems) > 0 {
			return fmt.Errorf("v1: %s", problems)
		}
		if problems := checkSoci(from, l, l.Groups[0].Images[0].V2); len(problems) > 0 {
			return fmt.Errorf("v2: %s", problems)
		}
		return nil
	}
	got, err := pullContainerd(t, from, "built", ocispec.Platform{OS: "linux", Architecture: "amd64"}, t.TempDir())
	if err != nil {
		return err
	}
	if u.name == "crane flatten" {
		if len(got.Layers) != 1 {
			return fmt.Errorf("layers %v", got.Layers)
		}
		return nil
	}
	if u.loses {
		for _, s := range []*Soci{l.Groups[0].Images[0].V1, l.Groups[0].Images[0].V2} {
			if s != nil && from.hasManifest(s.Desc) == nil {
				return errors.New("the SOCI index arrived")
			}
		}
		if got.Config != was.Manifest.Config.Digest.String() { // with the diff IDs
			return fmt.Errorf("configuration %s", got.Config)
		}
		return nil
	}
	for i, layer := range was.Manifest.Layers {
		if i >= len(got.Layers) || got.Layers[i] != layer.Digest.String() {
			return fmt.Errorf("layer %d of %v is not %s", i, got.Layers, layer.Digest)
		}
	}
	return nil
}

// storage is a place for podman and buildah of its own, without kernel file systems.
func storage(t *testing.T) []string {
	t.Helper()
	dir := shortDir(t)
	return []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
}

// shortDir: podman takes no path of more than 50 characters.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// oneFile is a tar archive of one file.
func oneFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "one.tar")
	w := &writer{t, filepath.Dir(name)}
	w.file("one.tar", layerTar(t, "one"))
	return name
}

// packed is the layout as an archive, as BuildKit orders it.
func packed(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "layout.tar")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	tw := tar.NewWriter(out)
	if err := tw.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}
