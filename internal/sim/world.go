package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"log/slog"
	"math/rand/v2"
	"time"

	"aval/internal/clock"
	"aval/internal/sim/check"
)

// world is one simulation. Everything in it happens on the goroutine that runs it, in the order of its clock.
type world struct {
	cfg   Config
	cast  *cast
	suite *remembering
	clock *clock.Fake
	judge *check.Judge
	log   *slog.Logger
	// chance decides what the network and the machines do, story what clients do, malice what liars do: apart, so that one does not
	// shift the others.
	chance, story, malice *rand.Rand

	nodes   []*node
	net     *network
	clients *clients
	// faces are the blocks by which liars deceive, by their hashes.
	faces map[string]*faces
	// batches holds the digests whose bodies the judge has.
	batches map[string]bool

	trace  hash.Hash
	events int
	counts map[string]int
	// healed says that nothing goes wrong any more; over that nothing happens any more.
	healed, over bool
}

// newWorld makes a network that is not started.
func newWorld(cfg Config) (*world, error) {
	name := cfg.Suite
	if name == "" {
		name = []string{"intl", "sm"}[cfg.Seed%2]
	}
	c, err := castFor(name, cfg.Nodes)
	if err != nil {
		return nil, err
	}
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(cfg.Seed, n)) }
	w := &world{cfg: cfg, cast: c, suite: remember(c.suite), clock: clock.NewFake(time.UnixMilli(int64(start)).UTC()), chance: stream(1),
		story: stream(2), malice: stream(3), batches: map[string]bool{}, faces: map[string]*faces{}, trace: sha256.New(), counts: map[string]int{},
		log: slog.New(slog.DiscardHandler)}
	if cfg.Log != nil {
		w.log = slog.New(slog.NewTextHandler(cfg.Log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: w.stamp}))
	}
	w.judge = check.New(check.Config{Suite: w.suite, Genesis: c.genesis})
	w.net = newNetwork(w, cfg.Nodes)
	for i := range cfg.Nodes {
		n, err := newNode(w, i)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
	}
	w.clients = newClients(w)
	return w, nil
}

// stamp replaces the time of a log line by that of the simulation.
func (w *world) stamp(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Duration("at", w.now())
	}
	return a
}

// now returns how long the simulation has lasted.
func (w *world) now() time.Duration { return w.clock.Now().Sub(time.UnixMilli(int64(start))) }

// after lets fn happen once, d from now.
func (w *world) after(d time.Duration, fn func()) clock.Timer {
	return w.clock.AfterFunc(max(d, 1), func() {
		if !w.over {
			w.events++
			fn()
		}
	})
}

// note adds an event to the trace: what happened, where, and bytes that tell it from others.
func (w *world) note(what string, a, b int, data []byte) {
	var head [32]byte
	binary.BigEndian.PutUint64(head[:], uint64(w.now()))
	binary.BigEndian.PutUint32(head[8:], uint32(a))
	binary.BigEndian.PutUint32(head[12:], uint32(b))
	binary.BigEndian.PutUint64(head[16:], uint64(len(data)))
	binary.BigEndian.PutUint64(head[24:], uint64(len(what)))
	for _, part := range [][]byte{head[:], []byte(what), data} {
		w.trace.Write(part) // a hash never fails
	}
}

// fault counts and traces something that goes wrong.
func (w *world) fault(kind string, node int) {
	w.counts[kind]++
	w.note("fault "+kind, node, 0, nil)
	w.log.Info("fault", slog.String("kind", kind), slog.Int("node", node))
}

// run lets the simulation go on until done says so, for at most limit. It returns how long that took, or −1.
func (w *world) run(limit time.Duration, done func() bool) time.Duration {
	begin := w.now()
	for !done() {
		if w.now()-begin > limit || !w.clock.Next() {
			return -1
		}
	}
	return w.now() - begin
}

// quorum returns how many validators decide.
func (w *world) quorum() int { return w.cast.genesis.Validators.Quorum() }

// spread returns a random time between low and high.
func spread(r *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// oneIn is true once in n times.
func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }
