package push

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is an empty registry on a loopback port of its own. Every case has a
// new one: with shared storage a blob that one push forgot could come from another.
type Registry struct {
	Host string
	// HasReferrers tells whether GET /v2/NAME/referrers/DIGEST is served.
	HasReferrers bool
	// Storage is the directory of a registry that keeps its content in files.
	Storage string
}

// registryKinds are the two kinds that a SOCI index v1 meets.
var registryKinds = []struct {
	name  string
	start func(testing.TB) *Registry
}{
	{"tagschema", startDistribution},
	{"referrers", startReferrers},
}

// startReferrers serves go-containerregistry's in-memory registry with the referrers
// API. It sends no OCI-Subject header, so oras and regctl write the fallback tag as well.
func startReferrers(t testing.TB) *Registry {
	t.Helper()
	server := httptest.NewServer(registry.New(
		registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return &Registry{Host: strings.TrimPrefix(server.URL, "http://"), HasReferrers: true}
}

// startDistribution runs the distribution registry 2.8, which has no referrers API,
// on a port that the system chooses.
func startDistribution(t testing.TB) *Registry { return startDistributionWith(t, "") }

// startDistributionWith runs it with more settings.
func startDistributionWith(t testing.TB, more string) *Registry {
	t.Helper()
	program, err := findTool(distribution)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	storage := filepath.Join(dir, "storage")
	settings := fmt.Sprintf(`version: 0.1
log: {level: info, formatter: json, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0", secret: none}
`, storage) + more
	file := filepath.Join(dir, "registry.yml")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(program, "serve", file)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test run is killed
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, drained := make(chan string, 1), make(chan struct{})
	go readLog(stderr, listening, drained)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained // Wait closes the pipe; read it to its end first
		_ = cmd.Wait()
	})

	select {
	case host := <-listening:
		if host == "" {
			t.Fatalf("%s ended before it listened", distribution)
		}
		return &Registry{Host: host, Storage: storage}
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not say where it listens", distribution)
		return nil
	}
}

// startDistribution3 serves distribution 3 in this process.
func startDistribution3(t testing.TB) *Registry {
	t.Helper()
	settings := &configuration.Configuration{Storage: configuration.Storage{
		"inmemory":    nil,
		"delete":      {"enabled": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	settings.HTTP.Secret = "none"
	server := httptest.NewServer(handlers.NewApp(t.Context(), settings))
	t.Cleanup(server.Close)
	return &Registry{Host: strings.TrimPrefix(server.URL, "http://")}
}

// readLog sends the address from the "listening on" line, or "" at an early end, and
// reads on so that the registry never blocks on its log.
func readLog(r io.Reader, listening chan<- string, drained chan<- struct{}) {
	defer close(drained)
	defer close(listening)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var line struct {
			Msg string `json:"msg"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		if host, ok := strings.CutPrefix(line.Msg, "listening on "); ok {
			listening <- host
			break
		}
	}
	_, _ = io.Copy(io.Discard, r)
}
