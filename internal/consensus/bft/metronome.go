package bft

import (
	"sync"
	"time"
)

// metronome beats for all who subscribe, at one moment: a validator at rest wakes up once per tick, not once for each of its
// timeouts. It beats only while somebody listens.
type metronome struct {
	mu       sync.Mutex
	beats    map[chan time.Time]struct{}
	period   time.Duration
	finished chan struct{}
}

// subscribe has the form of Config.Ticker. A subscriber that is late misses beats and none waits for it. All subscribers of
// one metronome name the same period.
func (m *metronome) subscribe(period time.Duration) (<-chan time.Time, func()) {
	beat := make(chan time.Time, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.beats) == 0 {
		m.beats, m.period, m.finished = map[chan time.Time]struct{}{}, period, make(chan struct{})
		go m.run(period, m.finished)
	}
	if m.period != period {
		panic("bft: one metronome, two periods")
	}
	m.beats[beat] = struct{}{}
	return beat, func() { m.unsubscribe(beat) }
}

func (m *metronome) unsubscribe(beat chan time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.beats[beat]; !ok {
		return
	}
	if delete(m.beats, beat); len(m.beats) == 0 {
		close(m.finished)
	}
}

func (m *metronome) run(period time.Duration, finished <-chan struct{}) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-finished:
			return
		case now := <-ticker.C:
			m.beat(now)
		}
	}
}

func (m *metronome) beat(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for beat := range m.beats {
		select {
		case beat <- now:
		default:
		}
	}
}
