package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Distribution is the distribution registry, which has no referrers API.
type Distribution struct {
	Host    string
	process *process
}

// NewDistribution starts one that keeps its content below folder.
func NewDistribution(ctx context.Context, folder string) (*Distribution, error) {
	dir := filepath.Join(folder, "registry")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "registry.yml")
	settings := fmt.Sprintf(`version: 0.1
log: {level: info, formatter: json, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: "127.0.0.1:0", secret: none}
`, filepath.Join(dir, "storage"))
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		return nil, err
	}
	p, err := start(dir, "registry", exec.Command("docker-registry", "serve", file))
	if err != nil {
		return nil, err
	}
	d := &Distribution{process: p}
	return d, p.ready(ctx, func() bool {
		text, _ := os.ReadFile(p.logFile)
		for line := range strings.SplitSeq(string(text), "\n") {
			var l LogLine
			if json.Unmarshal([]byte(line), &l) != nil {
				continue
			}
			if host, is := strings.CutPrefix(l.Message, "listening on "); is {
				d.Host = host
			}
		}
		return d.Host != ""
	})
}

// Close ends it.
func (d *Distribution) Close() error { return d.process.stop(syscall.SIGTERM) }
