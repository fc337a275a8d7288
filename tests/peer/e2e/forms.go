package main

import (
	"fmt"
	"runtime"
	"strings"

	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/registry"
)

// form is a way to be found: what is written, and which version a runtime with both uses.
type form struct {
	name string
	args []string
	uses string
	// referrers: the registry has the API; nested V1 is found on others only when the tool
	// writes the list itself.
	referrers bool
	// fetches is how often each zTOC is fetched by containerd and the snapshotter together, 0 where that is not looked at.
	fetches int
}

var forms = []form{
	{name: "V2", uses: "v2", fetches: 2},
	{name: "V2 for no platform", args: []string{"--v2-platform", "unknown"}, uses: "v2", fetches: 1},
	{name: "V1 tagged, by the fallback tag", args: []string{"--index-version", "v1", "--v1-shape", "tagged"}, uses: "v1"},
	{name: "V1 nested, by the fallback tag", args: []string{"--index-version", "v1"}, uses: "v1"},
	{name: "V1 tagged, by referrers", args: []string{"--index-version", "v1", "--v1-shape", "tagged"}, uses: "v1", referrers: true},
	{name: "V1 nested, by referrers", args: []string{"--index-version", "v1"}, uses: "v1", referrers: true},
	{name: "both, V2 used", args: []string{"--index-version", "both"}, uses: "v2", referrers: true},
}

// forms pulls a small image in every form, pushed by every tool. Two layers: one of some
// spans, one too small for a zTOC.
func (b *bench) forms() {
	for _, f := range forms {
		for _, tool := range pushTools {
			b.check("forms: "+f.name+", pushed by "+tool, func() []string { return b.form(f, tool) })
		}
	}
	b.check("forms: both, with V2 off V1 is used", b.onlyV1)
	b.check("forms: control: an image without index", b.notIndexed)
	b.check("forms: control: V1, where the snapshotter looks for V2 only (its default)", b.onlyV2)
	b.check("forms: control: skopeo without --all leaves the index behind", b.indexNotPushed)
}

func (b *bench) form(f form, tool string) []string {
	i, err := b.unique("go-6", f.args, f.uses)
	if err != nil {
		return []string{err.Error()}
	}
	if len(i.ztocs) != 1 || i.index == "" {
		return []string{fmt.Sprintf("the layout: index %q with %d zTOCs, want 1", i.index, len(i.ztocs))}
	}
	r := b.plain
	if f.referrers {
		r = b.referrers
	}
	if f.uses == "v1" && !f.referrers && tool == "skopeo" && (!strings.Contains(f.name, "tagged") || !b.skopeoKeepsIndex()) {
		// skopeo writes no list of referrers, and before 1.15 spoils the one that the layout
		// has (docs/push-interop.md): then nothing may be found.
		i.index, i.ztocs = "", nil
	}
	p, problems := b.pullInto(b.stack, i, r, tool)
	if len(problems) > 0 {
		return problems
	}
	problems = p.look()
	requests := r.Log.After(p.accessMark)
	for _, z := range i.artifacts {
		if got := registry.Blob(requests, z).Wholes; f.fetches > 0 && got != f.fetches {
			problems = append(problems, fmt.Sprintf("a zTOC was fetched %d times, want %d", got, f.fetches))
		}
	}
	return join(problems, b.stack.Remove(b.ctx, p.ref))
}

// unique makes a small image that was not there before, indexed. Both layers are new, as
// the snapshotter keeps zTOCs and containerd layers.
func (b *bench) unique(method string, args []string, uses ...string) (*image, error) {
	dir, err := b.uniqueLayout(method)
	if err != nil {
		return nil, err
	}
	version := "v2"
	if len(uses) > 0 {
		version = uses[0]
	}
	return b.indexed(dir, machine, version, append([]string{"--min-layer-size", "10000", "--span-size", "65536"}, args...)...)
}

func (b *bench) uniqueLayout(method string) (string, error) {
	name := "unique-" + b.next()
	large, err := b.store.Layer(name, method, images.Unique(uint64(b.number)))
	if err != nil {
		return "", err
	}
	small, err := b.store.Layer(name+"-tiny", "go-6", images.Tiny(uint64(b.number)))
	if err != nil {
		return "", err
	}
	dir, err := b.newDir()
	if err != nil {
		return "", err
	}
	return dir, images.Write(dir, images.OCI, images.Image{Architecture: runtime.GOARCH, Layers: []corpus.Layer{large, small}})
}

// machine is the platform that programs can run on here.
const machine = "linux/" + runtime.GOARCH

