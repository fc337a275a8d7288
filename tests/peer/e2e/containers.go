package main

import (
	"fmt"
	"runtime"
	"strings"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
)

// program is one of the large image, and what it must print.
type program struct {
	name, prints string
	args         []string
}

// javaHome is where the package has it.
const javaHome = "/usr/lib/jvm/java-17-openjdk-" + runtime.GOARCH

var programs = []program{
	{"a script", images.Greeting, []string{"/opt/e2e/greet"}},
	{"Perl, which walks a directory", "many\n", []string{"/usr/bin/perl", "-MFile::Find", "-e",
		`find(sub { $n++ }, "/usr/share/perl"); print $n > 500 ? "many\n" : "$n\n"`}},
	{"Java", "openjdk 17.", []string{javaHome + "/bin/java", "--version"}},
}

// containers run programs of the large image, indexed as anybody would: without options.
func (b *bench) containers() {
	b.check("containers: programs of a lazily loaded image run", func() []string {
		return b.other(host.Mode{V2: true}, b.allRun)
	})
	b.starts()
	b.check("containers: control: with the zTOCs of two layers swapped none of them runs", b.noneRuns)
}

func (b *bench) allRun(stack *host.Stack) []string {
	i, err := b.asUsual()
	if err != nil {
		return []string{err.Error()}
	}
	p, problems := b.pullInto(stack, i, b.plain, "crane")
	if len(problems) > 0 {
		return problems
	}
	problems = append(p.named(), b.runAll(p)...)
	problems = append(problems, p.fetched("after all programs")...)
	return join(problems, stack.Remove(b.ctx, p.ref))
}

// asUsual is the large image: two large layers lazy, the small one not.
func (b *bench) asUsual() (*image, error) {
	if b.usual != nil {
		return b.usual, nil
	}
	dir, err := b.write(images.OCI, javaImage)
	if err != nil {
		return nil, err
	}
	if err := b.index(dir); err != nil {
		return nil, err
	}
	i, err := readImage(dir, machine, "v2")
	if err == nil && len(i.ztocs) != 2 {
		err = fmt.Errorf("%d zTOCs, want 2", len(i.ztocs))
	}
	b.usual = i
	return i, err
}

func (b *bench) runAll(p *pulled) []string {
	var problems []string
	for _, program := range programs {
		_, out, err := p.stack.Run(b.ctx, host.Lazy, p.ref, "c"+b.next(), program.args...)
		if problems = join(problems, err); err == nil && !strings.HasPrefix(out, program.prints) {
			problems = append(problems, fmt.Sprintf("%s printed %q, want %q", program.name, out, program.prints))
		}
	}
	return problems
}

func (b *bench) noneRuns() []string {
	i, err := b.asUsual()
	if err != nil {
		return []string{err.Error()}
	}
	b.usual = nil // it is not as usual any more
	if err := images.SwapZtocs(i.dir); err != nil {
		return []string{err.Error()}
	}
	if i, err = readImage(i.dir, machine, "v2"); err != nil {
		return []string{err.Error()}
	}
	p, problems := b.pull(i, b.plain, "crane")
	if len(problems) > 0 {
		return problems
	}
	if failed := b.runAll(p); len(failed) != len(programs) {
		problems = append(failed, "some of the programs ran")
	}
	return join(problems, b.stack.Remove(b.ctx, p.ref))
}
