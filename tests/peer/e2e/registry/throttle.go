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

// buffers is how long a line goes on while its sender is late: what the buffers of a network hold. A sleep lasts up to a millisecond
// longer than it should, so without them a line would carry a fraction of what it promises.
const buffers = 50 * time.Millisecond

// carry says when what is sent now, and takes so long, has gone over the line.
func (l *line) carry(now time.Time, takes time.Duration) time.Time {
	l.lock.Lock()
	defer l.lock.Unlock()
	if earliest := now.Add(-buffers); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(takes)
	return l.free
}

// idle forgets what the line did not carry before now.
func (l *line) idle(now time.Time) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
}

// request waits as long as a request takes on its way, and gives the line of its answer. A connection of HTTP/1.1
// has one request at a time.
func (t *Throttle) request() *line {
	time.Sleep(t.Latency)
	l := &t.shared
	if t.PerConnection {
		l = new(line)
	}
	l.idle(time.Now())
	return l
}

// send waits until that many bytes have gone over the line, behind those of others.
func (t *Throttle) send(l *line, bytes int) {
	if t.BytesPerSecond != 0 {
		takes := time.Duration(float64(bytes) / t.BytesPerSecond * float64(time.Second))
		time.Sleep(time.Until(l.carry(time.Now(), takes)))
	}
}
