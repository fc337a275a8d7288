package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"soci-layout.test/peer/e2e/host"
)

// pushTools are those that every form is pushed with.
var pushTools = []string{"crane", "oras", "skopeo"}

// index runs `soci-layout index`.
func (b *bench) index(dir string, args ...string) error {
	// What is shown lazily is compared, also where the reference's reader is known to differ from unpacking.
	args = append([]string{"index", "--quiet", "--accept", "unlike-unpacked", dir}, args...)
	_, err := host.Command(b.ctx, b.tools.Program, args...)
	return err
}

// verify runs `soci-layout verify` and gives its exit code and what it found.
func (b *bench) verify(dir string) (code int, findings string, err error) {
	command := exec.CommandContext(b.ctx, b.tools.Program, "verify", "--quiet", dir)
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), string(out), nil
	}
	return 0, string(out), err
}

// push pushes the tag of a layout, and with it the lists of referrers that the layout
// has as tags, by the commands that docs/push-interop.md gives.
func (b *bench) push(tool, dir, repository string) error {
	tags, err := tagsOf(dir)
	if err != nil {
		return err
	}
	switch tool {
	case "oras":
		args := []string{"cp", "--from-oci-layout", "--to-plain-http"}
		if len(tags) > 1 {
			args = append(args, "-r")
		}
		_, err := host.Command(b.ctx, filepath.Join(b.tools.Bin, tool), append(args, dir+":"+tags[0], repository+":"+tags[0])...)
		return err
	case "crane":
		for _, tag := range tags {
			view := dir
			if len(tags) > 1 {
				if view, err = viewOf(dir, tag); err != nil {
					return err
				}
			}
			if _, err := host.Command(b.ctx, filepath.Join(b.tools.Bin, tool), "push", view, repository+":"+tag); err != nil {
				return err
			}
		}
		return nil
	case "skopeo":
		for _, tag := range tags {
			args := []string{"--insecure-policy", "copy", "--dest-tls-verify=false", "--all"}
			if b.skopeoKeepsIndex() {
				args = append(args, "--preserve-digests")
			}
			if _, err := host.Command(b.ctx, tool, append(args, "oci:"+dir+":"+tag, "docker://"+repository+":"+tag)...); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no tool %s", tool)
}

// skopeoKeepsIndex: 1.15 and later keep `artifactType` in a descriptor.
func (b *bench) skopeoKeepsIndex() bool {
	out, _ := host.Command(b.ctx, "skopeo", "--version")
	m := regexp.MustCompile(`version (\d+)\.(\d+)`).FindStringSubmatch(out)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > 1 || minor >= 15
}

// next makes names of repositories, layers and containers that were not there before.
func (b *bench) next() string {
	b.number++
	return strconv.Itoa(b.number)
}

func firstLines(text string, count int) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[:min(len(lines), count)]
}
