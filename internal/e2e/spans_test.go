package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// spans are measured times.
type spans struct{ all []time.Duration }

func (s *spans) add(d time.Duration) { s.all = append(s.all, d) }

// at returns the time that a share of all does not exceed; 0 of none.
func (s *spans) at(share float64) time.Duration {
	if len(s.all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.all))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (s *spans) median() time.Duration { return s.at(0.5) }
func (s *spans) max() time.Duration    { return s.at(1) }

// String tells how many there are, their median and the longest.
func (s *spans) String() string {
	return fmt.Sprintf("%d times, median %v, longest %v", len(s.all), s.median().Round(time.Microsecond), s.max().Round(time.Microsecond))
}

// judge fails the test in its long form, which has the machine to itself, unless a promised figure was reached; in the short
// form it says so, since machines are shared.
func judge(t *testing.T, reached bool, promise string) {
	t.Helper()
	switch {
	case reached:
		t.Logf("reached: %s", promise)
	case *faults:
		t.Errorf("not reached: %s", promise)
	default:
		t.Logf("not reached on this machine: %s", promise)
	}
}
