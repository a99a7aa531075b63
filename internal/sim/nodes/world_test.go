package nodes

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aval/codec"
	"aval/internal/clock"
	"aval/internal/genesis"
	"aval/internal/intake"
	"aval/internal/node"
	"aval/internal/sim/check"
	"aval/ledger"
	"aval/suite"
)

// verbose shows what nodes log.
var verbose = flag.Bool("log", false, "with -v, show what the nodes log")

// world is one network with its faults, clients and judge.
type world struct {
	t     *testing.T
	seed  uint64
	plan  *plan
	rng   *rand.Rand // of the clients' choices; under mu
	began time.Time

	town     *town
	net      *network
	machines []*machine
	judge    *check.Judge
	tasks    sync.WaitGroup

	mu       sync.Mutex
	failures []string
	notes    []string
	stories  int
	told     int // transactions that clients got a receipt for
}

// inWorld runs a seed's plan in a bubble and returns what happened.
func inWorld(t *testing.T, p *plan) (w *world) {
	t.Helper()
	// Real time: a bubble in which somebody waits for a lock that is held over virtual time stands still for ever.
	stuck := time.AfterFunc(hangs, func() { panic(fmt.Sprintf("a hang; repeat: %s", p.command())) })
	defer stuck.Stop()
	dir := scratch(t)
	synctest.Test(t, func(t *testing.T) {
		pause(t.Context(), time.Until(time.Date(2026, 9, 15, 1, 0, 0, 0, time.UTC))) // laws and calendars are of these years
		w = newWorld(t, p, dir)
		w.run()
	})
	return w
}

// hangs is after how much real time a seed counts as hanging.
const hangs = 5 * time.Minute

// scratch returns an empty folder, in memory if the machine has such a place: the engine syncs at every vote.
func scratch(t *testing.T) string {
	dir := t.TempDir()
	if memory, err := os.MkdirTemp("/dev/shm", "aval-sim-"); err == nil { //nolint:usetesting // elsewhere than where TempDir is
		dir = memory
		t.Cleanup(func() {
			if err := os.RemoveAll(memory); err != nil {
				t.Error(err)
			}
		})
	}
	return dir
}

func newWorld(t *testing.T, p *plan, dir string) *world {
	w := &world{t: t, seed: p.seed, plan: p, rng: rand.New(rand.NewPCG(p.seed, 2)), began: time.Now()}
	s, err := suite.ByName(p.suite)
	if err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	copy(seed[:], fmt.Sprint("keys ", p.seed))
	keys := rand.NewChaCha8(seed)
	authority, err := ledger.CompleteUSCC("91310000MA1AAAA00")
	if err != nil {
		t.Fatal(err)
	}
	net, err := genesis.Found(genesis.Spec{Name: "sim", Suite: s, Clock: ledger.ClockLab, Wall: ledger.Time(time.Now().UnixMilli()),
		AuthorityID: authority, AuthorityName: "Authority", Validators: p.validators, Observers: p.observers,
		Params: ledger.DefaultParams(p.validators), Rand: keys})
	if err != nil {
		t.Fatal(err)
	}
	w.town = &town{suite: s, net: net, id: net.Genesis.NetworkID(s), keys: keys}
	w.judge = check.New(check.Config{Suite: s, Genesis: net.Genesis})
	w.net = newNetwork(p.sites(), rand.New(rand.NewPCG(p.seed, 3)))
	w.place(dir)
	return w
}

// place makes the machines: the validators, the observers, and the second site of a twin.
func (w *world) place(dir string) {
	p, g := w.plan, w.town.net
	var peers []node.Peer
	for i := range p.validators {
		peers = append(peers, node.Peer{Name: genesis.ValidatorName(i), Key: g.Validators[i].Public(), Address: fmt.Sprintf("10.0.0.%d:1", i+1)})
	}
	for site := range p.sites() {
		cfg := node.Config{Genesis: g.Genesis, Suite: g.Suite, Peers: peers, Version: "sim", CacheBytes: 1 << 20, PeerListen: "10.0.0.0:1"}
		self := site
		if site == p.validators+p.observers {
			self = p.byzantine // the twin
		}
		if self < p.validators {
			cfg.Name, cfg.Role, cfg.Self = genesis.ValidatorName(self), node.RoleValidator, g.Validators[self]
		} else {
			cfg.Name, cfg.Role, cfg.Self = genesis.ObserverName(self-p.validators), node.RoleGateway, g.Observers[self-p.validators]
		}
		if site != self {
			cfg.Name += "-twin"
		}
		m := &machine{world: w, site: site, base: cfg, clock: &skewed{Clock: clock.Real()}, honest: self != p.byzantine,
			disk: newDisk(fmt.Sprintf("%s/%d", dir, site), rand.New(rand.NewPCG(p.seed, uint64(100+site))))}
		m.disk.power = func() { m.lose(p.keepPercent); w.note("%s: the power went out at a write", cfg.Name) }
		if self == p.byzantine && len(p.lies) > 0 {
			m.liar = newLiar(w, m, p.lies, rand.New(rand.NewPCG(p.seed, 50)))
		}
		w.machines = append(w.machines, m)
	}
}

