package clock

import "time"

// Clock tells the time and wakes its callers up. Its methods are safe for concurrent use.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// NewTimer returns a timer that sends the time on its channel once, d from now.
	NewTimer(d time.Duration) Timer
	// AfterFunc returns a timer that calls f once, d from now; its channel is nil. The real clock calls f on
	// a goroutine of its own, a fake one on the goroutine that moves it; f must not block.
	AfterFunc(d time.Duration, f func()) Timer
	// After is NewTimer(d).C() for callers that never stop it.
	After(d time.Duration) <-chan time.Time
}

// Timer is one pending wake-up.
type Timer interface {
	// C returns the channel of a timer made by NewTimer. It holds one value; after Stop or Reset returned,
	// no value of the time before is received from it.
	C() <-chan time.Time
	// Stop prevents the wake-up and reports whether it was pending.
	Stop() bool
	// Reset makes the timer fire d from now, whether or not it has fired, and reports whether it was pending.
	Reset(d time.Duration) bool
}

// Real returns the clock of the system.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time                         { return time.Now() }
func (realClock) NewTimer(d time.Duration) Timer         { return realTimer{time.NewTimer(d)} }
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (realClock) AfterFunc(d time.Duration, f func()) Timer {
	return realTimer{time.AfterFunc(d, f)}
}

// realTimer relies on the guarantees of Go 1.23 about Stop and Reset.
type realTimer struct{ t *time.Timer }

func (r realTimer) C() <-chan time.Time        { return r.t.C }
func (r realTimer) Stop() bool                 { return r.t.Stop() }
func (r realTimer) Reset(d time.Duration) bool { return r.t.Reset(d) }
