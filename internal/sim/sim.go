package sim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/sim/check"
	"aval/internal/vm"
	"aval/ledger"
)

// Config says what is simulated.
type Config struct {
	// Seed decides everything.
	Seed uint64
	// Nodes is how many validators there are, 4 to 7.
	Nodes int
	// Suite is "sm" or "intl". Default: odd seeds take sm, even ones intl.
	Suite string
	// Liars makes so many validators lie, which may be more than the network withstands: to see that it is noticed. Default 0: as many
	// as the seed says, at most f together with those whose disks betray them.
	Liars int
	// Log receives what the nodes log and which faults befall them, in words. Default: nobody.
	Log io.Writer
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Nodes < 4 || c.Nodes > 7 {
		errs = append(errs, fmt.Errorf("sim: 4 to 7 nodes can be simulated, not %d", c.Nodes))
	}
	if c.Liars < 0 || c.Liars > c.Nodes {
		errs = append(errs, fmt.Errorf("sim: %d of %d nodes cannot lie", c.Liars, c.Nodes))
	}
	if c.Suite != "" && c.Suite != "sm" && c.Suite != "intl" {
		errs = append(errs, errors.New("sim: the suite is sm or intl"))
	}
	return errors.Join(errs...)
}

// Result is what came of one seed.
type Result struct {
	Seed  uint64 `json:"seed,string"`
	Nodes int    `json:"nodes"`
	Suite string `json:"suite"`
	// Trace is the hash of everything that happened: equal seeds have equal traces.
	Trace  string        `json:"trace"`
	Events int           `json:"events"`
	Blocks ledger.Height `json:"blocks"`
	// Transactions are those that took effect, Vouchers those that were issued.
	Transactions int `json:"transactions"`
	Vouchers     int `json:"vouchers"`
	// Counts is how often what happened: faults by kind, and what they led to.
	Counts map[string]int `json:"counts"`
	// Simulated is how long the network lived, in ms; Recovery how long after the faults it took to serve at every node, in ms.
	Simulated int64 `json:"simulated_ms"`
	Recovery  int64 `json:"recovery_ms"`
	// Violations are what must not have happened.
	Violations []check.Violation `json:"violations"`
}

// Holds reports whether nothing happened that must not.
func (r *Result) Holds() bool { return len(r.Violations) == 0 }

// Command returns the command that repeats this seed.
func (r *Result) Command() string {
	return fmt.Sprintf("aval sim --seed %d --nodes %d --suite %s", r.Seed, r.Nodes, r.Suite)
}

// The bounds of what must happen after faults healed.
const (
	// RecoveryBound is within which time every sound node answers a new transaction.
	RecoveryBound = 20 * time.Second
	// FinishBound is within which time all clients come to their ends, RestBound within which the network then rests, proven.
	FinishBound = 90 * time.Second
	RestBound   = 20 * time.Second
	// faultsLimit is within which time the faults end.
	faultsLimit = 12 * time.Second
)

// Run simulates one seed. An error says that the simulation itself could not be made.
func Run(cfg Config) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w, err := newWorld(cfg)
	if err != nil {
		return nil, err
	}
	return w.live()
}

func (w *world) live() (*Result, error) {
	for _, n := range w.nodes {
		if err := n.start(); err != nil {
			return nil, err
		}
	}
	p := w.draw()
	w.trouble(p)
	w.clients.begin()
	w.run(min(p.until, faultsLimit), func() bool { return false })
	w.heal()
	recovery := w.recover()
	if took := w.run(FinishBound, w.clients.done); took < 0 {
		w.judge.Took("all clients' work", took, FinishBound)
	}
	w.clients.stop = true
	if took := w.run(RestBound, w.rests); took < 0 {
		w.judge.Took("rest: equal, executed and proven heads", took, RestBound)
	}
	books := w.conclude()
	w.over = true
	sum := w.trace.Sum(nil)
	r := &Result{Seed: w.cfg.Seed, Nodes: w.cfg.Nodes, Suite: w.suite.Name(), Trace: hex.EncodeToString(sum[:16]), Events: w.events,
		Blocks: w.judge.Top(), Transactions: books.Applied(), Vouchers: books.Vouchers(), Counts: w.counts, Simulated: w.now().Milliseconds(),
		Recovery: recovery.Milliseconds(), Violations: w.judge.Violations()}
	return r, nil
}

