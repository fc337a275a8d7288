package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// FindTools looks for every program at once.
func FindTools(name string) (Tools, error) {
	t := Tools{Bin: os.Getenv("SOCI_TOOLS"), Snapshotter: os.Getenv("SOCI_SNAPSHOTTER"), Program: os.Getenv("SOCI_LAYOUT"), Namespace: name}
	for _, variable := range []*string{&t.Bin, &t.Snapshotter, &t.Program} {
		full, err := filepath.Abs(*variable)
		if *variable == "" || err != nil {
			return t, errors.New("SOCI_TOOLS, SOCI_SNAPSHOTTER and SOCI_LAYOUT name the programs; the Makefile sets them")
		}
		*variable = full
	}
	if err := os.Setenv("PATH", t.Bin+":"+os.Getenv("PATH")); err != nil {
		return t, err
	}
	return t, allThere(t)
}

// allThere looks for everything that a run starts: a missing program fails it at its start.
func allThere(t Tools) error {
	var errs []error
	for _, file := range []string{t.Snapshotter, t.Program, filepath.Join(t.Bin, "containerd"), filepath.Join(t.Bin, "ctr"),
		filepath.Join(t.Bin, "containerd-shim-runc-v2"), filepath.Join(t.Bin, "crane"), filepath.Join(t.Bin, "oras")} {
		if _, err := os.Stat(file); err != nil {
			errs = append(errs, err)
		}
	}
	// fusermount lets setuid programs of a layer be setuid; without it the mount is made without.
	for _, name := range []string{"skopeo", "docker-registry", "runc", "fusermount", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\n(tests/setup.sh installs them)", err)
	}
	return nil
}
