package conformance

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/ledger"
	"aval/suite"
)

// CommitMax is within what time a block must come although any one validator is lost.
const CommitMax = 4 * time.Second

// Run runs the suite. Time is that of a bubble (testing/synctest): it passes when nobody has anything to do, so limits
// are exact and nothing waits for real.
func Run(t *testing.T, f Factory) {
	for _, s := range suite.All() {
		t.Run(s.Name(), func(t *testing.T) {
			run(t, f, s, cases)
			if f.Validators > 1 {
				run(t, f, s, manyCases)
			}
		})
	}
}

type testCase struct {
	name string
	run  func(c *Cluster)
}

func run(t *testing.T, f Factory, s suite.Suite, cases []testCase) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := NewCluster(t, f, s)
				defer c.Close()
				tc.run(c)
			})
		})
	}
}

var cases = []testCase{
	{"orders", ordersAll},
	{"duplicates", refusesDuplicates},
	{"restart", restarts},
	{"garbage", ignoresGarbage},
	{"unfit", dropsUnfit},
	{"full", saysWhenFull},
	{"stop", stops},
}

var manyCases = []testCase{
	{"loss of one", survivesAnyOne},
	{"away", catchesUp},
	{"two down", stopsAndResumes},
	{"lossy", copesWithLoss},
	{"kills", survivesKills},
	{"all killed", survivesTotalLoss},
	{"skewed clock", refusesSkewedClock},
	{"chaos", survivesChaos},
}

func ordersAll(c *Cluster) {
	c.Start()
	ids := c.Submit(1)
	if took := c.AwaitOrdered(time.Second, ids); took > 100*time.Millisecond {
		c.T.Errorf("a lone request took %s", took)
	}
	for range 10 {
		ids = append(ids, c.Submit(20)...)
		c.AwaitOrdered(10*time.Second, ids)
	}
	tick := codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestTick,
		Body: codec.MustMarshal(&ledger.Tick{Epoch: 0, Height: c.Nodes[0].Ledger.Height() + 1})})
	id, err := c.Nodes[0].Ledger.RequestID(tick)
	if err != nil {
		c.T.Fatal(err)
	}
	for _, n := range c.Nodes {
		if err := n.Engine.Submit(c.T.Context(), tick); err != nil && !errors.Is(err, consensus.ErrDuplicate) {
			c.T.Error(err)
		}
	}
	c.AwaitOrdered(time.Second, []consensus.RequestID{id})
	height := c.Nodes[0].Ledger.Height()
	c.Quiet(time.Minute)
	for i, n := range c.Nodes {
		if n.Ledger.Height() != height {
			c.T.Errorf("node %d made %d blocks of nothing", i, n.Ledger.Height()-height)
		}
		if s := n.Engine.Status(); s.Pending != 0 || s.Cause != "" || s.Observing {
			c.T.Errorf("node %d at rest: %+v", i, s)
		}
	}
}

func refusesDuplicates(c *Cluster) {
	c.Start()
	raw, id := c.Batch()
	for _, n := range c.Nodes {
		if err := n.Engine.Submit(c.T.Context(), raw); err != nil && !errors.Is(err, consensus.ErrDuplicate) {
			c.T.Fatal(err)
		}
	}
	c.AwaitOrdered(time.Second, []consensus.RequestID{id})
	height := c.Nodes[0].Ledger.Height()
	for i, n := range c.Nodes {
		if err := n.Engine.Submit(c.T.Context(), raw); !errors.Is(err, consensus.ErrDuplicate) {
			c.T.Errorf("node %d took an ordered request again: %v", i, err)
		}
		n.Engine.ReceiveRequest(uint16((i+1)%len(c.Nodes)), raw)
	}
	c.Quiet(10 * time.Second)
	if h := c.Nodes[0].Ledger.Height(); h != height {
		c.T.Errorf("%d blocks for a request that was ordered already", h-height)
	}
}

func restarts(c *Cluster) {
	for round := range 3 {
		c.Start()
		ids := c.Submit(5)
		if round == 1 {
			c.AwaitOrdered(10*time.Second, ids)
		}
		c.Stop() // in the other rounds in the middle of it all
	}
	c.Start()
	c.AwaitOrdered(20*time.Second, c.Submit(5))
}

func ignoresGarbage(c *Cluster) {
	c.Start()
	rng := rand.New(rand.NewPCG(7, 7))
	c.AwaitOrdered(time.Second, c.Submit(1))
	for range 2000 {
		junk := make([]byte, rng.IntN(200))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		for _, n := range c.Nodes {
			n.Engine.Receive(uint16(rng.IntN(8)), junk)
			n.Engine.ReceiveRequest(uint16(rng.IntN(8)), junk)
			if err := n.Engine.Submit(c.T.Context(), junk); err == nil {
				c.T.Fatalf("junk was taken for a request: %x", junk)
			}
		}
	}
	c.AwaitOrdered(CommitMax, c.Submit(5))
}

