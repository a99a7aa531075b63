package intake

import (
	"testing"
	"time"
)

// TestPaceFollowsWhatIsSettled lets a node settle at several speeds: what may wait follows within a few seconds.
func TestPaceFollowsWhatIsSettled(t *testing.T) {
	var p pace
	now := time.Unix(1, 0)
	if p.measure(now); p.limit(20_000) != paceMin {
		t.Errorf("at first %d may wait", p.limit(20_000))
	}
	for _, step := range []struct {
		perSecond, low, high int
	}{{5000, 9500, 10_000}, {100, paceMin, paceMin}, {50_000, 20_000, 20_000}, {3000, 5900, 6400}} {
		for range 60 {
			now = now.Add(100 * time.Millisecond)
			p.settled += step.perSecond / 10
			p.measure(now)
		}
		if got := p.limit(20_000); got < step.low || got > step.high {
			t.Errorf("at %d a second %d may wait, not %d to %d", step.perSecond, got, step.low, step.high)
		}
	}
	if p.limit(7) != 7 {
		t.Errorf("%d may wait where 7 is the most", p.limit(7))
	}
	p.measure(now) // no time has passed
	now = now.Add(time.Hour)
	if p.measure(now); p.limit(20_000) != paceMin {
		t.Errorf("after an hour of rest %d may wait", p.limit(20_000))
	}
}
