//go:build foreign

package push

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tool that made a layout reads the indexed one (make foreign).

type maker struct {
	layout string
	// read reads the image of a layout directory.
	read  func(t *testing.T, dir string) error
	fails map[string]string
}

var makers = []maker{
	{layout: "umoci", fails: in("tag is ambiguous", "v2", "v1-nested", "both"), read: func(t *testing.T, dir string) error {
		umoci := filepath.Join("..", "..", "..", ".work", "foreign", "bin", "umoci")
		return failure(run(t, umoci, "unpack", "--rootless", "--image", dir+":v1", filepath.Join(t.TempDir(), "bundle")))
	}},
	// That skopeo writes, but does not see, entries of Docker media type.
	{layout: "skopeo-docker-types", fails: in("no descriptor found", "before", "v1-tagged"), read: skopeoReads("app")},
	{layout: "skopeo-oci", read: skopeoReads("app:v1")},
	{layout: "crane-pull", read: craneReads},
	{layout: "crane-pull-index", read: craneReads},
	{layout: "regctl", read: regctlReads("v1")},
	{layout: "regctl-artifact", read: regctlReads("v1")},
	{layout: "regctl-index-of-one", read: regctlReads("v1")},
	{layout: "regctl-two-types", read: regctlReads("docker")},
	{layout: "oras", read: orasReads},
	{layout: "oras-attach", read: orasReads},
	{layout: "buildah", read: buildahReads},
	{layout: "buildah-manifest", read: buildahReads},
	{layout: "podman-oci-archive", read: func(t *testing.T, dir string) error {
		return failure(run(t, "podman", append(storage(t), "pull", "-q", "oci:"+dir+":localhost/app:v1")...))
	}},
}

func skopeoReads(name string) func(*testing.T, string) error {
	return func(t *testing.T, dir string) error {
		return command(t, skopeo, "--insecure-policy", "copy", "oci:"+dir+":"+name, "docker-archive:"+filepath.Join(t.TempDir(), "x.tar"))
	}
}

// craneReads: it pushes a directory with one entry, and checks what it pushed, blob by blob.
func craneReads(t *testing.T, dir string) error {
	to := Repo{startReferrers(t), "app"}
	l := mustLoad(t, dir)
	if err := (Push{l, Form{}, l.Groups[0], l.Groups[0].Tags[0], to}).do(t, crane); err != nil {
		return err
	}
	tag := Push{tag: l.Groups[0].Tags[0]}.target()
	return command(t, crane, "validate", "--platform", "linux/amd64", "--remote", to.Ref(tag))
}

func regctlReads(name string) func(*testing.T, string) error {
	return func(t *testing.T, dir string) error {
		return command(t, regctl, "image", "export", "--platform", "linux/amd64", "ocidir://"+dir+":"+name, filepath.Join(t.TempDir(), "x.tar"))
	}
}

func orasReads(t *testing.T, dir string) error {
	return command(t, oras, "cp", "-r", "--from-oci-layout", dir+":v1", "--to-oci-layout", filepath.Join(t.TempDir(), "x")+":v1")
}

func buildahReads(t *testing.T, dir string) error {
	return failure(run(t, "buildah", append(storage(t), "from", "-q", "oci:"+dir+":v1")...))
}

func TestMakerReadsIndexed(t *testing.T) {
	for _, m := range makers {
		t.Run(m.layout, func(t *testing.T) {
			i := slices.IndexFunc(foreign, func(f Fixture) bool { return f.name == m.layout })
			fx := foreign[i]
			for _, f := range append([]Form{{name: "before"}}, forms...) {
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					dir := filepath.Join(shortDir(t), "layout") // podman and buildah take no capitals in oci:PATH
					fx.write(t, dir)
					if f.name != "before" {
						for _, problem := range indexShape(t, fx, f, dir) {
							t.Error(problem)
						}
					}
					err := m.read(t, dir)
					text, fails := m.fails[f.name]
					if fails != (err != nil) || fails && !strings.Contains(err.Error(), text) {
						t.Errorf("want failure %t %q: %v", fails, text, err)
					}
				})
			}
		})
	}
}