func dropsUnfit(c *Cluster) {
	c.Start()
	for _, n := range c.Nodes {
		n.Ledger.Hold()
	}
	ids := c.Submit(6)
	for _, n := range c.Nodes {
		for _, id := range ids[:3] {
			n.Ledger.Expire(id)
		}
		n.Ledger.Release()
	}
	c.AwaitOrdered(2*CommitMax, ids[3:])
	c.AwaitOrdered(2*CommitMax, c.Submit(3))
	for i, n := range c.Nodes {
		if slices.ContainsFunc(ids[:3], n.Ledger.Ordered) {
			c.T.Errorf("node %d ordered a request that is in no block", i)
		}
	}
}

func saysWhenFull(c *Cluster) {
	c.Start()
	for _, n := range c.Nodes {
		n.Ledger.Hold()
	}
	busy := 0
	for range PendingMax + 10 {
		raw, _ := c.Batch()
		err := c.Nodes[0].Engine.Submit(c.T.Context(), raw)
		if errors.Is(err, consensus.ErrBusy) {
			busy++
		} else if err != nil {
			c.T.Fatal(err)
		}
	}
	if busy != 10 {
		c.T.Errorf("%d of %d requests were refused as too many, expected 10", busy, PendingMax+10)
	}
	if n := c.Nodes[0].Engine.Status().Pending; n != PendingMax {
		c.T.Errorf("%d requests are pending, expected %d", n, PendingMax)
	}
	for _, n := range c.Nodes {
		n.Ledger.Release()
	}
	c.Await(4*CommitMax, "nothing pending", func() bool { return c.Nodes[0].Engine.Status().Pending == 0 })
	c.AwaitOrdered(2*CommitMax, c.Submit(1))
}

func stops(c *Cluster) {
	raw, _ := c.Batch()
	idle := c.Engine(0)
	if err := idle.Submit(c.T.Context(), raw); !errors.Is(err, consensus.ErrStopped) {
		c.T.Errorf("an engine that never started took a request: %v", err)
	}
	idle.Stop()
	if err := idle.Start(c.T.Context()); err == nil {
		c.T.Error("a stopped engine started")
	}
	c.Start()
	e := c.Nodes[0].Engine
	if err := e.Start(c.T.Context()); err == nil {
		c.T.Error("an engine started twice")
	}
	c.Stop(0)
	e.Stop()
	if err := e.Submit(c.T.Context(), raw); !errors.Is(err, consensus.ErrStopped) {
		c.T.Errorf("a stopped engine took a request: %v", err)
	}
	e.Receive(1, []byte("x"))
	e.ReceiveRequest(1, []byte("x"))
	if s := e.Status(); s.Cause == "" {
		c.T.Error("a stopped engine does not say so")
	}
}

func survivesAnyOne(c *Cluster) {
	c.Start()
	c.AwaitOrdered(time.Second, c.Submit(3))
	for i := range c.Nodes {
		c.Stop(i)
		took := c.AwaitOrdered(CommitMax, c.Submit(1))
		c.T.Logf("node %d down: the next commit took %s", i, took)
		c.AwaitOrdered(CommitMax, c.Submit(5))
		c.Start(i)
		c.awaitLevel(2 * CommitMax)
	}
}

// awaitLevel waits until all nodes that are up have the same head.
func (c *Cluster) awaitLevel(limit time.Duration) time.Duration {
	c.T.Helper()
	return c.Await(limit, "all nodes at one height", func() bool {
		var low, high ledger.Height
		first := true
		for _, n := range c.Nodes {
			if n.Engine == nil {
				continue
			}
			h := n.Ledger.Height()
			if first {
				low, high, first = h, h, false
			}
			low, high = min(low, h), max(high, h)
		}
		return low == high
	})
}

func catchesUp(c *Cluster) {
	c.Start()
	c.AwaitOrdered(time.Second, c.Submit(1))
	c.Stop(3)
	for range 20 {
		c.AwaitOrdered(CommitMax, c.Submit(2))
	}
	c.Start(3)
	took := c.awaitLevel(3 * CommitMax)
	c.T.Logf("%d blocks behind: level after %s", 20, took)
	c.Stop(0) // what came back must count for a quorum
	c.AwaitOrdered(2*CommitMax, c.Submit(3))
	c.Net.Isolate(1, true)
	c.Quiet(20 * time.Second)
	c.Net.Isolate(1, false)
	c.AwaitOrdered(4*CommitMax, c.Submit(3))
}

func stopsAndResumes(c *Cluster) {
	for _, down := range [][]int{{2, 3}, {0, 1}} {
		c.Start()
		c.AwaitOrdered(4*CommitMax, c.Submit(2))
		c.Stop(down...)
		height := c.height()
		ids := c.Submit(2)
		c.Quiet(30 * time.Second)
		if h := c.height(); h != height {
			c.T.Fatalf("%d blocks with two of four down", h-height)
		}
		for i, n := range c.Nodes {
			if n.Engine == nil {
				continue
			}
			cause := n.Engine.Status().Cause
			for _, d := range down {
				if !strings.HasPrefix(cause, "quorum lost: heard from 1 of 3 others") || !strings.Contains(cause, c.Set[d].Name) {
					c.T.Errorf("node %d says %q, it should name %s", i, cause, c.Set[d].Name)
				}
			}
		}
		c.Start(down[0])
		took := c.AwaitOrdered(4*CommitMax, ids)
		c.T.Logf("resumed after %s", took)
	}
}

