package push

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The commands that the documentation gives for each tool.

// Push is one name of one image on its way to a repository.
type Push struct {
	layout *Layout
	form   Form
	group  *Group
	tag    string // "" for an entry without a name
	to     Repo
}

// target is the tag in the registry.
func (p Push) target() string {
	if p.tag == "" {
		return "latest"
	}
	return tagOf(p.tag)
}

// tagOf gives the tag of a name: podman and skopeo write whole references into ref.name.
func tagOf(name string) string { return name[strings.LastIndexByte(name, ':')+1:] }

// tags are the names to push one by one with a tool that follows no referrers.
func (p Push) tags() []string {
	tags := []string{p.tag}
	if p.form.tagged {
		for _, list := range p.layout.Lists {
			tags = append(tags, refName(list))
		}
	}
	return tags
}

// do pushes with the named tool.
func (p Push) do(t testing.TB, tool string) error {
	t.Helper()
	program, err := findTool(tool)
	if err != nil {
		t.Fatal(err)
	}
	switch tool {
	case skopeo:
		return p.skopeo(t, program)
	case crane:
		return p.crane(t, program)
	case oras:
		return p.oras(t, program)
	case regctl:
		return p.regctl(t, program)
	case imagetools:
		return p.imagetools(t, program)
	case own:
		return p.own(t, program)
	}
	return fmt.Errorf("no tool %s", tool)
}

func (p Push) skopeo(t testing.TB, program string) error {
	t.Helper()
	keeps, err := skopeoKeepsIndex()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--all"}
	if keeps {
		args = append(args, "--preserve-digests")
	}
	for _, tag := range p.tags() {
		if err := p.skopeoCopy(t, program, tag, args...); err != nil {
			return err
		}
	}
	return nil
}

func (p Push) skopeoCopy(t testing.TB, program, tag string, args ...string) error {
	t.Helper()
	from, to := "oci:"+p.layout.Dir, p.target()
	if tag != "" {
		from, to = from+":"+tag, tagOf(tag)
	}
	args = append([]string{"--insecure-policy", "copy", "--dest-tls-verify=false"}, args...)
	return failure(run(t, program, append(args, from, "docker://"+p.to.Ref(to))...))
}

// crane pushes directories with exactly one entry: the layout itself, or a view of it.
func (p Push) crane(t testing.TB, program string) error {
	t.Helper()
	if len(p.layout.Index.Manifests) == 1 {
		return failure(run(t, program, "push", p.layout.Dir, p.to.Ref(p.target())))
	}
	for _, tag := range p.tags() {
		if err := failure(run(t, program, "push", p.view(t, tag), p.to.Ref(tagOf(tag)))); err != nil {
			return err
		}
	}
	return nil
}

// view is a layout with only the named entry, sharing the blobs.
func (p Push) view(t testing.TB, tag string) string {
	t.Helper()
	dir := t.TempDir()
	index := p.layout.Index
	index.Manifests = slices.DeleteFunc(slices.Clone(index.Manifests), func(d ocispec.Descriptor) bool { return refName(d) != tag })
	raw, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	marker, err := os.ReadFile(filepath.Join(p.layout.Dir, "oci-layout"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"index.json": raw, "oci-layout": marker} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(p.layout.Dir, "blobs"), filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p Push) oras(t testing.TB, program string) error {
	t.Helper()
	args := []string{"cp"}
	if p.form.tagged {
		args = append(args, "-r")
	}
	return failure(run(t, program, append(args, "--from-oci-layout", "--to-plain-http", p.source(), p.to.Ref(p.target()))...))
}

func (p Push) regctl(t testing.TB, program string) error {
	t.Helper()
	args := []string{"--host", "reg=" + p.to.Host + ",tls=disabled", "image", "copy"}
	if p.form.tagged {
		args = append(args, "--referrers")
	}
	return failure(run(t, program, append(args, "ocidir://"+p.source(), p.to.Ref(p.target()))...))
}

// imagetools copies what its source names; a lone manifest would get an index around it.
func (p Push) imagetools(t testing.TB, program string) error {
	t.Helper()
	for _, tag := range p.tags() {
		from, to := "oci-layout://"+p.layout.Dir+":"+tag, tagOf(tag)
		if tag == "" {
			from, to = "oci-layout://"+p.source(), p.target()
		}
		args := []string{"imagetools", "create", "--prefer-index=false", "-t", p.to.Ref(to), from}
		if err := failure(run(t, program, args...)); err != nil {
			return err
		}
	}
	return nil
}

// own pushes with the program under test: one command, whatever the form.
func (p Push) own(t testing.TB, program string) error {
	t.Helper()
	from := p.layout.Dir
	if p.tag != "" {
		from += ":" + p.tag
	}
	return failure(run(t, program, "push", "--progress", "quiet", from, p.to.Ref(p.target())))
}

// source names the entry for oras and regctl: by tag, else by digest.
func (p Push) source() string {
	if p.tag == "" {
		return p.layout.Dir + "@" + p.group.Root.Digest.String()
	}
	return p.layout.Dir + ":" + p.tag
}

func failure(out string, err error) error {
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
