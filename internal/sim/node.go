package sim

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/clock"
	"aval/internal/intake"
	"aval/internal/kv"
	"aval/internal/sim/check"
	"aval/internal/sim/engine"
	"aval/ledger"
	"aval/suite"
)

// node is one validator: a machine with disks and a clock, and the program on it while it is up.
type node struct {
	w      *world
	index  int
	signer suite.Signer
	log    *slog.Logger
	disks

	// skew is how far its wall clock is off.
	skew time.Duration
	// slow is how long a synced write takes; the node does nothing else until busyUntil.
	slow      time.Duration
	busyUntil time.Time
	inbox     []func()
	pumping   bool

	// up says that the program runs; life counts its starts; cut that the power is out since something it did last.
	up, cut bool
	life    int
	// full says that its disks have no room; lied that one of them lost what it said was durable, and damaged that one has a wrong bit.
	full, lied, damaged bool
	// restored says that it must be told that its disks were replaced.
	restored bool
	liar     *liar

	chain       *chain.Chain
	intake      *intake.Intake
	attestor    *intake.Attestor
	catchup     *catchup.Catchup
	engine      *engine.Engine
	intakeTimer clock.Timer
	calls       map[uint64]func(body []byte, err error)
	nextCall    uint64
	fetching    fetching
	// told is the newest height that the judge knows this node to have committed, shown the newest executed one.
	told, shown ledger.Height
}

// tickEvery is how often a node looks after what nothing wakes it up for.
const tickEvery = 50 * time.Millisecond

func newNode(w *world, index int) (*node, error) {
	n := &node{w: w, index: index, signer: w.cast.validators[index], log: w.log.With(slog.Int("node", index))}
	var err error
	n.disks, err = newDisks(n)
	return n, err
}

// excused reports whether the node may break promises: it lies, or its disks do.
func (n *node) excused() bool { return n.liar != nil || n.lied || n.damaged }

// doubtful reports whether what the node answers may be wrong.
func (n *node) doubtful() bool { return n.liar != nil || n.damaged || n.lied && !n.w.healed }

// wallClock is the clock of a node's machine, which may be off. What takes time is measured without it.
type wallClock struct {
	*clock.Fake
	n *node
}

// Now implements clock.Clock.
func (c wallClock) Now() time.Time { return c.Fake.Now().Add(c.n.skew) }

// ownClock calls back as long as the node lives, and when it is not busy.
type ownClock struct {
	*clock.Fake
	n    *node
	life int
}

// AfterFunc implements clock.Clock.
func (c ownClock) AfterFunc(d time.Duration, fn func()) clock.Timer {
	return c.n.w.after(d, func() {
		if c.n.life == c.life {
			c.n.do(fn)
		}
	})
}

// start starts the program. An error says why it refuses to start.
func (n *node) start() (err error) {
	n.life++
	n.cut, n.inbox, n.calls, n.fetching = false, nil, map[uint64]func([]byte, error){}, fetching{}
	w := n.w
	n.chain, err = chain.Open(chain.Config{Genesis: w.cast.genesis, Suite: w.suite, Blocks: n.blocks, State: n.state, Stepped: true,
		Clock: wallClock{w.clock, n}, Logger: n.log, OnBroken: func(err error) { n.log.Warn("broken", slog.Any("error", err)) },
		OnExecuted: n.executed, OpenBytesMax: 8 << 20})
	if err != nil {
		return err
	}
	own := ownClock{w.clock, n, n.life}
	n.engine, err = engine.New(engine.Config{Suite: w.suite, Network: w.cast.network, Self: uint16(n.index), Signer: n.signer,
		Ledger: committer{n.chain, n}, Ready: n.ready, Store: n.votes, Links: links{n}, Clock: own, Restored: n.restored, Behind: n.behind, Logger: n.log,
		Signing: func(h *ledger.Header) {
			if !n.excused() {
				w.judge.Voted(uint16(n.index), 0, h) // in whatever view
			}
		}})
	if err != nil {
		return err
	}
	n.intake, err = intake.New(intake.Config{Chain: n.chain, Signer: n.signer, Stepped: true, Offer: n.offer, Order: n.order, Clock: own, Logger: n.log})
	if err != nil {
		return err
	}
	n.attestor = intake.NewAttestor(n.chain, n.signer)
	n.catchup, err = catchup.New(catchup.Config{Chain: committer{n.chain, n}, Clock: own, Logger: n.log})
	if err != nil {
		return err
	}
	n.intakeTimer = nil
	n.up, n.restored = true, false
	n.recall()
	n.tick(n.life)
	return nil
}

