// Package registry holds registries on loopback, each behind a proxy that writes an
// access log and can be slow.
package registry

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// Registry is what clients are pointed at.
type Registry struct {
	// Host is 127.0.0.1 with a port of its own.
	Host string
	Log  *Log
	// HasReferrers: the referrers API is served.
	HasReferrers bool

	server *http.Server
}

// Referrers starts go-containerregistry's in-memory registry, which has the referrers API.
func Referrers() (*Registry, error) {
	handler := ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0)))
	r, err := serve(handler, new(Throttle))
	if err == nil {
		r.HasReferrers = true
	}
	return r, err
}

// Front starts a proxy before a registry that listens on host, and which has no referrers API.
func Front(host string, slow *Throttle) (*Registry, error) {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.FlushInterval = -1
	proxy.ErrorLog = log.New(io.Discard, "", 0) // a client that goes away is no error
	return serve(proxy, slow)
}

func serve(backend http.Handler, slow *Throttle) (*Registry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Registry{Host: listener.Addr().String(), Log: new(Log)}
	r.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			r.Log.begin()
			asked := Request{Time: time.Now(), Method: q.Method, Path: q.URL.Path, Range: q.Header.Get("Range")}
			counted := &counter{ResponseWriter: w, log: r.Log, slow: slow, line: slow.request(), status: http.StatusOK}
			// Also when the proxy panics because its client has gone away.
			defer func() {
				asked.Took, asked.Status, asked.Bytes = time.Since(asked.Time), counted.status, counted.bytes
				r.Log.end(asked)
			}()
			backend.ServeHTTP(counted, q)
		}),
	}
	go func() {
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Print("registry: ", err)
		}
	}()
	return r, nil
}

// Close ends the proxy, its connections too.
func (r *Registry) Close() error {
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(r.server.Shutdown(soon), r.server.Close())
}

// counter counts what a backend answers, at the speed of the throttle.
type counter struct {
	http.ResponseWriter
	log    *Log
	slow   *Throttle
	line   *line
	status int
	bytes  int64
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	c.slow.send(c.line, len(p))
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	c.log.sent.Add(int64(n))
	return n, err
}

// Unwrap lets the proxy flush.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
