package registry

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"
)

// recorded is a line of an access log as `soci-layout index --prefetch-trace` reads it.
type recorded struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Range   string    `json:"range,omitempty"`
	Status  int       `json:"status"`
	Bytes   int64     `json:"bytes"`
}

// Write writes requests to a file, one JSON object a line.
func Write(file string, requests []Request) error {
	var out strings.Builder
	lines := json.NewEncoder(&out)
	for _, r := range requests {
		if err := lines.Encode(recorded{r.Time.UTC(), r.Took.Seconds(), r.Method, r.Path, r.Range, r.Status, r.Bytes}); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(out.String()), 0o644)
}

// Busy is the time since a moment in which at least one request was running.
func Busy(requests []Request, since time.Time) time.Duration {
	requests = slices.Clone(requests)
	slices.SortFunc(requests, func(a, b Request) int { return a.Time.Compare(b.Time) })
	var busy time.Duration
	for _, r := range requests {
		if end := r.Time.Add(r.Took); end.After(since) {
			from := r.Time
			if from.Before(since) {
				from = since
			}
			busy += end.Sub(from)
			since = end
		}
	}
	return busy
}