// sound are the nodes of which all is expected.
func (w *world) sound() []*node {
	return slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return n.liar != nil })
}

// recover submits a payment at every sound node after the faults and waits until each is answered there.
func (w *world) recover() time.Duration {
	if !w.clients.ready { // the parties are not there yet: their admission shows as well that the network works
		took := w.run(FinishBound, func() bool { return w.clients.ready })
		w.judge.Took("admission of the parties", took, FinishBound)
		if took < 0 {
			return took
		}
	}
	answered := 0
	for _, n := range w.sound() {
		l := w.clients.payments(fmt.Sprintf("probe of node %d", n.index), 1)
		l.at = n
		l.finished = func() { answered++ }
		w.clients.add(l)
	}
	want := len(w.sound())
	took := w.run(RecoveryBound, func() bool { return answered == want })
	w.judge.Took("an answer at every node after the faults", took, RecoveryBound)
	return took
}

// rests reports whether all sound nodes have the same head, executed and proven, and want no more.
func (w *world) rests() bool {
	top := ledger.Height(0)
	for _, n := range w.sound() {
		if n.up {
			top = max(top, n.chain.Head().Header.Height)
		}
	}
	for _, n := range w.sound() {
		if !n.up {
			return false
		}
		progress, _ := n.chain.Progress()
		_, need, err := n.chain.NeedTick()
		if progress.Executed != top || need || err != nil || n.intake.Pending() > 0 || n.engine.Pending() > 0 {
			return false
		}
	}
	return true
}

// conclude has the judge compare the history with every sound node, and with proofs that it hands out.
func (w *world) conclude() *check.Books {
	books := w.judge.Finish()
	for _, n := range w.sound() {
		if !n.up {
			continue
		}
		progress, _ := n.chain.Progress()
		if progress.Executed != books.Height() {
			w.judge.Report(check.Progress, "node %d executed up to %d, the history goes to %d", n.index, progress.Executed, books.Height())
			continue
		}
		err := n.chain.Read(func(j *vm.Journal, _ chain.At) error {
			books.Compare(n.index, func(key []byte) ([]byte, error) { return j.Get(key), j.Err() })
			return nil
		})
		if err != nil {
			w.judge.Report(check.Conservation, "node %d: its state cannot be read: %v", n.index, err)
		}
		w.prove(n, progress.Proven)
	}
	return books
}

// prove asks a node for proofs of some receipts and records.
func (w *world) prove(n *node, proven ledger.Height) {
	for range 3 {
		if proven == 0 {
			return
		}
		h := 1 + ledger.Height(w.story.Int64N(int64(proven)))
		receipts, err := n.chain.Receipts(h)
		if err != nil {
			w.judge.Report(check.Proofs, "node %d: receipts of height %d: %v", n.index, h, err)
			continue
		}
		if len(receipts) == 0 {
			continue
		}
		r := &receipts[w.story.IntN(len(receipts))]
		p, err := n.chain.ProveReceipt(chain.Position{Height: h, Index: r.Index})
		if err != nil {
			w.judge.Report(check.Proofs, "node %d: proof of receipt %d/%d: %v", n.index, h, r.Index, err)
			continue
		}
		w.judge.Proof(n.index, codec.MustMarshal(p), r)
	}
	key := ledger.AccountKey(w.cast.bank.id, w.cast.suppliers[w.story.IntN(suppliers)].id)
	p, err := n.chain.ProveState(key)
	if err != nil {
		w.judge.Report(check.Proofs, "node %d: proof of an account: %v", n.index, err)
		return
	}
	w.judge.Proof(n.index, codec.MustMarshal(p), nil)
}
