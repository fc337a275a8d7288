package registry

import (
	"encoding/json"
	"os"
	"strings"
	"time"
)

// recorded is a line of the range log: what `soci-layout index --prefetch-trace` reads.
type recorded struct {
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Range  string    `json:"range"`
	Status int       `json:"status"`
	Bytes  int64     `json:"bytes"`
}

// WriteRanges writes the requests for parts of blobs to a file, one JSON object a line.
func WriteRanges(file string, requests []Request) error {
	var out strings.Builder
	lines := json.NewEncoder(&out)
	for _, r := range requests {
		if r.Range == "" {
			continue
		}
		if err := lines.Encode(recorded{r.Time.UTC(), r.Method, r.Path, r.Range, r.Status, r.Bytes}); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(out.String()), 0o644)
}
