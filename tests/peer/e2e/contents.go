package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/rootfs"
)

// content is an image out of real files; every file of it is compared.
type content struct {
	name string
	// layers of the image, lowest first.
	layers func(*images.Store) ([]corpus.Layer, error)
	docker bool
	args   []string
	// lazy is how many layers must have a zTOC.
	lazy int
}

// all indexes every layer.
var all = []string{"--min-layer-size", "0"}

var contents = []content{
	{name: "pgzip", layers: toolsImage("pgzip"), args: all, lazy: 2},
	{name: "eStargz", layers: toolsImage("estargz"), args: all, lazy: 2},
	{name: "bgzip: hundreds of members", layers: toolsImage("bgzip"), args: all, lazy: 2},
	{name: "uncompressed", layers: toolsImage("uncompressed"), args: all, lazy: 2},
	{name: "small spans", layers: toolsImage("go-6"), args: append([]string{"--span-size", "65536", "--min-saving", "0"}, all...), lazy: 2},
	{name: "Docker media types", layers: toolsImage("go-6"), docker: true, args: all, lazy: 2},
	{name: "small layers among large ones", layers: mixedImage, args: []string{"--min-layer-size", "100KiB"}, lazy: 2},
	{name: "--optimization xattr", layers: opaqueImage, args: append([]string{"--optimization", "xattr"}, all...), lazy: 3},
}

// exports are real ones of BuildKit with image manifests of their own, and how many of
// their layers have a zTOC. (What the snapshotter found out about an image manifest it keeps.) Those of Docker's
// types keep them: with OCI types they would become the very manifests of single and multi-attest. What Docker
// types become by default is among the contents above.
var exports = []struct {
	name string
	lazy int
	args []string
}{
	{"single", 4, nil}, {"gzip9", 4, nil}, {"estargz", 4, nil}, {"uncompressed", 4, nil},
	{"docker-mediatypes", 4, keepTypes}, {"docker-manifest-list", 3, keepTypes},
	{"multi-attest", 3, nil}, {"rewrite-annotations", 3, nil}, {"zstd-mixed", 1, nil},
}

var keepTypes = []string{"--keep-layer-types"}

func (b *bench) contents() {
	b.check("contents: Debian, Java and changes", func() []string {
		i, err := b.java()
		return b.everyFile(i, err, 3)
	})
	for _, c := range contents {
		b.check("contents: "+c.name, func() []string { return b.content(c) })
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		b.check("contents: two platforms, "+platform, func() []string { return b.twoPlatforms(platform) })
	}
	for _, e := range exports {
		b.check("contents: BuildKit export "+e.name, func() []string { return b.export(e.name, e.lazy, e.args) })
	}
	b.check("contents: control: unpacked by containerd the image is the same", b.unpacked)
	b.check("contents: control: every kind of difference is noticed", b.comparison)
}

func javaImage(s *images.Store) ([]corpus.Layer, error) {
	debian, err := s.Packages("debian", true, images.Debian, "go-6")
	if err != nil {
		return nil, err
	}
	java, err := s.Packages("java", false, images.Java, "go-6")
	if err != nil {
		return nil, err
	}
	changes, err := s.Layer("changes", "go-6", images.Changes)
	return []corpus.Layer{debian, java, changes}, err
}

func toolsImage(method string) func(*images.Store) ([]corpus.Layer, error) {
	return func(s *images.Store) ([]corpus.Layer, error) {
		tools, err := s.Packages("tools", true, images.Tools, method)
		if err != nil {
			return nil, err
		}
		changes, err := s.Layer("changes", method, images.Changes)
		return []corpus.Layer{tools, changes}, err
	}
}

// mixedImage has layers that are too small for a zTOC below, between and above others.
func mixedImage(s *images.Store) ([]corpus.Layer, error) {
	tools, err := toolsImage("go-6")(s)
	if err != nil {
		return nil, err
	}
	first, err := s.Layer("mixed-1", "go-6", images.Tiny(1<<32))
	if err != nil {
		return nil, err
	}
	fourth, err := s.Layer("mixed-4", "go-6", images.Unique(1<<32))
	if err != nil {
		return nil, err
	}
	last, err := s.Layer("mixed-5", "go-6", images.Tiny(2<<32))
	return []corpus.Layer{first, tools[0], tools[1], fourth, last}, err
}

// opaqueImage: the last layer has no attributes of its own, but an opaque directory, which
// a runtime shows as an attribute.
func opaqueImage(s *images.Store) ([]corpus.Layer, error) {
	layers, err := toolsImage("go-6")(s)
	if err != nil {
		return nil, err
	}
	last, err := s.Layer("opaque", "go-6", images.Opaque)
	return append(layers, last), err
}

