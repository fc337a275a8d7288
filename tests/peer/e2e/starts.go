package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/registry"
)

// network is a line between runtime and registry.
type network struct {
	name           string
	bytesPerSecond float64
	latency        time.Duration
}

var networks = []network{
	{"loopback", 0, 0},
	{"12.5 MB/s, 10 ms", 12.5e6, 10 * time.Millisecond},
}

// started is one start of a container, from nothing.
type started struct {
	pull, first time.Duration
	// bytes that the registry had sent until the pull had ended, and until the first output.
	pulled, bytes int64
}

// starts measures how long it takes from the pull to the first output, lazily and with
// containerd's own snapshotter, in turns. A single run is only a look at Java.
func (b *bench) starts() {
	measured := programs[len(programs)-1:]
	if b.runs > 1 {
		measured = programs
	}
	for _, n := range networks {
		for _, p := range measured {
			b.check("containers: from pull to first output of "+p.name+", "+n.name, func() []string { return b.compareStarts(n, p) })
		}
	}
}

func (b *bench) compareStarts(n network, p program) []string {
	i, err := b.asUsual()
	if err != nil {
		return []string{err.Error()}
	}
	repository := "/start" + b.next()
	if err := b.push("crane", i.dir, b.plain.Host+repository); err != nil {
		return []string{err.Error()}
	}
	results := make(map[string][]started)
	for range b.runs {
		for _, snapshotter := range []string{host.Eager, host.Lazy} {
			s, err := b.start(i.platform, repository, n, snapshotter, p)
			if err != nil {
				return []string{err.Error()}
			}
			results[snapshotter] = append(results[snapshotter], s)
		}
	}
	for _, snapshotter := range []string{host.Eager, host.Lazy} {
		r := results[snapshotter]
		b.note("| %s | %s | %s | %.1f s | %.1f s | %.1f MB | %.1f MB |", n.name, p.name, snapshotter,
			median(r, func(s started) float64 { return s.pull.Seconds() }), median(r, func(s started) float64 { return s.first.Seconds() }),
			median(r, func(s started) float64 { return float64(s.pulled) / 1e6 }), median(r, func(s started) float64 { return float64(s.bytes) / 1e6 }))
	}
	// Bytes are judged, times only shown: on a busy machine they say more about it.
	bytes := func(s started) float64 { return float64(s.bytes) }
	if median(results[host.Lazy], bytes) > median(results[host.Eager], bytes)/2 {
		return []string{"lazily more than half of the bytes were fetched"}
	}
	return nil
}

// start pulls the image into a runtime that has nothing yet, and runs a program of it.
func (b *bench) start(platform, repository string, n network, snapshotter string, p program) (s started, err error) {
	slow := &registry.Throttle{BytesPerSecond: n.bytesPerSecond, Latency: n.latency}
	front, err := registry.Front(b.distribution.Host, slow)
	if err != nil {
		return s, err
	}
	defer front.Close()
	stack, err := host.NewStack(b.ctx, b.folder, b.tools, host.Mode{V2: true})
	if err != nil {
		return s, err
	}
	ref, begin := front.Host+repository+":"+images.Tag, time.Now()
	if err = stack.Pull(b.ctx, snapshotter, platform, ref); err == nil {
		s.pull, s.pulled = time.Since(begin), registry.Bytes(front.Log.After(0))
		first, out, fails := stack.Run(b.ctx, snapshotter, ref, "c"+b.next(), p.args...)
		s.first, s.bytes, err = first.Sub(begin), registry.Bytes(front.Log.After(0)), fails
		if err == nil && !strings.HasPrefix(out, p.prints) {
			err = fmt.Errorf("it printed %q", out)
		}
		err = firstError(err, stack.Remove(b.ctx, ref))
	}
	return s, firstError(err, stack.Close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func median(results []started, of func(started) float64) float64 {
	var values []float64
	for _, r := range results {
		values = append(values, of(r))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}