// recall shows the judge what a node that starts has on its disks.
func (n *node) recall() {
	progress, _ := n.chain.Progress()
	for h := n.told + 1; h <= progress.Committed; h++ {
		if b, err := n.chain.Block(h); err == nil && !n.excused() {
			n.w.judge.Committed(n.index, b)
		}
	}
	n.told = max(n.told, progress.Committed)
	for h := n.shown + 1; h <= progress.Executed; h++ {
		if receipts, err := n.chain.Receipts(h); err == nil {
			n.show(h, receipts)
		}
	}
}

// show shows the judge what a height did.
func (n *node) show(h ledger.Height, receipts []ledger.Receipt) {
	n.shown = max(n.shown, h)
	if b, err := n.chain.Block(h); err == nil {
		if p, err := ledger.DecodePayload(b.Payload); err == nil {
			for i := range p.Entries {
				n.showBatch(p.Entries[i].Digest)
			}
		}
	}
	if n.excused() {
		return
	}
	n.w.judge.Executed(n.index, h, receipts)
	if roots, err := n.chain.Roots(h); err == nil {
		n.w.judge.Rooted(n.index, h, roots.State, roots.WriteSet)
	}
}

func (n *node) showBatch(digest suite.Hash) {
	if n.w.batches[string(digest[:])] {
		return
	}
	if body, err := n.chain.BatchBytes(digest); err == nil {
		n.w.batches[string(digest[:])] = true
		n.w.judge.Batch(body)
	}
}

// executed is called for every height that is executed.
func (n *node) executed(h *ledger.Header, receipts []ledger.Receipt) {
	n.w.note("executed", n.index, int(h.Height), h.StateRoot[:])
	n.show(h.Height, receipts)
	if n.intake != nil && n.up {
		n.intake.Executed(h, receipts)
	}
}

// ready reports whether a block of a height can be worked on without waiting for execution.
func (n *node) ready(h ledger.Height) bool {
	progress, _ := n.chain.Progress()
	return n.chain.Broken() == nil && !n.cut && progress.Executed+ledger.Lag >= h
}

// committer is a chain that tells the judge what it commits, and executes what must be executed before.
type committer struct {
	*chain.Chain
	n *node
}

// Commit implements consensus.Ledger.
func (c committer) Commit(b *ledger.Block) error {
	err := c.Chain.Commit(b)
	return c.committed(b, err)
}

// Import implements catchup.Chain.
func (c committer) Import(b *ledger.Block, bodies [][]byte) error {
	for !c.n.ready(b.Header.Height) {
		if executed, _ := c.Step(); !executed {
			return errors.New("sim: execution waits")
		}
	}
	return c.committed(b, c.Chain.Import(b, bodies))
}

func (c committer) committed(b *ledger.Block, err error) error {
	if err == nil && b.Header.Height > c.n.told {
		c.n.told = b.Header.Height
		hash := b.Header.Hash(c.n.w.suite)
		c.n.w.note("committed", c.n.index, int(b.Header.Height), hash[:])
		if !c.n.excused() {
			c.n.w.judge.Committed(c.n.index, b)
		}
	}
	return err
}

// do lets the program do something, at once or when it is not busy any more.
func (n *node) do(fn func()) {
	if !n.up {
		return
	}
	n.inbox = append(n.inbox, fn)
	n.pump()
}

// busyFor keeps the program busy.
func (n *node) busyFor(d time.Duration) {
	from := n.w.clock.Now()
	if n.busyUntil.After(from) {
		from = n.busyUntil
	}
	n.busyUntil = from.Add(d)
}

// pump does what waits, one thing after another.
func (n *node) pump() {
	if n.pumping {
		return
	}
	n.pumping = true
	defer func() { n.pumping = false }()
	for n.up && len(n.inbox) > 0 {
		if wait := n.busyUntil.Sub(n.w.clock.Now()); wait > 0 {
			life := n.life
			n.w.after(wait, func() {
				if n.life == life {
					n.pump()
				}
			})
			return
		}
		fn := n.inbox[0]
		n.inbox = n.inbox[1:]
		fn()
		n.settle()
	}
}

// settle does all that became possible, and looks whether the program still runs.
func (n *node) settle() {
	for n.up && !n.cut {
		head := n.chain.Head().Header.Height
		executed, missing := n.chain.Step()
		if missing != nil {
			n.want(missing)
		}
		n.engine.Poke()
		if !executed && n.chain.Head().Header.Height == head {
			break
		}
	}
	if n.up && !n.cut && n.chain.Broken() == nil {
		n.stepIntake()
	}
	switch err := errors.Join(n.chain.Broken(), n.engine.Err()); {
	case !n.up:
	case n.cut:
		n.stop()
		n.w.after(spread(n.w.chance, 100*time.Millisecond, 3*time.Second), n.restart)
	case err != nil:
		n.broke(err)
	}
}