// indexed indexes a layout and reads what is there for a platform, with its tree.
func (b *bench) indexed(dir, platform, version string, args ...string) (*image, error) {
	if err := b.index(dir, args...); err != nil {
		return nil, err
	}
	i, err := readImage(dir, platform, version)
	if err != nil {
		return nil, err
	}
	i.want, err = i.tree()
	return i, err
}

// onlyV1: the V1 index of a layout with both is good as well.
func (b *bench) onlyV1() []string {
	return b.other(host.Mode{V1: true}, func(stack *host.Stack) []string {
		i, err := b.unique("go-6", []string{"--index-version", "both"}, "v1")
		if err != nil {
			return []string{err.Error()}
		}
		return b.loadsLazilyIn(stack, i, b.referrers, "oras")
	})
}

// other runs a check with another snapshotter.
func (b *bench) other(mode host.Mode, f func(*host.Stack) []string) []string {
	stack, err := host.NewStack(b.ctx, b.folder, b.tools, mode)
	if err != nil {
		return []string{err.Error()}
	}
	problems := guarded(func() []string { return f(stack) })
	return join(problems, stack.Close())
}

// wantProblems is for controls: each text must be in some problem.
func wantProblems(problems []string, texts ...string) []string {
	var missing []string
	for _, text := range texts {
		if !strings.Contains(strings.Join(problems, "\n"), text) {
			missing = append(missing, fmt.Sprintf("no problem with %q", text))
		}
	}
	if len(missing) > 0 {
		missing = append(missing, problems...)
	}
	return missing
}

// notIndexed: every question must be answered with no, but the contents are right.
func (b *bench) notIndexed() []string {
	dir, err := b.uniqueLayout("go-6")
	if err != nil {
		return []string{err.Error()}
	}
	return b.mustNotLoadLazily(b.stack, dir, b.plain, "oras")
}

// mustNotLoadLazily pulls an image of which nothing leads to its index, and compares it with
// what the same layout is when it is indexed.
func (b *bench) mustNotLoadLazily(stack *host.Stack, dir string, r *registry.Registry, tool string) []string {
	i, err := readImage(dir, machine, "v2")
	if err != nil {
		return []string{err.Error()}
	}
	if i.want, err = i.tree(); err != nil {
		return []string{err.Error()}
	}
	i.ztocs[i.manifest.Layers[0].Digest] = true
	i.index = i.manifest.Desc.Digest // any: it is not used
	problems := b.loadsLazilyIn(stack, i, r, tool)
	missing := wantProblems(problems, "the snapshotter used the SOCI indexes []", "layer 0: FUSE mount false, zTOC true",
		"after the pull: layer 0 (zTOC true): 0 ranges, 1 whole GETs")
	return append(missing, contentProblems(problems)...)
}

// contentProblems are those about files.
func contentProblems(problems []string) []string {
	var found []string
	for _, p := range problems {
		if strings.HasPrefix(p, "data/") || strings.HasPrefix(p, "tiny") || strings.HasPrefix(p, "pull") || strings.HasPrefix(p, "push") {
			found = append(found, p)
		}
	}
	return found
}

func (b *bench) onlyV2() []string {
	return b.other(host.Mode{V2: true}, func(stack *host.Stack) []string {
		i, err := b.unique("go-6", []string{"--index-version", "v1"}, "v1")
		if err != nil {
			return []string{err.Error()}
		}
		return b.mustNotLoadLazily(stack, i.dir, b.referrers, "oras")
	})
}

func (b *bench) indexNotPushed() []string {
	i, err := b.unique("go-6", nil)
	if err != nil {
		return []string{err.Error()}
	}
	repository := b.plain.Host + "/app" + b.next()
	if _, err := host.Command(b.ctx, "skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false",
		"oci:"+i.dir+":"+images.Tag, "docker://"+repository+":"+images.Tag); err != nil {
		return []string{err.Error()}
	}
	p := &pulled{image: i, bench: b, stack: b.stack, registry: b.plain, ref: repository + ":" + images.Tag}
	p.accessMark, p.logMark = b.plain.Log.Mark(), b.stack.LogMark()
	if err := b.stack.Pull(b.ctx, host.Lazy, i.platform, p.ref); err != nil {
		return []string{"pull: " + err.Error()}
	}
	problems := p.look()
	missing := wantProblems(problems, "layer 0: FUSE mount false, zTOC true", "1 whole GETs")
	return join(append(missing, contentProblems(problems)...), b.stack.Remove(b.ctx, p.ref))
}
