package e2e

import (
	"testing"
	"time"
)

// TestPartitions cuts links between the networks of nodes: one validator off, two from two, one that is heard but hears
// nothing, one that hears and is not heard. With a quorum the others go on; without one nothing is committed. When the links
// are whole again the next commit comes within 5 s, everybody has the same blocks, and nothing acknowledged is lost.
func TestPartitions(t *testing.T) {
	t.Parallel()
	if !isolated(t) {
		return
	}
	w := foundWorld(t, "sm")
	w.switched()
	w.startAll()
	l, stop := w.startLoad(t.Context(), 0, 1, 2, 3)
	l.next(t)
	random := w.random("partitions")
	rounds, shortest, longest := 1, 4*time.Second, 4500*time.Millisecond
	if *faults {
		rounds, longest = 12, 40*time.Second
	}
	var healed spans
	for range rounds {
		for _, kind := range partitions {
			leader := w.newestLeader()
			mend, quorum := kind.begin(w, leader)
			hold := shortest + time.Duration(random.Int64N(int64(longest-shortest)))
			before := l.count()
			took := l.within(hold)
			t.Logf("%s: acknowledged during %v: %d, the first after %v", kind.name, hold.Round(time.Millisecond), l.count()-before, took)
			if quorum {
				judge(t, took <= 4*time.Second, kind.name+": those who can reach each other are a quorum and commit within 4 s")
			}
			if !quorum && took < hold { // what was submitted before may have been decided before
				t.Errorf("%s: a transaction was acknowledged without a quorum, after %v", kind.name, took)
			}
			mend()
			took = l.next(t)
			healed.add(took)
			t.Logf("%s: mended, next commit after %v", kind.name, took)
			w.settle(l)
		}
	}
	stop()
	t.Logf("next commit after a partition healed: %s", &healed)
	judge(t, healed.max() <= 5*time.Second, "after a partition heals the next commit comes within 5 s")
	w.checkAcked(l)
}

// partition is a way in which links can be cut.
type partition struct {
	name string
	// begin cuts links and returns how to mend them, and whether the validators that can still reach each other are a quorum.
	begin func(w *world, leader int) (mend func(), quorum bool)
}

// others returns the nodes beside i: the other validators and the gateway.
func others(i int) []int {
	var out []int
	for k := range 5 {
		if k != i {
			out = append(out, k)
		}
	}
	return out
}

// off cuts a validator off from all others.
func off(w *world, i int) (func(), bool) {
	w.part(true, []int{i}, others(i))
	return func() { w.part(false, []int{i}, others(i)) }, true
}

var partitions = []partition{
	{"the leader is cut off", off},
	{"a follower is cut off", func(w *world, leader int) (func(), bool) { return off(w, (leader+1)%4) }},
	{"two and two", func(w *world, leader int) (func(), bool) {
		a, b := []int{leader, (leader + 1) % 4}, []int{(leader + 2) % 4, (leader + 3) % 4}
		w.part(true, a, b)
		return func() { w.part(false, a, b) }, false
	}},
	{"the leader hears nothing", func(w *world, leader int) (func(), bool) {
		for _, k := range others(leader) {
			w.cut(k, leader, true)
		}
		return func() {
			for _, k := range others(leader) {
				w.cut(k, leader, false)
			}
		}, true
	}},
	{"the leader is not heard", func(w *world, leader int) (func(), bool) {
		for _, k := range others(leader) {
			w.cut(leader, k, true)
		}
		return func() {
			for _, k := range others(leader) {
				w.cut(leader, k, false)
			}
		}, true
	}},
	{"everybody alone", func(w *world, _ int) (func(), bool) {
		all := [][]int{{0}, {1}, {2}, {3}, {4}}
		w.part(true, all...)
		return func() { w.part(false, all...) }, false
	}},
}
