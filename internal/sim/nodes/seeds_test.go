package nodes

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	oneSeed  = flag.Int64("seed", -1, "run this seed only")
	fromSeed = flag.Uint64("from", 0, "the first seed to run, with -count seeds")
	seeds    = flag.Int("seeds", 0, "how many seeds to run; 0: as many as belong to every test run")
)

// TestSeeds lives through networks in which machines, disks, links and clocks fail.
func TestSeeds(t *testing.T) { runSeeds(t, seedsInCI, false) }

// TestByzantineSeeds lives through networks in which one validator has a twin, or lies, and links and machines fail.
func TestByzantineSeeds(t *testing.T) { runSeeds(t, byzantineSeedsInCI, true) }

// regressions are seeds that once found something, beside those of every run: what, is in docs/RELIABILITY.md.
var regressions = map[bool][]uint64{false: {42, 143, 180}}

func runSeeds(t *testing.T, count int, byzantine bool) {
	from := *fromSeed
	if *seeds > 0 {
		count = *seeds
	}
	if *oneSeed >= 0 {
		from, count = uint64(*oneSeed), 1
	}
	var list []uint64
	for seed := from; seed < from+uint64(count); seed++ {
		list = append(list, seed)
	}
	if count == seedsInCI {
		list = append(list, regressions[byzantine]...)
	}
	for _, seed := range list {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runSeed(t, newPlan(nameOf(byzantine), seed, byzantine)) })
	}
}

func nameOf(byzantine bool) string {
	if byzantine {
		return "TestByzantineSeeds"
	}
	return "TestSeeds"
}

// runSeed lives through a plan; a violation prints what repeats it.
func runSeed(t *testing.T, p *plan) {
	began := time.Now()
	w := inWorld(t, p)
	broken := w.verdict()
	if len(broken) > 0 || *oneSeed >= 0 {
		w.print(t.Output())
	}
	for _, b := range broken {
		t.Error(b)
	}
	t.Logf("seed %d: %d heights, %d stories, %d answers, %d messages of which %d lost; first block %v after healing (short of one: %t), %v of real time",
		p.seed, w.judge.Top(), w.stories, w.told, w.net.sent, w.net.lost, p.healed, p.short, time.Since(began).Round(time.Millisecond))
	if len(broken) > 0 {
		t.Logf("repeat: %s", p.command())
	}
}
