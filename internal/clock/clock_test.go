package clock

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 9, 15, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

// received returns what the channel holds, or the zero time.
func received(c <-chan time.Time) time.Time {
	select {
	case t := <-c:
		return t
	default:
		return time.Time{}
	}
}

// conformance runs with the real clock inside a synctest bubble, and with the fake one: advance lets d pass.
func conformance(t *testing.T, c Clock, advance func(d time.Duration)) {
	begin := c.Now()
	timer := c.NewTimer(10 * time.Second)
	var calls atomic.Int32
	function := c.AfterFunc(5*time.Second, func() { calls.Add(1) })
	if function.C() != nil {
		t.Error("AfterFunc has a channel")
	}
	after := c.After(time.Second)
	advance(4 * time.Second)
	if got := received(after); !got.Equal(begin.Add(time.Second)) {
		t.Errorf("After fired at %v", got.Sub(begin))
	}
	if got := received(timer.C()); !got.IsZero() || calls.Load() != 0 {
		t.Error("fired too early")
	}
	advance(6 * time.Second)
	if got := received(timer.C()); !got.Equal(begin.Add(10 * time.Second)) {
		t.Errorf("timer fired at %v", got.Sub(begin))
	}
	if calls.Load() != 1 {
		t.Errorf("function called %d times", calls.Load())
	}
	if timer.Stop() || function.Stop() {
		t.Error("a timer that fired was pending")
	}
	if timer.Reset(time.Second) || function.Reset(time.Second) {
		t.Error("a timer that fired was pending at Reset")
	}
	if !timer.Stop() || !function.Reset(3*time.Second) {
		t.Error("a timer that was set was not pending")
	}
	advance(2 * time.Second)
	if got := received(timer.C()); !got.IsZero() || calls.Load() != 1 {
		t.Error("a stopped timer fired")
	}
	advance(time.Second)
	if calls.Load() != 2 {
		t.Error("a timer that was reset did not fire")
	}
	timer.Reset(time.Second)
	advance(time.Second)
	timer.Reset(time.Second) // discards the value that was sent and not received
	if got := received(timer.C()); !got.IsZero() {
		t.Error("a stale value was received after Reset")
	}
	timer.Stop()
	at := c.NewTimer(0)
	advance(time.Nanosecond)
	if received(at.C()).IsZero() {
		t.Error("a timer of no time did not fire")
	}
}

func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conformance(t, Real(), func(d time.Duration) {
			<-time.After(d) // the bubble's clock jumps: nothing waits
			synctest.Wait()
		})
	})
}

func TestFakeClock(t *testing.T) {
	f := NewFake(start)
	conformance(t, f, f.Advance)
}

func TestFakeFiresInOrder(t *testing.T) {
	f := NewFake(start)
	var got []string
	note := func(name string) func() {
		return func() { got = append(got, fmt.Sprint(name, f.Now().Sub(start))) }
	}
	f.AfterFunc(3*time.Second, note("c"))
	f.AfterFunc(time.Second, note("a"))
	f.AfterFunc(3*time.Second, note("d"))
	f.AfterFunc(2*time.Second, func() {
		note("b")()
		f.AfterFunc(time.Second, note("e"))
		f.AfterFunc(0, note("now"))
	})
	f.Advance(10 * time.Second)
	if want := []string{"a1s", "b2s", "now2s", "c3s", "d3s", "e3s"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if f.Pending() != 0 || !f.Now().Equal(start.Add(10*time.Second)) {
		t.Fatalf("%d pending at %v", f.Pending(), f.Now())
	}
}

func TestFakeNext(t *testing.T) {
	f := NewFake(start)
	if f.Next() {
		t.Fatal("fired nothing")
	}
	a, b := f.NewTimer(time.Minute), f.NewTimer(time.Hour)
	if !f.Next() || received(a.C()).IsZero() || !received(b.C()).IsZero() || !f.Now().Equal(start.Add(time.Minute)) {
		t.Fatalf("at %v", f.Now())
	}
	f.AdvanceTo(start) // not after now
	if !f.Now().Equal(start.Add(time.Minute)) {
		t.Fatalf("went back to %v", f.Now())
	}
	f.AdvanceTo(start.Add(time.Hour))
	if received(b.C()).IsZero() {
		t.Fatal("not fired")
	}
}

func TestFakeRefusesToGoBack(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	NewFake(start).Advance(-1)
}

// TestFakeWakesGoroutines runs waiters on goroutines of their own; AwaitPending replaces sleeping.
func TestFakeWakesGoroutines(t *testing.T) {
	f := NewFake(start)
	var done sync.WaitGroup
	for i := range 10 {
		done.Go(func() {
			for range 3 {
				if got := <-f.After(time.Duration(i+1) * time.Second); got.Before(start) {
					t.Errorf("woken at %v", got)
				}
			}
		})
	}
	for range 3 {
		f.AwaitPending(10)
		f.Advance(10 * time.Second)
	}
	done.Wait()
}

// TestFakeMatchesModel compares a random run with a list of (time, order) that is searched the obvious way.
func TestFakeMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			at    time.Duration
			order int
		}
		f := NewFake(start)
		model, timers := map[int]entry{}, map[int]Timer{}
		now, order := time.Duration(0), 0
		var got, want []int
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			id := rapid.IntRange(0, 5).Draw(t, "id")
			d := time.Duration(rapid.IntRange(1, 5).Draw(t, "d"))
			_, pending := model[id]
			switch rapid.IntRange(0, 2).Draw(t, "action") {
			case 0:
				if timers[id] == nil {
					timers[id] = f.AfterFunc(d, func() { got = append(got, id) })
				} else if timers[id].Reset(d) != pending {
					t.Fatalf("Reset of %d: pending %v", id, pending)
				}
				order++
				model[id] = entry{now + d, order}
			case 1:
				if timers[id] != nil && timers[id].Stop() != pending {
					t.Fatalf("Stop of %d: pending %v", id, pending)
				}
				delete(model, id)
			case 2:
				f.Advance(d)
				now += d
				due := []int{}
				for k, e := range model {
					if e.at <= now {
						due = append(due, k)
					}
				}
				slices.SortFunc(due, func(a, b int) int {
					if model[a].at != model[b].at {
						return int(model[a].at - model[b].at)
					}
					return model[a].order - model[b].order
				})
				for _, k := range due {
					delete(model, k)
				}
				want = append(want, due...)
			}
			if !slices.Equal(got, want) || f.Pending() != len(model) {
				t.Fatalf("fired %v, want %v; %d pending, want %d", got, want, f.Pending(), len(model))
			}
		}
	})
}