// note remembers what happened.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf("%8.3fs  ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// run lives through a plan.
func (w *world) run() {
	defer w.end()
	for _, m := range w.machines {
		if err := m.start(); err != nil {
			w.fail("%s does not start: %v", m.base.Name, err)
			return
		}
	}
	if !w.found() {
		return
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var clients sync.WaitGroup
	for i := range w.plan.clients {
		clients.Go(func() { w.client(ctx, i) })
	}
	if w.plan.byzantine >= 0 {
		clients.Go(func() { w.mischief(ctx, rand.New(rand.NewPCG(w.seed, 60))) })
	}
	w.chaos()
	w.heal()
	cancel()
	clients.Wait()
	w.settle()
}

// end stops everything.
func (w *world) end() {
	for _, m := range w.machines {
		w.await(time.Minute, m.busy.TryLock) // for good: it does not come back
		if m.liar != nil {
			m.liar.stop()
		}
		if err := m.stop(); err != nil && m.honest && !m.damaged() {
			w.fail("%s does not stop: %v", m.base.Name, err)
		}
	}
	w.tasks.Wait()
}

// found has the town founded while all is well.
func (w *world) found() bool {
	txs, err := w.town.founding(w.now())
	if err != nil {
		w.fail("founding: %v", err)
		return false
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for _, tx := range txs {
		raw := codec.MustMarshal(tx)
		r := w.submit(ctx, raw, tx.Tx.ID(w.town.suite), w.town.suite.Hash(ledger.DomainSignedTx, raw))
		if r == nil || r.Code != ledger.CodeOK {
			w.fail("founding: %+v", r)
			return false
		}
	}
	return true
}

func (w *world) now() ledger.Time { return ledger.Time(time.Now().UnixMilli()) }

// client plays one story after another until ctx ends.
func (w *world) client(ctx context.Context, i int) {
	w.mu.Lock()
	rng := rand.New(rand.NewPCG(w.rng.Uint64(), w.rng.Uint64()))
	w.mu.Unlock()
	for n := 0; ctx.Err() == nil; n++ {
		w.mu.Lock()
		s := w.town.story(rng, fmt.Sprintf("%d-%d", i, n), w.now())
		w.mu.Unlock()
		if w.play(ctx, rng, s) {
			w.mu.Lock()
			w.stories++
			w.mu.Unlock()
		}
	}
}

// play submits the transactions of a story one after another and returns whether all took effect.
func (w *world) play(ctx context.Context, rng *rand.Rand, s *story) bool {
	var ids []suite.Hash
	for k := 0; ; k++ {
		next, more := s.step(k, ids)
		if !more {
			return true
		}
		w.mu.Lock() // the source of salts is shared
		raw, id, signed, err := w.town.sign(w.now(), next)
		w.mu.Unlock()
		if err != nil {
			w.fail("sign: %v", err)
			return false
		}
		r := w.submit(ctx, raw, id, signed)
		if r == nil {
			return false
		}
		if r.Code != ledger.CodeOK {
			w.fail("step %d of story %s: code %d: %s", k, s.number, r.Code, r.Message)
			return false
		}
		ids = append(ids, id)
		if !pause(ctx, time.Duration(rng.IntN(int(w.plan.think)))) {
			return false
		}
	}
}

// submit hands a transaction in, at one node after another, until one of them says what became of it. It returns nil if ctx ended,
// or the transaction can never take effect.
func (w *world) submit(ctx context.Context, raw []byte, id, signed suite.Hash) *ledger.Receipt {
	for ctx.Err() == nil {
		m, n := w.pick()
		if n == nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		r, err := w.submitTo(ctx, n, raw)
		if links := m.endpoint(); !links.open() || m.running() != n { // nobody heard what it said
			continue
		}
		switch {
		case err == nil:
			w.judge.Answered(m.site, signed, r)
			w.mu.Lock()
			w.told++
			w.mu.Unlock()
			return r
		case errors.Is(err, intake.ErrNotIncluded):
			w.judge.ToldNever(m.site, id)
			w.note("client: %v", err)
			return nil
		}
		var refused *ledger.Failure
		if errors.As(err, &refused) && refused.Code != ledger.CodeBusy && refused.Code != ledger.CodeWindow {
			w.fail("%s refuses a transaction: %v", m.base.Name, err)
			return nil
		}
		if errors.As(err, &refused) && refused.Code == ledger.CodeWindow && w.clocksRight() {
			w.note("client: %v", err)
			return nil
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil
}

// clocksRight reports whether no clock is far off.
func (w *world) clocksRight() bool {
	for _, m := range w.machines {
		if off := time.Until(m.clock.Now()); off.Abs() > time.Second {
			return false
		}
	}
	return true
}

// patience is for how long a client waits for one node.
const patience = 2 * time.Second

func (w *world) submitTo(ctx context.Context, n *node.Node, raw []byte) (*ledger.Receipt, error) {
	ticket, err := n.Intake().Admit(raw)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return ticket.Wait(ctx)
}

// pick draws an honest node that runs; nil if none was found.
func (w *world) pick() (*machine, *node.Node) {
	for range 5 {
		w.mu.Lock()
		m := w.machines[w.rng.IntN(len(w.machines))]
		w.mu.Unlock()
		if n := m.running(); n != nil && m.honest {
			return m, n
		}
	}
	return nil, nil
}

// top returns the highest executed height of an honest node that runs.
func (w *world) top() (top ledger.Height) {
	for _, m := range w.machines {
		if n := m.running(); n != nil && m.honest {
			p, _ := n.Chain().Progress()
			top = max(top, p.Executed)
		}
	}
	return top
}

// await waits until ok holds and returns how long that took; negative if it did not within limit.
func (w *world) await(limit time.Duration, ok func() bool) time.Duration {
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			return -1
		}
		pause(w.t.Context(), 10*time.Millisecond)
	}
	return time.Since(began)
}

// Bounds of progress after all faults healed and all links stand again, in virtual time. While a validator may not vote, because
// its engine's files were lost, or goes on lying, a view changes only if all others find together; that takes longer.
const (
	healMax      = 5 * time.Second
	healShortMax = 20 * time.Second
	levelMax     = 30 * time.Second
)

// heal ends all faults and judges how soon the network is well.
func (w *world) heal() {
	stand := w.net.mend()
	w.note("healed; all links stand after %v", time.Until(stand))
	for _, m := range w.machines {
		m.disk.arm(0)
		m.clock.set(time.Duration(m.site%3-1) * 50 * time.Millisecond)
		w.up(m)
	}
	before := w.top()
	bound := healMax
	if w.plan.byzantine >= 0 || slices.ContainsFunc(w.machines, func(m *machine) bool { return m.damaged() }) {
		bound = healShortMax
		w.plan.short = true
	}
	began := time.Now()
	if w.await(levelMax, func() bool { return w.top() > before }) < 0 {
		w.plan.healed = -1
	} else {
		w.plan.healed = max(0, min(time.Since(began), time.Since(stand)))
	}
	w.judge.Took("the first block after all faults healed", w.plan.healed, bound)
	w.note("the first block after %v", w.plan.healed)
	w.plan.level = w.await(levelMax, func() bool {
		return w.all(func(n *node.Node) bool {
			p, _ := n.Chain().Progress()
			return p.Executed > before
		})
	})
	w.judge.Took("every node past the height of healing", w.plan.level, levelMax)
	if w.plan.healed < 0 || w.plan.healed > bound || w.plan.level < 0 {
		w.describe()
	}
}

// all reports whether all honest nodes run and ok holds for each. One that does not run is started.
func (w *world) all(ok func(*node.Node) bool) bool {
	for _, m := range w.machines {
		n := m.running()
		switch {
		case !m.honest:
		case n == nil:
			w.up(m)
			return false
		case !ok(n):
			return false
		}
	}
	return true
}

// describe notes where every node stands.
func (w *world) describe() {
	for _, m := range w.machines {
		n := m.running()
		if n == nil {
			w.note("%s is down", m.base.Name)
			continue
		}
		p, _ := n.Chain().Progress()
		tick, need, err := n.Chain().NeedTick()
		w.note("%s: %+v, %d pending, tick %v %v %v, engine %+v, cause %q", m.base.Name, p, n.Intake().Pending(), tick, need, err, n.Status().Engine, n.Status().Cause)
	}
}

// verdict returns what was broken, nil if nothing.
func (w *world) verdict() (out []string) {
	for _, v := range w.judge.Violations() {
		out = append(out, v.String())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(out, w.failures...)
}

// print writes what happened.
func (w *world) print(out io.Writer) {
	fmt.Fprintf(out, "%s\n%s\n", w.plan, strings.Join(w.notes, "\n"))
}