func (c *Cluster) height() ledger.Height {
	var h ledger.Height
	for _, n := range c.Nodes {
		h = max(h, n.Ledger.Height())
	}
	return h
}

func copesWithLoss(c *Cluster) {
	c.Start()
	c.Net.Lose(50)
	var ids []consensus.RequestID
	for range 30 {
		ids = append(ids, c.Submit(2)...)
		c.Quiet(300 * time.Millisecond)
	}
	c.Net.Lose(0)
	took := c.AwaitOrdered(time.Minute, ids)
	c.T.Logf("level %s after the links were mended", took)
}

func survivesKills(c *Cluster) {
	rng := rand.New(rand.NewPCG(3, uint64(c.Suite.ID())))
	c.Start()
	c.AwaitOrdered(time.Second, c.Submit(1))
	worst := time.Duration(0)
	for range 12 {
		victim := rng.IntN(len(c.Nodes))
		c.Submit(3)
		c.Quiet(time.Duration(rng.IntN(2000)) * time.Microsecond)
		c.Stop(victim)
		took := c.AwaitOrdered(CommitMax, c.Submit(1))
		worst = max(worst, took)
		c.Start(victim)
		c.AwaitOrdered(3*CommitMax, c.Submit(1))
		c.awaitLevel(2 * CommitMax)
	}
	c.T.Logf("the slowest commit after a kill took %s", worst)
}

func survivesTotalLoss(c *Cluster) {
	rng := rand.New(rand.NewPCG(5, uint64(c.Suite.ID())))
	for range 8 {
		c.Start()
		c.Submit(3)
		c.Quiet(time.Duration(rng.IntN(3000)) * time.Microsecond)
		if rng.IntN(2) == 0 {
			c.Stop(rng.IntN(len(c.Nodes))) // so that some die in a view change
			c.Quiet(1600*time.Millisecond + time.Duration(rng.IntN(400))*time.Millisecond)
		}
		c.Stop()
	}
	c.Start()
	c.AwaitOrdered(5*CommitMax, c.Submit(3))
}

// ChaosSeeds are the seeds of the chaos case; AVAL_CHAOS (see bft/main_test.go) sets others.
var ChaosSeeds = []uint64{1, 2, 3}

// survivesChaos does everything at once, at random: kills, cuts, losses, and outages of all. Afterwards everybody must
// agree, and order what was submitted.
func survivesChaos(c *Cluster) {
	for _, seed := range ChaosSeeds {
		c.T.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, uint64(c.Suite.ID())))
		c.Start()
		var ids []consensus.RequestID
		for range 30 {
			ids = append(ids, c.Submit(rng.IntN(4))...)
			c.mischief(rng)
			c.Quiet(time.Duration(rng.IntN(1500)) * time.Millisecond)
		}
		c.Net.Lose(0)
		for i := range c.Nodes {
			c.Net.Isolate(i, false)
		}
		c.Start()
		c.awaitLevel(time.Minute)
		took := c.AwaitOrdered(time.Minute, append(c.Submit(3), c.unordered(ids)...))
		c.T.Logf("seed %d: whole again after %s", seed, took)
	}
}

// mischief does one thing to a cluster.
func (c *Cluster) mischief(rng *rand.Rand) {
	i := rng.IntN(len(c.Nodes))
	switch rng.IntN(8) {
	case 0, 1:
		c.Stop(i)
	case 2, 3, 4:
		c.Start()
	case 5:
		c.Net.Isolate(i, true)
	case 6:
		for k := range c.Nodes {
			c.Net.Isolate(k, false)
		}
		c.Net.Lose(rng.IntN(100))
	case 7:
		c.Net.Cut(i, rng.IntN(len(c.Nodes)), true)
	}
}

// unordered returns the requests that some node still holds: one that was refused everywhere, or lost with the only
// nodes that held it, is for its originator to submit again.
func (c *Cluster) unordered(ids []consensus.RequestID) []consensus.RequestID {
	return slices.DeleteFunc(slices.Clone(ids), func(id consensus.RequestID) bool {
		return !slices.ContainsFunc(c.Nodes, func(n *Node) bool { return n.Ledger.Ordered(id) })
	})
}

func refusesSkewedClock(c *Cluster) {
	c.Start()
	c.AwaitOrdered(time.Second, c.Submit(1))
	leader := int(c.Nodes[0].Engine.Status().Leader)
	c.Nodes[leader].Ledger.Skew(ledger.WallDriftMax + 1000)
	c.AwaitOrdered(2*CommitMax, c.Submit(1))
	for i, n := range c.Nodes {
		if now := int(n.Engine.Status().Leader); now == leader {
			c.T.Errorf("node %d still follows the leader whose clock is wrong", i)
		}
		if wall := n.Ledger.Head().Header.Wall; wall > ledger.Time(time.Now().UnixMilli())+ledger.WallDriftMax {
			c.T.Errorf("node %d has a block of %s", i, wall)
		}
	}
}
