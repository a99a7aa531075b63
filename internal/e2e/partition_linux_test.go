package e2e

import (
	"context"
	"testing"
	"time"

	"aval/api"
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
	rounds, longest := 1, 4*time.Second
	if *faults {
		rounds, longest = 12, 40*time.Second
	}
	var healed spans
	for range rounds {
		for _, kind := range partitions {
			leader := w.newestLeader()
			mend, quorum := kind.begin(w, leader)
			hold := 3*time.Second + time.Duration(random.Int64N(int64(longest-3*time.Second)))
			before := l.count()
			took := l.within(hold)
			t.Logf("%s: acknowledged during %v: %d, the first after %v", kind.name, hold.Round(time.Millisecond), l.count()-before, took)
			if quorum && took > 4*time.Second && *faults {
				t.Errorf("%s: a quorum that could reach each other needed %v", kind.name, took)
			}
			if quorum && l.count() == before {
				t.Errorf("%s: a quorum that could reach each other committed nothing for %v", kind.name, hold)
			}
			if !quorum && l.count() != before {
				t.Errorf("%s: %d transactions were acknowledged without a quorum", kind.name, l.count()-before)
			}
			mend()
			took = l.next(t)
			healed.add(took)
			t.Logf("%s: mended, next commit after %v", kind.name, took)
			w.awaitCommits(t.Context(), l)
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

// awaitCommits waits until every node is at the newest height that any has told.
func (w *world) awaitCommits(ctx context.Context, l *load) {
	w.t.Helper()
	l.mu.Lock()
	top := l.acked[len(l.acked)-1].Height
	l.mu.Unlock()
	for i := range w.nodes {
		w.poll(w.nodes[i].Name+" catches up", func() error {
			s, err := w.status(i)
			if err == nil && s.Heights.Executed < top {
				return &behind{s}
			}
			return err
		})
	}
}

// behind is the status of a node that lacks blocks.
type behind struct{ status *api.Status }

// Error tells where it is.
func (b *behind) Error() string { return "it is behind: " + b.status.Cause }
