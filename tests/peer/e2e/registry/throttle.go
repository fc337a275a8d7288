package registry

import (
	"sync"
	"time"
)

// Throttle slows the traffic of a proxy down. The zero value does nothing.
type Throttle struct {
	// BytesPerSecond of all bodies, 0 for no limit.
	BytesPerSecond float64
	// Latency of each request.
	Latency time.Duration
	// PerConnection gives each connection a line of its own, as object stores do; else all of them share one.
	PerConnection bool

	shared line
}

// line is what bytes go over, one behind the other.
type line struct {
	lock sync.Mutex
	free time.Time // when it has carried all that was sent
}

// request waits as long as a request takes on its way, and gives the line of its answer. A connection of HTTP/1.1
// has one request at a time.
func (t *Throttle) request() *line {
	time.Sleep(t.Latency)
	if t.PerConnection {
		return new(line)
	}
	return &t.shared
}

// send waits until that many bytes have gone over the line, behind those of others.
func (t *Throttle) send(l *line, bytes int) {
	if t.BytesPerSecond == 0 {
		return
	}
	l.lock.Lock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(bytes) / t.BytesPerSecond * float64(time.Second)))
	until := l.free
	l.lock.Unlock()
	time.Sleep(time.Until(until))
}
