package registry

import (
	"sync"
	"time"
)

// Throttle slows all traffic of a proxy down together. The zero value does nothing.
type Throttle struct {
	// BytesPerSecond of all bodies together, 0 for no limit.
	BytesPerSecond float64
	// Latency of each request.
	Latency time.Duration

	lock sync.Mutex
	free time.Time // when the line has carried all that was sent
}

// request waits as long as a request takes on its way.
func (t *Throttle) request() { time.Sleep(t.Latency) }

// send waits until that many bytes have gone over the line, behind those of others.
func (t *Throttle) send(bytes int) {
	if t.BytesPerSecond == 0 {
		return
	}
	t.lock.Lock()
	if now := time.Now(); t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(bytes) / t.BytesPerSecond * float64(time.Second)))
	until := t.free
	t.lock.Unlock()
	time.Sleep(time.Until(until))
}
