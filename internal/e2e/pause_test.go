package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestPauses stops the processes of the leader and of followers for a while, shorter and longer than the timeouts, as a machine that swaps or a
// virtual machine that is moved does. The others go on, the one that wakes up joins them, and it has voted for nothing else.
func TestPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "intl")
	random := w.random("pauses")
	rounds := 1
	if *faults {
		rounds = 20
	}
	l, stop := w.startLoad(t.Context(), 0, 1, 2, 3)
	l.next(t)
	var long, woke spans
	for range rounds {
		for _, pause := range []struct {
			leader bool
			span   time.Duration // the leader is complained about after 1.5 s of silence
		}{{true, 500 * time.Millisecond}, {false, 500 * time.Millisecond}, {true, 4 * time.Second}, {false, 4 * time.Second}} {
			victim := w.newestLeader()
			if !pause.leader {
				victim = (victim + 1 + random.IntN(3)) % 4
			}
			span := pause.span + time.Duration(random.IntN(500))*time.Millisecond
			w.signal(victim, syscall.SIGSTOP)
			took := l.within(span)
			w.signal(victim, syscall.SIGCONT)
			if took < span {
				long.add(took)
			}
			after := l.next(t)
			woke.add(after)
			what := fmt.Sprintf("%s, leader %v, paused for %v", w.nodes[victim].Name, pause.leader, span)
			t.Logf("%s: first commit after %v, next one after it woke up %v later", what, took, after)
			if pause.span > 2*time.Second {
				judge(t, took <= 4*time.Second, what+": the others commit within 4 s")
			}
			w.settle(l)
		}
	}
	stop()
	t.Logf("next commit while one is paused: %s; after it woke up: %s", &long, &woke)
	w.checkAcked(l)
}

// TestSilentValidator measures how long a transaction takes while as many validators as may fail are silent. It may be twice
// the normal median.
func TestSilentValidator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sm")
	count := 60
	if *faults {
		count = 1000
	}
	leader := w.newestLeader()
	normal := w.latency((leader+2)%4, count)
	t.Logf("all four: %s", normal)
	for _, silent := range []int{(leader + 1) % 4, leader} {
		w.signal(silent, syscall.SIGSTOP)
		w.mustOpenScope(w.client((silent + 1) % 4)) // the others have noticed
		w.mustOpenScope(w.client((silent + 2) % 4))
		without := w.latency((leader+2)%4, count)
		w.signal(silent, syscall.SIGCONT)
		t.Logf("%s silent, leader %v: %s", w.nodes[silent].Name, silent == leader, without)
		judge(t, without.median() <= 2*normal.median(), "with f silent validators the median latency is at most twice the normal one")
	}
}

// latency measures so many transactions, one after another, through one node.
func (w *world) latency(node, count int) *spans {
	w.t.Helper()
	s, c := new(spans), w.client(node)
	for range count {
		start := time.Now()
		w.mustOpenScope(c)
		s.add(time.Since(start))
	}
	return s
}
