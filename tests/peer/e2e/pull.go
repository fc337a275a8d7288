package main

import (
	"fmt"
	"os"
	"slices"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/registry"
	"soci-layout.test/peer/e2e/rootfs"
)

// pulled is an image in the runtime.
type pulled struct {
	*image
	bench    *bench
	stack    *host.Stack
	registry *registry.Registry
	ref      string
	// Places in the logs, before the pull.
	accessMark int
	logMark    int64
}

// pull pushes an image into a repository of its own and pulls it lazily.
func (b *bench) pull(i *image, r *registry.Registry, tool string) (*pulled, []string) {
	return b.pullInto(b.stack, i, r, tool)
}

func (b *bench) pullInto(stack *host.Stack, i *image, r *registry.Registry, tool string) (*pulled, []string) {
	repository := r.Host + "/app" + b.next()
	if err := b.push(tool, i.dir, repository); err != nil {
		return nil, []string{"push: " + err.Error()}
	}
	p := &pulled{image: i, bench: b, stack: stack, registry: r, ref: repository + ":" + images.Tag}
	p.accessMark, p.logMark = r.Log.Mark(), stack.LogMark()
	if err := stack.Pull(b.ctx, host.Lazy, i.platform, p.ref); err != nil {
		return nil, []string{"pull: " + err.Error()}
	}
	return p, nil
}

// loadsLazily pulls an image and lists everything that is not as it has to be. Then the
// image goes, with all its snapshots, so that the next one starts from nothing.
func (b *bench) loadsLazily(i *image, r *registry.Registry, tool string) []string {
	return b.loadsLazilyIn(b.stack, i, r, tool)
}

func (b *bench) loadsLazilyIn(stack *host.Stack, i *image, r *registry.Registry, tool string) []string {
	p, problems := b.pullInto(stack, i, r, tool)
	if len(problems) > 0 {
		return problems
	}
	problems = p.look()
	return join(problems, stack.Remove(b.ctx, p.ref))
}

// look asks all questions about a pulled image.
func (p *pulled) look() []string {
	problems := p.named()
	view, err := p.stack.View(p.bench.ctx, host.Lazy, p.diffIDs)
	if err != nil {
		return append(problems, err.Error())
	}
	problems = append(problems, p.mounted(view)...)
	problems = append(problems, p.fetched("after the pull")...)
	if p.want != nil {
		problems = append(problems, p.compared(view)...)
		problems = append(problems, p.fetched("after reading everything")...)
	}
	problems = join(problems, view.Close(p.bench.ctx))
	if len(problems) > 0 {
		problems = append(problems, p.warnings()...)
	}
	return problems
}

// warnings are what the snapshotter had to say meanwhile.
func (p *pulled) warnings() []string {
	lines, err := p.stack.LogAfter(p.logMark)
	problems := join(nil, err)
	for _, l := range lines {
		if l.Level == "warning" || l.Level == "error" {
			problems = append(problems, "snapshotter: "+l.Message+": "+l.Error)
		}
	}
	return problems
}

// named: the snapshotter's log names the index that the layout has, and no other.
func (p *pulled) named() []string {
	lines, err := p.stack.LogAfter(p.logMark)
	if err != nil {
		return []string{err.Error()}
	}
	var used []string
	for _, l := range lines {
		if l.Message == "fetching SOCI artifacts using index descriptor" {
			used = append(used, l.Digest)
		}
	}
	var want []string
	if p.index != "" {
		want = []string{p.index.String()}
	}
	if !slices.Equal(used, want) {
		return []string{fmt.Sprintf("the snapshotter used the SOCI indexes %v, want %v", used, want)}
	}
	return nil
}

// mounted: each layer with a zTOC is a FUSE mount, and no other.
func (p *pulled) mounted(view *host.View) []string {
	if len(view.Layers) != len(p.manifest.Layers) {
		return []string{fmt.Sprintf("%d directories for %d layers", len(view.Layers), len(p.manifest.Layers))}
	}
	var problems []string
	for n, l := range p.manifest.Layers {
		lazy, err := host.IsLazy(view.Layers[n])
		if err != nil {
			problems = append(problems, err.Error())
		}
		if lazy != p.ztocs[l.Digest] {
			problems = append(problems, fmt.Sprintf("layer %d: FUSE mount %t, zTOC %t", n, lazy, p.ztocs[l.Digest]))
		}
	}
	return problems
}

// fetched: of a layer with a zTOC the registry was asked for ranges only, of any other
// for the whole.
func (p *pulled) fetched(when string) []string {
	requests := p.registry.Log.After(p.accessMark)
	var problems []string
	for n, l := range p.manifest.Layers {
		t := registry.Blob(requests, l.Digest)
		if lazy := p.ztocs[l.Digest]; lazy && (t.Wholes > 0 || t.Ranges == 0) || !lazy && t.Wholes == 0 {
			problems = append(problems, fmt.Sprintf("%s: layer %d (zTOC %t): %d ranges, %d whole GETs", when, n, lazy, t.Ranges, t.Wholes))
		}
	}
	return problems
}

// compared: everything that the mount shows is as the layers' tars say.
func (p *pulled) compared(view *host.View) []string {
	got, err := rootfs.Walk(view.Root)
	if err != nil {
		return []string{err.Error()}
	}
	return rootfs.Differences(p.want, got)
}

// newDir makes a directory for a layout.
func (b *bench) newDir() (string, error) {
	dir, err := os.MkdirTemp(b.folder, "l")
	return dir + "/oci", err
}
