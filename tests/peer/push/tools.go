package push

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The programs: skopeo and the registry come from the system, the other push
// tools from the directory in SOCI_TOOLS, the program under test from SOCI_LAYOUT.

const (
	skopeo = "skopeo"
	crane  = "crane"
	oras   = "oras"
	regctl = "regctl"
	// imagetools is docker buildx imagetools, which needs neither Docker nor a builder.
	imagetools = "buildx"
	// own is the program under test, which pushes, too.
	own = "soci-layout"

	distribution = "docker-registry"
)

var tools = []string{skopeo, crane, oras, regctl, imagetools, own}

// commandTimeout is far beyond what any single push of a small layout takes.
const commandTimeout = 60 * time.Second

// findTool gives the path of a tool. One that is missing is an error, never a skip.
func findTool(name string) (string, error) {
	if name == own {
		return sociLayout()
	}
	if name == skopeo || name == distribution {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s is not in PATH (tests/setup.sh installs it)", name)
		}
		return path, nil
	}
	dir := os.Getenv("SOCI_TOOLS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", ".work", "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not in SOCI_TOOLS (%s; tests/setup.sh installs it)", name, dir)
	}
	return path, nil
}

// sociLayout gives the path of the program under test.
func sociLayout() (string, error) {
	path := os.Getenv("SOCI_LAYOUT")
	if path == "" {
		return "", fmt.Errorf("SOCI_LAYOUT is not set: it names the soci-layout program to test")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return "", fmt.Errorf("SOCI_LAYOUT=%s is not a program", path)
	}
	return path, nil
}

// run executes a program in an environment without the caller's credentials and
// settings, and gives its combined output.
func run(t testing.TB, path string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	home := emptyHome()
	cmd.Env = []string{
		"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_CONFIG_HOME=" + home, "DOCKER_CONFIG=" + home,
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.Getenv("TMPDIR"), "LC_ALL=C", "TZ=UTC",
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("gave up after %v: %w", commandTimeout, err)
	}
	return string(out), err
}

// emptyHome is one directory for all tools of a run; TestMain removes it.
var emptyHome = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "push-home-")
	if err != nil {
		panic(err)
	}
	// podman and buildah want the file that the environment names.
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600); err != nil {
		panic(err)
	}
	return dir
})

// skopeoKeepsIndex tells whether the installed skopeo writes an index with
// `artifactType` in a descriptor unchanged: 1.15 and later. Older ones drop the
// member, so the index gets another digest, and they refuse --preserve-digests.
var skopeoKeepsIndex = sync.OnceValues(func() (bool, error) {
	path, err := findTool(skopeo)
	if err != nil {
		return false, err
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return false, fmt.Errorf("skopeo --version: %w", err)
	}
	m := regexp.MustCompile(`version (\d+)\.(\d+)`).FindStringSubmatch(string(out))
	if m == nil {
		return false, fmt.Errorf("skopeo --version says %q", strings.TrimSpace(string(out)))
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > 1 || minor >= 15, nil
})
