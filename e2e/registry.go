package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Request is one answered request for a blob.
type Request struct {
	Method, Path, Range string
	Status              int
	Bytes               int64
}

// Registry stands before a registry, writes down what is asked of it, and can be slow.
type Registry struct {
	Host string

	mu       sync.Mutex
	requests []Request
	rate     int64 // bytes a second over all connections; 0: no limit
	latency  time.Duration
	free     time.Time // when the line is free again
}

// withReferrers serves a registry that has the referrers API.
func withReferrers() (*Registry, func()) {
	return front(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
}

// before stands before a registry that runs at an address.
func before(host string) (*Registry, func()) {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	return front(proxy)
}

func front(inner http.Handler) (*Registry, func()) {
	r := &Registry{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		time.Sleep(r.delay())
		c := &counted{ResponseWriter: w, line: r, status: http.StatusOK}
		// Also when the client goes away and the proxy gives up by a panic.
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests = append(r.requests, Request{q.Method, q.URL.Path, q.Header.Get("Range"), c.status, c.bytes})
		}()
		inner.ServeHTTP(c, q)
	}))
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r, server.Close
}

func (r *Registry) delay() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latency
}

// Throttle sets bandwidth and the time before each answer; zeros take both away.
func (r *Registry) Throttle(bytesPerSecond int64, latency time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rate, r.latency = bytesPerSecond, latency
}

// Forget empties the access log.
func (r *Registry) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// Requests is the access log since Forget.
func (r *Registry) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}

// Sent is the number of body bytes answered to GET since Forget.
func (r *Registry) Sent() (n int64) {
	for _, q := range r.Requests() {
		if q.Method == http.MethodGet {
			n += q.Bytes
		}
	}
	return n
}

// counted counts the body and holds it back to the line's rate.
type counted struct {
	http.ResponseWriter
	line   *Registry
	status int
	bytes  int64
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(p []byte) (int, error) {
	const piece = 32 << 10
	written := 0
	for written < len(p) {
		part := p[written:min(written+piece, len(p))]
		c.line.wait(len(part))
		n, err := c.ResponseWriter.Write(part)
		written += n
		c.bytes += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// wait books time on the line, which all connections share.
func (r *Registry) wait(n int) {
	r.mu.Lock()
	if r.rate == 0 {
		r.mu.Unlock()
		return
	}
	now := time.Now()
	if r.free.Before(now) {
		r.free = now
	}
	r.free = r.free.Add(time.Duration(int64(n) * int64(time.Second) / r.rate))
	until := r.free
	r.mu.Unlock()
	time.Sleep(time.Until(until))
}