// stepIntake lets the intake do what is due, and come back when more is.
func (n *node) stepIntake() {
	wait := n.intake.Step()
	if wait == 0 {
		return
	}
	if n.intakeTimer == nil {
		n.intakeTimer = ownClock{n.w.clock, n, n.life}.AfterFunc(wait, func() {})
	} else {
		n.intakeTimer.Reset(wait)
	}
}

// broke judges why the program ended: it may where its disks failed it, and is then helped as an operator would.
func (n *node) broke(err error) {
	n.log.Warn("stopped", slog.Any("error", err))
	n.w.note("stopped", n.index, 0, []byte(err.Error()))
	n.stop()
	for _, d := range n.all() {
		d.Crash()
	}
	if !n.damaged && !n.lied && !errors.Is(err, kv.ErrFull) && !errors.Is(err, kv.ErrInjected) {
		n.w.judge.Report(check.Roots, "node %d stopped although its disks are sound: %v", n.index, err)
	}
	n.w.after(spread(n.w.chance, 500*time.Millisecond, 2*time.Second), n.restart)
}

// stop ends the program without warning.
func (n *node) stop() {
	n.up = false
	n.life++
	n.inbox = nil
	if err := errors.Join(n.intake.Close(), n.chain.Close()); err != nil {
		n.w.judge.Report(check.Progress, "node %d does not end: %v", n.index, err)
	}
}

// cutPower takes the power away: nothing that the program still does has an effect.
func (n *node) cutPower() {
	n.cut = true
	for _, d := range n.all() {
		d.Crash()
	}
}

// restart brings the power back and starts the program. Disks that it refuses are replaced by empty ones.
func (n *node) restart() {
	if n.up {
		return
	}
	for _, d := range n.all() {
		if d.Crashed() {
			if err := d.Restart(n.w.chance.IntN(d.Unsynced() + 1)); err != nil {
				n.w.judge.Report(check.Progress, "disk of node %d: %v", n.index, err)
			}
		}
		d.Arm(kv.Faults{Full: n.full && !n.w.healed})
	}
	n.busyUntil = time.Time{}
	n.w.note("restart", n.index, n.life, nil)
	err := n.start()
	if err == nil {
		return
	}
	n.log.Warn("does not start", slog.Any("error", err))
	n.w.counts["refused to start"]++
	n.w.note("refused to start", n.index, 0, []byte(err.Error()))
	switch {
	case n.damaged || n.lied:
		n.replace()
		n.w.after(time.Second, n.restart)
	case errors.Is(err, kv.ErrFull):
		n.w.after(time.Second, n.restart)
	default:
		n.w.judge.Report(check.Progress, "node %d does not start although its disks are sound: %v", n.index, err)
	}
}

// replace gives the node new, empty disks. It has forgotten what it signed, and is told so.
func (n *node) replace() {
	var err error
	if n.disks, err = newDisks(n); err != nil {
		n.w.judge.Report(check.Progress, "new disks for node %d: %v", n.index, err)
	}
	n.w.fault("replaced disks", n.index)
	n.damaged, n.restored, n.told, n.shown = false, true, 0, 0
}

// tick comes every tickEvery while the program runs.
func (n *node) tick(life int) {
	if n.life != life {
		return
	}
	n.do(func() {
		n.engine.Tick()
		n.wantTick()
		n.askHeads()
	})
	n.w.after(tickEvery, func() { n.tick(life) })
}

// wantTick asks for a block without transactions where one is needed, as a node does.
func (n *node) wantTick() {
	tick, need, err := n.chain.NeedTick()
	progress, _ := n.chain.Progress()
	if err != nil || !need || n.intake.Pending() > 0 && n.chain.Now()-progress.Wall <= ledger.Minute {
		return
	}
	n.submit(codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestTick, Body: codec.MustMarshal(&tick)}))
}

// submit hands a request to the engine of this node.
func (n *node) submit(request []byte) {
	if err := n.engine.Submit(request); err != nil {
		n.log.Debug("not submitted", slog.Any("error", err))
	}
}

// order implements intake.Config.Order: the certificate goes to all.
func (n *node) order(_ context.Context, request []byte) error {
	for i := range n.w.nodes {
		if i != n.index {
			n.send(i, parcel{channel: chCertificate, body: request})
		}
	}
	return n.engine.Submit(request)
}

// offer implements intake.Config.Offer.
func (n *node) offer(validator uint16, push []byte, answer func([]byte, error)) {
	n.ask(int(validator), chPush, push, answer)
}
