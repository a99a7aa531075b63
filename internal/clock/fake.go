package clock

import (
	"slices"
	"sync"
	"time"
)

// Fake is a Clock that stands still until it is moved. Timers fire in the order of their times, those of one
// time in the order in which they were set, so a run repeats. It is safe for concurrent use.
type Fake struct {
	mu      sync.Mutex
	changed sync.Cond // broadcast whenever a timer is set
	now     time.Time
	next    uint64       // order of the next timer that is set
	pending []*fakeTimer // sorted by (at, order)
}

// NewFake returns a clock that shows now.
func NewFake(now time.Time) *Fake {
	f := &Fake{now: now}
	f.changed.L = &f.mu
	return f
}

// Now implements Clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// NewTimer implements Clock. A timer with d <= 0 has fired when NewTimer returns.
func (f *Fake) NewTimer(d time.Duration) Timer {
	t := &fakeTimer{clock: f, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// AfterFunc implements Clock. With d <= 0 it calls fn before it returns.
func (f *Fake) AfterFunc(d time.Duration, fn func()) Timer {
	t := &fakeTimer{clock: f, fn: fn}
	t.Reset(d)
	return t
}

// After implements Clock.
func (f *Fake) After(d time.Duration) <-chan time.Time { return f.NewTimer(d).C() }

// Advance moves the clock forward by d, firing on the way every timer whose time comes, each while the clock
// shows that time; functions of AfterFunc run on the caller's goroutine and may set timers and read the clock.
// It panics if d is negative.
func (f *Fake) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: a fake clock only moves forward")
	}
	f.mu.Lock()
	until := f.now.Add(d)
	for len(f.pending) > 0 && !f.pending[0].at.After(until) {
		f.fireFirst()
	}
	if f.now.Before(until) { // a function may have moved the clock further
		f.now = until
	}
	f.mu.Unlock()
}

// AdvanceTo moves the clock to t as Advance does; it does nothing if t is not after Now.
func (f *Fake) AdvanceTo(t time.Time) {
	if d := t.Sub(f.Now()); d > 0 {
		f.Advance(d)
	}
}

// Next moves the clock to the next pending timer, fires it and every other timer of that time, and reports
// whether there was one.
func (f *Fake) Next() bool {
	f.mu.Lock()
	if len(f.pending) == 0 {
		f.mu.Unlock()
		return false
	}
	d := f.pending[0].at.Sub(f.now)
	f.mu.Unlock()
	f.Advance(max(d, 0))
	return true
}

// Pending returns how many timers are set.
func (f *Fake) Pending() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pending)
}

// AwaitPending blocks until at least n timers are set: a test calls it before Advance, instead of sleeping,
// to know that the goroutines it tests have come to wait.
func (f *Fake) AwaitPending(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.pending) < n {
		f.changed.Wait()
	}
}

// fireFirst fires the first pending timer. f.mu is held, and released while a function runs.
func (f *Fake) fireFirst() {
	t := f.pending[0]
	f.pending = slices.Delete(f.pending, 0, 1)
	if f.now.Before(t.at) {
		f.now = t.at
	}
	f.fire(t)
}

// fire wakes up who waits for t, which is not pending any more. f.mu is held, and released while a function runs.
func (f *Fake) fire(t *fakeTimer) {
	if t.fn == nil {
		t.c <- f.now // empty: Reset drained it, and a timer fires once
		return
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	t.fn()
}

// fakeTimer implements Timer. Its fields are guarded by clock.mu.
type fakeTimer struct {
	clock *Fake
	c     chan time.Time // nil if fn is set
	fn    func()         // nil if c is set
	at    time.Time
	order uint64
}

// C implements Timer.
func (t *fakeTimer) C() <-chan time.Time { return t.c }

// Stop implements Timer.
func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.remove()
}

// Reset implements Timer.
func (t *fakeTimer) Reset(d time.Duration) bool {
	f := t.clock
	f.mu.Lock()
	defer f.mu.Unlock()
	was := t.remove()
	t.at, t.order = f.now.Add(d), f.next
	f.next++
	if d <= 0 {
		f.fire(t)
		return was
	}
	i, _ := slices.BinarySearchFunc(f.pending, t, func(a, b *fakeTimer) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		if a.order < b.order {
			return -1
		}
		return 1
	})
	f.pending = slices.Insert(f.pending, i, t)
	f.changed.Broadcast()
	return was
}

// remove takes t off the list, discards what it sent and nobody received, and reports whether it was pending.
func (t *fakeTimer) remove() bool {
	select {
	case <-t.c:
	default:
	}
	i := slices.Index(t.clock.pending, t)
	if i < 0 {
		return false
	}
	t.clock.pending = slices.Delete(t.clock.pending, i, i+1)
	return true
}