func (b *bench) content(c content) []string {
	types := images.OCI
	if c.docker {
		types = images.Docker
	}
	dir, err := b.write(types, c.layers)
	if err != nil {
		return []string{err.Error()}
	}
	i, err := b.indexed(dir, machine, "v2", c.args...)
	return b.everyFile(i, err, c.lazy)
}

// write makes a layout of one image for linux/amd64.
func (b *bench) write(types images.Types, make func(*images.Store) ([]corpus.Layer, error)) (string, error) {
	layers, err := make(b.store)
	if err != nil {
		return "", err
	}
	dir, err := b.newDir()
	if err != nil {
		return "", err
	}
	return dir, images.Write(dir, types, images.Image{Architecture: runtime.GOARCH, Layers: layers})
}

// everyFile pulls an image, compares everything, and says how much that was.
func (b *bench) everyFile(i *image, err error, lazy int) []string {
	if err != nil {
		return []string{err.Error()}
	}
	if len(i.ztocs) != lazy {
		return []string{fmt.Sprintf("%d zTOCs, want %d", len(i.ztocs), lazy)}
	}
	if code, findings, err := b.verify(i.dir); code != 0 || err != nil {
		return join(firstLines(findings, 3), fmt.Errorf("verify: exit code %d, %w", code, err))
	}
	// crane takes a layout of one entry, and no tool changes a layer less.
	problems := b.loadsLazily(i, b.plain, "oras")
	if len(problems) == 0 {
		b.note("%d names, %d MB in %d layers, %d of them lazy: all as in the tars", len(i.want), i.want.Bytes()/1_000_000, len(i.diffIDs), lazy)
	}
	return problems
}

func (b *bench) twoPlatforms(platform string) []string {
	dir, err := b.newDir()
	if err != nil {
		return []string{err.Error()}
	}
	tools, err := toolsImage("go-6")(b.store)
	if err != nil {
		return []string{err.Error()}
	}
	other, err := b.store.Layer("other", "go-6", images.Unique(1<<33))
	if err != nil {
		return []string{err.Error()}
	}
	err = images.Write(dir, images.OCI, images.Image{Architecture: "amd64", Layers: tools},
		images.Image{Architecture: "arm64", Layers: []corpus.Layer{other, tools[0]}})
	if err != nil {
		return []string{err.Error()}
	}
	if err := b.index(dir, append([]string{"--span-size", "262144"}, all...)...); err != nil {
		return []string{err.Error()}
	}
	i, err := readImage(dir, platform, "v2")
	if err == nil {
		i.want, err = i.tree()
	}
	return b.everyFile(i, err, 2)
}

func (b *bench) export(name string, lazy int, args []string) []string {
	from := os.Getenv("SOCI_FIXTURES")
	if from == "" {
		from = filepath.Join("..", "..", "testdata", "layouts")
	}
	dir, err := b.newDir()
	if err != nil {
		return []string{err.Error()}
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(from, name))); err != nil {
		return []string{err.Error()}
	}
	args = append([]string{"--min-layer-size", "0", "--span-size", "65536"}, args...)
	i, err := b.indexed(dir, "linux/amd64", "v2", args...)
	return b.everyFile(i, err, lazy)
}

// unpacked: what is compared with is right, as containerd unpacks the same.
func (b *bench) unpacked() []string {
	i, err := b.java()
	if err != nil {
		return []string{err.Error()}
	}
	ref := b.plain.Host + "/app" + b.next()
	if err := b.push("oras", i.dir, ref); err != nil {
		return []string{err.Error()}
	}
	ref += ":" + images.Tag
	if err := b.stack.Pull(b.ctx, host.Eager, i.platform, ref); err != nil {
		return []string{err.Error()}
	}
	view, err := b.stack.View(b.ctx, host.Eager, i.diffIDs)
	if err != nil {
		return []string{err.Error()}
	}
	problems := (&pulled{image: i}).compared(view)
	return join(problems, view.Close(b.ctx), b.stack.Remove(b.ctx, ref))
}

// comparison spoils one attribute at a time.
func (b *bench) comparison() []string {
	i, err := b.java()
	if err != nil {
		return []string{err.Error()}
	}
	tried, problems := rootfs.Control(i.want)
	if len(problems) == 0 {
		b.note("%d kinds", tried)
	}
	return problems
}

// java is the large image, indexed.
func (b *bench) java() (*image, error) {
	if b.large != nil {
		return b.large, nil
	}
	dir, err := b.write(images.OCI, javaImage)
	if err != nil {
		return nil, err
	}
	b.large, err = b.indexed(dir, machine, "v2", all...)
	return b.large, err
}
