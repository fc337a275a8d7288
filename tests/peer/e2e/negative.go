package main

import (
	"fmt"
	"strings"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
)

// negative breaks good indexes on purpose. The runtime must then go wrong as
// docs/lazy-loading.md says, and `soci-layout verify` must say so beforehand.
func (b *bench) negative() {
	b.check("negative: a window of zeros in a large file: wrong contents, no error; verify says wrong-bytes", func() []string {
		return b.zeroedWindow(func(_ int, large images.SpanRange) int { return large.First + 1 }, false)
	})
	b.check("negative: a window of zeros before small files: wrong contents, errors at some; verify says wrong-bytes", func() []string {
		return b.zeroedWindow(func(count int, _ images.SpanRange) int { return count / 2 }, true)
	})
	b.check("negative: zTOCs of two layers swapped: I/O errors; verify says io-error", b.swappedZtocs)
	b.check("negative: an indented SOCI index: not lazy, contents right; verify says rejected", b.indentedIndex)
}

// breakable is an indexed image of two large layers, which verify finds nothing wrong with.
func (b *bench) breakable() (*image, []string) {
	dir, err := b.write(images.OCI, toolsImage("go-6"))
	if err != nil {
		return nil, []string{err.Error()}
	}
	i, err := b.indexed(dir, machine, "v2", append([]string{"--span-size", "1MiB"}, all...)...)
	if err != nil {
		return nil, []string{err.Error()}
	}
	if code, findings, err := b.verify(dir); code != 0 || findings != "" || err != nil {
		return nil, join([]string{fmt.Sprintf("control: verify of the good index: exit code %d", code)}, err)
	}
	return i, nil
}

// broken reads the image again after something was done to its index, and asks verify:
// it must name the consequence.
func (b *bench) broken(good *image, consequence string) (*image, []string) {
	i, err := readImage(good.dir, good.platform, "v2")
	if err != nil {
		return nil, []string{err.Error()}
	}
	i.want = good.want
	code, findings, err := b.verify(i.dir)
	if code != 1 || !strings.Contains(findings, consequence) || err != nil {
		return nil, join(append([]string{fmt.Sprintf("verify: exit code %d, want 1 and %q", code, consequence)}, firstLines(findings, 5)...), err)
	}
	b.note("verify: %s", firstLines(findings, 1)[0])
	return i, nil
}

// zeroedWindow: number picks the checkpoint. Reading must give wrong contents; calls may
// fail only where headers lie in the span, as the reader compares a header before the file.
func (b *bench) zeroedWindow(number func(count int, large images.SpanRange) int, mayFail bool) []string {
	good, problems := b.breakable()
	if len(problems) > 0 {
		return problems
	}
	layer := good.manifest.Layers[0].Digest
	count, large, err := images.Spans(good.dir, layer, ahead)
	if err != nil || large.Last < large.First+2 {
		return []string{fmt.Sprintf("%s is in spans %v of %d: %v", ahead, large, count, err)}
	}
	what, err := images.ZeroWindow(good.dir, layer, number(count, large))
	if err != nil {
		return []string{err.Error()}
	}
	i, problems := b.broken(good, "wrong-bytes")
	if len(problems) > 0 {
		return problems
	}
	wrong, unreadable := 0, 0
	for _, p := range b.loadsLazily(i, b.plain, "oras") {
		switch {
		case strings.Contains(p, ": content "):
			wrong++
		case mayFail && (strings.Contains(p, "input/output error") || strings.HasPrefix(p, "snapshotter: ")):
			unreadable++
		case strings.HasPrefix(p, "snapshotter: size of descriptor is 0"): // of every index
		default:
			problems = append(problems, p)
		}
	}
	if wrong == 0 {
		problems = append(problems, what+": no wrong content was seen")
	}
	b.note("%s: wrong contents without an error in %d of %d files", what, wrong, len(i.want))
	if mayFail && unreadable == 0 {
		problems = append(problems, "no header was hit")
	}
	return problems
}

func (b *bench) swappedZtocs() []string {
	good, problems := b.breakable()
	if len(problems) > 0 {
		return problems
	}
	if err := images.SwapZtocs(good.dir); err != nil {
		return []string{err.Error()}
	}
	i, problems := b.broken(good, "io-error")
	if len(problems) > 0 {
		return problems
	}
	problems = b.loadsLazily(i, b.plain, "oras")
	unreadable := 0
	for _, p := range problems {
		if strings.Contains(p, "cannot be read") && strings.Contains(p, "input/output error") {
			unreadable++
		}
	}
	b.note("%d files cannot be read: input/output error", unreadable)
	if unreadable == 0 {
		return append(problems, "want I/O errors")
	}
	return nil
}

func (b *bench) indentedIndex() []string {
	good, problems := b.breakable()
	if len(problems) > 0 {
		return problems
	}
	if err := images.Indent(good.dir); err != nil {
		return []string{err.Error()}
	}
	i, problems := b.broken(good, "rejected")
	if len(problems) > 0 {
		return problems
	}
	// The index is found, but cannot be used: every layer is pulled whole.
	problems = wantProblems(b.loadsLazily(i, b.plain, "oras"), "layer 0: FUSE mount false, zTOC true", "0 ranges, 1 whole GETs",
		"no valid SOCI index found")
	if len(problems) > 0 {
		return problems
	}
	i.ztocs = nil
	return b.other(host.Mode{V2: true}, func(stack *host.Stack) []string {
		return b.loadsLazilyIn(stack, i, b.plain, "oras") // as an image without zTOCs it is right
	})
}
