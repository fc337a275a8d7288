package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/registry"
)

// ahead is the file that is to be fetched ahead.
const ahead = "usr/bin/perl"

// prefetch: a snapshotter that looks for lists of spans to fetch ahead takes an index without any, and
// follows those that soci-layout writes.
func (b *bench) prefetch() {
	b.check("prefetch: on, without a list nothing more is fetched", func() []string { return b.fetchedAhead(false, true) })
	b.check("prefetch: on, with a list its spans are fetched before anything is read", func() []string { return b.fetchedAhead(true, true) })
	b.check("prefetch: a run replayed from the registry's access log asks for nothing any more", func() []string {
		return b.replayed(func(p *pulled, file string) error {
			return registry.Write(file, p.registry.Log.After(p.accessMark))
		})
	})
	b.check("prefetch: the same by the names of files, as trace writes them", func() []string {
		return b.replayed(func(p *pulled, file string) error {
			log := file + ".log"
			defer os.Remove(log)
			if err := registry.Write(log, p.registry.Log.After(p.accessMark)); err != nil {
				return err
			}
			names, err := host.Command(b.ctx, b.tools.Program, "trace", p.dir, log)
			return errors.Join(err, os.WriteFile(file, []byte(names), 0o644))
		})
	})
	b.check("prefetch: a run replayed from the snapshotter's log asks for nothing any more", func() []string {
		return b.replayed(func(p *pulled, file string) error {
			text, err := os.ReadFile(p.stack.LogFile())
			return errors.Join(err, os.WriteFile(file, text, 0o644))
		})
	})
	b.check("prefetch: control: off, the list is not followed", func() []string { return b.fetchedAhead(true, false) })
}

func (b *bench) fetchedAhead(list, on bool) []string {
	dir, err := b.write(images.OCI, toolsImage("go-6"))
	if err != nil {
		return []string{err.Error()}
	}
	args := []string{"--span-size", "1MiB"} // the second layer is small
	if list {
		args = append(args, "--prefetch-file", ahead)
	}
	if err := b.index(dir, args...); err != nil {
		return []string{err.Error()}
	}
	i, err := readImage(dir, machine, "v2")
	if err != nil {
		return []string{err.Error()}
	}
	layer := i.manifest.Layers[0]
	count, spans, err := images.Spans(dir, layer.Digest, ahead)
	if err != nil || spans.Last-spans.First < 1 || spans.Last-spans.First > count/2 {
		return []string{fmt.Sprintf("%s is in spans %v of %d: %v", ahead, spans, count, err)}
	}
	if list {
		if code, findings, err := b.verify(dir); code != 0 || err != nil {
			return join(firstLines(findings, 3), fmt.Errorf("verify: exit code %d, %w", code, err))
		}
	}
	return b.other(host.Mode{V2: true, Prefetch: on}, func(stack *host.Stack) []string {
		p, problems := b.pullInto(stack, i, b.plain, "oras")
		if len(problems) > 0 {
			return problems
		}
		return append(p.spansFetched(spans, list && on), p.look()...)
	})
}

// replayed: what a program was seen to read becomes the list, and then it starts without a single request. The first
// run shows that it needs some.
func (b *bench) replayed(record func(p *pulled, file string) error) []string {
	dir, err := b.write(images.OCI, toolsImage("go-6"))
	if err != nil {
		return []string{err.Error()}
	}
	spans := []string{"--span-size", "256KiB"}
	file := filepath.Join(b.folder, "record"+b.next())
	defer os.Remove(file)
	before, problems := b.requestsOfRun(dir, spans, func(p *pulled) error { return record(p, file) })
	if len(problems) > 0 {
		return problems
	}
	after, problems := b.requestsOfRun(dir, append(spans, "--prefetch-trace", file), func(*pulled) error { return nil })
	b.note("requests for spans behind the pull: %d, replayed %d", before, after)
	if before < 3 || after > 0 {
		problems = append(problems, fmt.Sprintf("requests for spans behind the pull: %d, and replayed %d", before, after))
	}
	return problems
}

// requestsOfRun indexes and pulls an image, runs Perl, and counts the requests for spans between.
func (b *bench) requestsOfRun(dir string, args []string, look func(*pulled) error) (count int, problems []string) {
	if err := b.index(dir, args...); err != nil {
		return 0, []string{err.Error()}
	}
	i, err := readImage(dir, machine, "v2")
	if err != nil {
		return 0, []string{err.Error()}
	}
	problems = b.other(host.Mode{V2: true, Prefetch: true, Operations: true}, func(stack *host.Stack) []string {
		p, problems := b.pullInto(stack, i, b.plain, "crane")
		if len(problems) > 0 {
			return problems
		}
		mark := p.registry.Log.Mark()
		_, out, err := stack.Run(b.ctx, host.Lazy, p.ref, "c"+b.next(), "/usr/bin/perl", "-e", "print 6 * 7")
		if err == nil && out != "42" {
			err = fmt.Errorf("it printed %q", out)
		}
		for _, r := range p.registry.Log.After(mark) {
			if r.Range != "" {
				count++
			}
		}
		return join(p.named(), err, look(p), stack.Remove(b.ctx, p.ref))
	})
	return count, problems
}

// spansFetched: after the pull the spans have been fetched, and no others, or none; then
// reading the file needs none of them any more, or all.
func (p *pulled) spansFetched(spans images.SpanRange, want bool) []string {
	layer := p.manifest.Layers[0].Digest
	got := registry.Ranges(p.registry.Log.After(p.accessMark), layer)
	// The first requests of a layer only ask whether it is there and what it begins with.
	got = slices.DeleteFunc(got, func(r [2]int64) bool { return r[1] < 1024 })
	slices.SortFunc(got, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	var expected [][2]int64
	if want {
		expected = spans.Ranges
	}
	if !slices.Equal(got, expected) {
		return []string{fmt.Sprintf("ranges of the layer after the pull: %v, want %v", got, expected)}
	}
	view, err := p.stack.View(p.bench.ctx, host.Lazy, p.diffIDs)
	if err != nil {
		return []string{err.Error()}
	}
	mark := p.registry.Log.Mark()
	_, err = os.ReadFile(filepath.Join(view.Root, ahead))
	later := registry.Ranges(p.registry.Log.After(mark), layer)
	var problems []string
	if (len(later) == 0) != want {
		problems = append(problems, fmt.Sprintf("reading %s fetched %v", ahead, later))
	}
	return join(problems, err, view.Close(p.bench.ctx))
}
