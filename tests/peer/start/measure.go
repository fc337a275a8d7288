package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/registry"
)

// variant is a way to start an image. Those that are platformless are indexed with `--v2-platform unknown`.
type variant struct {
	name        string
	snapshotter string
	mode        host.Mode
	// tag of the image's form that is pulled.
	tag string
}

// lazily is also how a run is recorded.
var lazily = variant{name: "soci", snapshotter: host.Lazy, mode: host.Mode{V2: true}, tag: "soci"}

var variants = []variant{
	{name: "overlayfs", snapshotter: host.Eager, tag: "plain"},
	lazily,
	{name: "soci-platformless", snapshotter: host.Lazy, mode: host.Mode{V2: true}, tag: "platformless"},
	{name: "prefetch", snapshotter: host.Lazy, mode: host.Mode{V2: true, Prefetch: true}, tag: "prefetch"},
	{name: "prefetch-platformless", snapshotter: host.Lazy, mode: host.Mode{V2: true, Prefetch: true}, tag: "prefetch-platformless"},
}

// reached is how far a start has come, and what the registry had been asked for and had sent by then.
type reached struct {
	after    time.Duration
	requests int64
	bytes    int64
}

// measured is one start, from nothing.
type measured struct {
	pulled, started, ready reached
	// waited is the time between started and ready in which something was asked of the registry.
	waited time.Duration
	// log is what the registry was asked for until it was ready.
	log []registry.Request
}

// readyLimit is how long a service may take.
const readyLimit = 5 * time.Minute

// once pulls an image into a runtime that has nothing yet and runs it until it is ready.
func (b *bench) once(i image, v variant, slow *registry.Throttle) (m measured, err error) {
	front, err := registry.Front(b.distribution.Host, slow)
	if err != nil {
		return m, err
	}
	defer front.Close()
	stack, err := host.NewStack(b.ctx, b.folder, b.tools, v.mode)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	ref, begin := front.Host+"/"+i.name+":"+v.tag, time.Now()
	mark := func(at time.Time) reached {
		requests, bytes := front.Log.SoFar()
		return reached{at.Sub(begin), requests, bytes}
	}
	if err := stack.Pull(b.ctx, v.snapshotter, platform, ref); err != nil {
		return m, err
	}
	m.pulled = mark(time.Now())
	container, err := stack.Start(b.ctx, v.snapshotter, ref, "start")
	if err != nil {
		return m, err
	}
	ctx, cancel := context.WithTimeoutCause(b.ctx, readyLimit, fmt.Errorf("not ready after %v", readyLimit))
	defer cancel()
	if m.started, err = waitFor(ctx, container, "started", mark); err == nil {
		if i.says != "" {
			m.ready, err = waitFor(ctx, container, i.says, mark)
		} else if err = answers(ctx, container); err == nil {
			m.ready = mark(time.Now())
		}
	}
	if err == nil {
		err = container.Stop(b.ctx)
	} else if ctx.Err() != nil {
		err = errors.Join(err, container.Stop(b.ctx))
	}
	if err == nil {
		m.log = front.Log.After(0)
		m.waited = registry.Busy(m.log, begin.Add(m.started.after))
		err = stack.Remove(b.ctx, ref)
	}
	return m, err
}

// waitFor waits for a line of output that begins so.
func waitFor(ctx context.Context, c *host.Container, begin string, mark func(time.Time) reached) (reached, error) {
	for {
		select {
		case <-ctx.Done():
			return reached{}, context.Cause(ctx)
		case line, more := <-c.Lines:
			if !more {
				return reached{}, c.Failed()
			}
			if strings.HasPrefix(line.Text, begin) {
				return mark(line.Time), nil
			}
		}
	}
}

// answers waits until the service answers with HTTP 200.
func answers(ctx context.Context, c *host.Container) error {
	client := &http.Client{Timeout: 2 * time.Second}
	var last []string
	lines := c.Lines
	for {
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), errors.New(strings.Join(last, "\n")))
		case line, more := <-lines:
			if !more {
				return errors.Join(c.Failed(), errors.New(strings.Join(last, "\n")))
			}
			last = append(last[max(0, len(last)-20):], line.Text)
			continue
		case <-time.After(20 * time.Millisecond):
		}
		answer, err := client.Get("http://127.0.0.1:9200/")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// load is the load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
