package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"soci-layout.test/peer/e2e/images"
)

// What the images are made of, at fixed versions; what these depend on is resolved at the day of the download.
const (
	elasticsearch = "org.elasticsearch.distribution.zip:elasticsearch:6.8.23:zip"
	// PyPI's torch for x86-64 is a build for CUDA that does not load without gigabytes of CUDA's libraries.
	tensorflow  = "tensorflow-cpu==2.21.0"
	nodeVersion = "20.9.0"
)

var (
	nodePackages = []string{"express@5.1.0", "mongodb@6.20.0", "@aws-sdk/client-s3@3.890.0", "googleapis@160.0.0"}
	// pythonPackages are those of Debian that the interpreter and its standard library need.
	pythonPackages = []string{
		"python3.11-minimal", "libpython3.11-minimal", "libexpat1", "libffi8", "libuuid1", "libsqlite3-0", "libncursesw6",
		"libreadline8", "libdb5.3", "libnsl2", "libtirpc3", "media-types",
	}
)

// fetcher gets what the images are made of, by the ordinary clients of the registries, and keeps it.
type fetcher struct {
	ctx   context.Context
	cache string
	// peer is the directory of this module.
	peer string
}

// all fetches what is not there yet for the images of these names.
func (f *fetcher) all(wanted func(image string) bool) error {
	steps := []struct {
		image, name string
		fetch       func(dir string) error
	}{
		{"", "debs", f.debs},
		{"elasticsearch", "elasticsearch", func(dir string) error {
			return f.run("mvn", "-q", "-B", "dependency:copy", "-Dartifact="+elasticsearch, "-DoutputDirectory="+dir)
		}},
		{"python", "python", func(dir string) error {
			return f.run("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore",
				"--only-binary=:all:", "--python-version", "3.11", "--target", dir, tensorflow)
		}},
		{"node", "node", func(dir string) error {
			arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
			if arch == "" {
				arch = runtime.GOARCH
			}
			packages := append([]string{"node-linux-" + arch + "@" + nodeVersion}, nodePackages...)
			return f.run("npm", append([]string{"install", "--silent", "--no-audit", "--no-fund", "--prefix", dir}, packages...)...)
		}},
		{"go", "go", func(dir string) error {
			build := exec.CommandContext(f.ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "service"), "./start/service")
			build.Dir, build.Env = f.peer, append(os.Environ(), "CGO_ENABLED=0")
			return output(build)
		}},
	}
	for _, s := range steps {
		if s.image != "" && !wanted(s.image) {
			continue
		}
		if err := f.once(s.name, s.fetch); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// once fills a directory, under another name until it is whole.
func (f *fetcher) once(name string, fetch func(dir string) error) error {
	dir := filepath.Join(f.cache, name)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Printf("fetching %s\n", name)
	making := dir + ".making"
	if err := errors.Join(os.RemoveAll(making), os.MkdirAll(making, 0o755)); err != nil {
		return err
	}
	if err := fetch(making); err != nil {
		return err
	}
	return os.Rename(making, dir)
}

func (f *fetcher) debs(dir string) error {
	packages := append(append(append([]string{}, images.Debian...), images.Java...), pythonPackages...)
	command := exec.CommandContext(f.ctx, "apt-get", append([]string{"download", "-qq", "-o", "APT::Sandbox::User="}, packages...)...)
	command.Dir = dir
	return output(command)
}

func (f *fetcher) run(program string, args ...string) error {
	return output(exec.CommandContext(f.ctx, program, args...))
}

// output runs a command; what it printed is told when it fails.
func output(command *exec.Cmd) error {
	text, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, text)
	}
	return nil
}
