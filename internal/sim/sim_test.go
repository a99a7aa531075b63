package sim_test

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"aval/internal/sim"
	"aval/internal/sim/check"
)

// report fails the test for every seed that does not hold, with the command that repeats it.
func report(t *testing.T, totals *sim.Totals) {
	t.Helper()
	for _, r := range totals.Failed {
		for _, v := range r.Violations {
			t.Errorf("seed %d: %s", r.Seed, v)
		}
		t.Errorf("again: %s", r.Command())
	}
}

// run simulates seeds and returns what they sum up to.
func run(t *testing.T, m sim.Many) *sim.Totals {
	t.Helper()
	m.Progress = os.Stderr
	totals, err := sim.RunMany(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	report(t, totals)
	return totals
}

// TestSeeds runs 200 seeds, and looks that nothing that may befall a network is left out, and that clients get something done.
func TestSeeds(t *testing.T) {
	counts := map[string]int{}
	for _, m := range []sim.Many{{First: 1, Count: 150, Nodes: 4}, {First: 1000, Count: 40, Nodes: 7}, {First: 2000, Count: 5, Nodes: 5}, {First: 3000, Count: 5, Nodes: 6}} {
		totals := run(t, m)
		for what, n := range totals.Counts {
			counts[what] += n
		}
		if totals.Vouchers < totals.Seeds || totals.Transactions < 10*totals.Seeds {
			t.Errorf("%d seeds of %d nodes: %d vouchers and %d transactions only", totals.Seeds, m.Nodes, totals.Vouchers, totals.Transactions)
		}
		t.Logf("%d nodes: %d seeds, %.1f in a second, longest recovery %d ms", m.Nodes, totals.Seeds, totals.SeedsPerSecond, totals.RecoveryMs)
	}
	for _, what := range []string{"crash", "crash at write", "partition", "one-way partition", "isolation", "loss", "lost", "duplication", "duplicated",
		"delay", "skew", "clock jump", "slow disk", "full disk", "write error", "lost fsync", "bit flip", "replaced disks", "refused to start",
		"liar", "lies", "batches fetched", "blocks fetched", "refused", "told never"} {
		if counts[what] == 0 {
			t.Errorf("in no seed there was: %s", what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d %s", counts[what], what)
	}
}

// TestRegressions runs the seeds that have found something.
func TestRegressions(t *testing.T) {
	for _, r := range []struct {
		seed  uint64
		nodes int
		found string
	}{
		{36, 4, "a clock that had been ahead kept a node from batching for as long as it had been ahead"},
		{141, 4, "the reference engine certified one proposal under two headers"},
		{10169, 4, "a client in a quiet network cannot know that its transaction has expired, and must make another block come"},
		{20179, 4, "a validator of the reference engine that had signed nothing yet took its record of votes for lost"},
		{184, 4, "a validator of the reference engine ran through the views alone"},
	} {
		t.Run(fmt.Sprint(r.seed), func(t *testing.T) {
			t.Log(r.found)
			run(t, sim.Many{First: r.seed, Count: 1, Nodes: r.nodes})
		})
	}
}

// TestSameSeedSameTrace runs seeds twice, with more and fewer threads, alone and beside others, and compares everything.
func TestSameSeedSameTrace(t *testing.T) {
	const seeds = 6
	want := map[uint64]string{}
	for seed := uint64(1); seed <= seeds; seed++ {
		r, err := sim.Run(sim.Config{Seed: seed, Nodes: 4})
		if err != nil {
			t.Fatal(err)
		}
		for other, trace := range want {
			if trace == r.Trace {
				t.Errorf("seeds %d and %d have the same trace", seed, other)
			}
		}
		want[seed] = r.Trace
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, threads := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(threads)
		totals := run(t, sim.Many{First: 1, Count: seeds, Nodes: 4, Workers: threads})
		if !maps.Equal(totals.Traces, want) {
			t.Errorf("%d threads: traces %v, before %v", threads, totals.Traces, want)
		}
	}
}

// TestTooManyLiars: the judge notices what a network cannot withstand. With two liars of four, two honest validators are made to
// certify different blocks in some seed.
func TestTooManyLiars(t *testing.T) {
	forks := 0
	for seed := uint64(1); seed <= 12 && forks == 0; seed++ {
		r, err := sim.Run(sim.Config{Seed: seed, Nodes: 4, Liars: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.Violations {
			if v.Rule == check.Agreement {
				forks++
			}
		}
	}
	if forks == 0 {
		t.Fatal("two liars of four never made the others disagree, or nobody noticed")
	}
}

// TestLog: a run says in words what happened, and the same as without.
func TestLog(t *testing.T) {
	var log strings.Builder
	quiet, err := sim.Run(sim.Config{Seed: 2, Nodes: 4})
	if err != nil {
		t.Fatal(err)
	}
	loud, err := sim.Run(sim.Config{Seed: 2, Nodes: 4, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if loud.Trace != quiet.Trace {
		t.Errorf("the log changes the run")
	}
	if !strings.Contains(log.String(), "msg=fault") || !strings.Contains(log.String(), "msg=final") {
		t.Errorf("the log says nothing of faults or blocks: %.300s", log.String())
	}
}

// TestConfig: what cannot be simulated is refused.
func TestConfig(t *testing.T) {
	for _, c := range []sim.Config{{Nodes: 3}, {Nodes: 8}, {Nodes: 4, Suite: "x"}, {Nodes: 4, Liars: 5}} {
		if _, err := sim.Run(c); err == nil {
			t.Errorf("%+v was simulated", c)
		}
	}
	if _, err := sim.RunMany(t.Context(), sim.Many{Nodes: 4, Count: 2, Log: &strings.Builder{}}); err == nil {
		t.Error("a log of two seeds")
	}
}
