package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"golang.org/x/sync/singleflight"

	"aval/internal/clock"
	"aval/internal/exec"
	"aval/internal/invariant"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Config is what a chain needs.
type Config struct {
	Genesis *ledger.Genesis
	Suite   suite.Suite
	// Blocks holds blocks, receipts and indexes; State holds the log of the state tree and nothing else.
	Blocks kv.Store
	State  kv.Store
	Clock  clock.Clock
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// OnBroken is called once, with the *invariant.Violation or store failure that stopped execution. The node must
	// stop. It must not call back into the chain. Default: panic.
	OnBroken func(error)
	// OnExecuted is called for every height after it is executed and visible, in order, with its receipts, which must
	// not be changed. It must not block. Blocks replayed by Open are not announced, unless their batches have to be fetched.
	// Default: nothing.
	OnExecuted func(h *ledger.Header, receipts []ledger.Receipt)
	// Fetch asks other nodes for a batch that a block ordered and this node does not hold, first the validators that
	// acknowledged it, and hands what comes to take until that returns nil. It must end with ctx. Default: nobody is asked.
	Fetch func(ctx context.Context, digest suite.Hash, holders []uint16, take func(body []byte) error) error
	// Audit verifies every signature in every block again, whatever validators attested. OnFalseAttestation is called with
	// the proof against those who attested a batch falsely. It must not block. Default: nothing.
	Audit              bool
	OnFalseAttestation func(digest suite.Hash, proof *ledger.FalseAttestation)
	// OpenBytesMax bounds the memory of decoded batches that wait to be executed. Default 64 MiB.
	OpenBytesMax int
	// Stepped leaves execution to whoever opened the chain, by Step, so that nothing runs by itself: for simulators. Commit fails
	// where it would wait. Default: execution has a goroutine of its own.
	Stepped bool
	// Registerer takes the chain's metrics. Default: none.
	Registerer prometheus.Registerer
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Genesis == nil || c.Suite == nil {
		errs = append(errs, errors.New("chain: Genesis and Suite are required"))
	}
	if c.Blocks == nil || c.State == nil {
		errs = append(errs, errors.New("chain: Blocks and State stores are required"))
	}
	if c.Clock == nil {
		errs = append(errs, errors.New("chain: Clock is required"))
	}
	if c.OpenBytesMax < 0 {
		errs = append(errs, errors.New("chain: OpenBytesMax is negative"))
	}
	return errors.Join(errs...)
}

// outcome is what executing one height made, as far as later headers and clients need it.
type outcome struct {
	roots    state.Roots
	receipts suite.Hash // root over the receipts
	// offset is the clock offset after the height; it holds for height + Lag.
	offset ledger.Time
	// eventful is true if there was a receipt or a change: its roots are worth certifying.
	eventful bool
	workLeft bool
}

// Chain is one node's copy of the ledger. Its methods are safe for concurrent use.
type Chain struct {
	cfg        Config
	log        *slog.Logger
	suite      suite.Suite
	network    suite.Hash
	validators ledger.ValidatorSet
	valHash    suite.Hash
	executor   *exec.Executor
	batches    *batchCache
	// storing and checking are the batches being stored and verified, by digest.
	storing, checking singleflight.Group
	certificates      recent // hashes of batch certificates that were found valid
	metrics           *metrics

	// stateMu is held for writing while a height is applied, for reading by readers of the executed state.
	stateMu sync.RWMutex
	state   *state.State
	at      At // of state, guarded by stateMu

	mu sync.Mutex
	// head is the newest durable block; at the start a block of height 0.
	head     *ledger.Block
	headHash suite.Hash
	// first is the lowest height of which block, batches and receipts are kept.
	first ledger.Height
	// executed is the newest executed height. Invariant: executed <= head.Height <= executed + Lag.
	executed ledger.Height
	// outcomes of the executed heights within keepOutcomes of executed.
	outcomes map[ledger.Height]*outcome
	ordered  *window // request digests, for BatchAgeMax
	loose    *looseBatches
	// arrived is closed and replaced whenever a batch is stored.
	arrived chan struct{}
	spent   *window // transaction ids, for TxWindowMax
	// changed is closed and replaced whenever head or executed move.
	changed chan struct{}
	broken  error

	queue   chan task // the blocks that are not executed, one of them perhaps taken out
	next    *task     // of a stepped chain: taken out of the queue
	stop    chan struct{}
	done    chan struct{}
	stopped sync.Once
	// ctx ends when the chain is closed.
	ctx    context.Context
	cancel context.CancelFunc
	// commitMu makes Commit one at a time without holding mu over the disk.
	commitMu sync.Mutex
	// orderMu is held for writing while a block is committed, for reading while a batch is stored.
	orderMu sync.RWMutex
	// looseSwept is the wall time at which loose batches were last dropped. commitMu guards it.
	looseSwept ledger.Time
}

// keepOutcomes is how many heights behind the executed one stay at hand.
const keepOutcomes = 16

// Open opens the chain, creates the genesis state in an empty store, replays what was committed but not executed, and
// starts execution.
func Open(cfg Config) (*Chain, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.OpenBytesMax == 0 {
		cfg.OpenBytesMax = 64 << 20
	}
	if cfg.OnExecuted == nil {
		cfg.OnExecuted = func(*ledger.Header, []ledger.Receipt) {}
	}
	if cfg.OnFalseAttestation == nil {
		cfg.OnFalseAttestation = func(suite.Hash, *ledger.FalseAttestation) {}
	}
	executor, err := exec.New(exec.Config{Suite: cfg.Suite, Genesis: cfg.Genesis})
	if err != nil {
		return nil, err
	}
	c := &Chain{
		cfg: cfg, log: cfg.Logger, suite: cfg.Suite, network: cfg.Genesis.NetworkID(cfg.Suite),
		validators: cfg.Genesis.Validators, valHash: cfg.Genesis.Validators.Hash(cfg.Suite),
		executor: executor, batches: newBatchCache(cfg.OpenBytesMax),
		outcomes: map[ledger.Height]*outcome{}, ordered: newWindow(), spent: newWindow(),
		loose: newLooseBatches(), arrived: make(chan struct{}),
		changed: make(chan struct{}), queue: make(chan task, ledger.Lag),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.metrics = newMetrics(c)
	err = c.restore()
	if err == nil {
		err = c.metrics.register()
	}
	if err != nil {
		c.cancel()
		return nil, err
	}
	if cfg.Stepped {
		close(c.done)
	} else {
		go c.run()
	}
	return c, nil
}

// Close waits for execution to finish what it has begun. It does not close the stores.
func (c *Chain) Close() error {
	c.stopped.Do(func() {
		close(c.stop)
		c.cancel()
	})
	<-c.done
	c.metrics.unregister()
	return nil
}

// Network returns the network id.
func (c *Chain) Network() suite.Hash { return c.network }

// Suite returns the network's suite.
func (c *Chain) Suite() suite.Suite { return c.suite }

// Genesis returns the genesis; it must not be changed.
func (c *Chain) Genesis() *ledger.Genesis { return c.cfg.Genesis }

// Now returns the wall clock.
func (c *Chain) Now() ledger.Time { return ledger.Time(c.cfg.Clock.Now().UnixMilli()) }

// Head returns the newest durable block with its certificate; it must not be changed.
func (c *Chain) Head() *ledger.Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head
}

// Epoch returns the epoch and validator set of the block after the head.
func (c *Chain) Epoch() (uint64, ledger.ValidatorSet) { return 0, c.validators }

// Progress is how far a chain has come.
type Progress struct {
	// Committed is the newest durable height, Executed the newest executed one. Proven is the newest height whose
	// results a certificate covers: Committed − Lag.
	Committed ledger.Height `json:"committed"`
	Executed  ledger.Height `json:"executed"`
	Proven    ledger.Height `json:"proven"`
	// Time and Wall are those of the newest block.
	Time ledger.Time `json:"time"`
	Wall ledger.Time `json:"wall"`
}

// Progress returns how far the chain has come, and a channel that is closed at the next step.
func (c *Chain) Progress() (Progress, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := Progress{Committed: c.head.Header.Height, Executed: c.executed, Time: c.head.Header.Time, Wall: c.head.Header.Wall}
	if p.Committed >= ledger.Lag {
		p.Proven = min(p.Committed-ledger.Lag, p.Executed)
	}
	return p, c.changed
}

// Broken returns what stopped execution, or nil.
func (c *Chain) Broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// WaitExecuted returns once height is executed, ctx ends or the chain stops.
func (c *Chain) WaitExecuted(ctx context.Context, height ledger.Height) error {
	for {
		c.mu.Lock()
		done, broken, changed := c.executed >= height, c.broken, c.changed
		c.mu.Unlock()
		if done {
			return nil
		}
		if broken != nil {
			return stoppedBy(broken)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.stop:
			return ErrClosed
		}
	}
}

// ErrClosed reports a chain that is shutting down.
var ErrClosed = errors.New("chain: closed")

func stoppedBy(broken error) error { return fmt.Errorf("chain: execution stopped: %w", broken) }

// At says of which block a state is: its height and ledger time.
type At struct {
	Height ledger.Height
	Time   ledger.Time
}

// Read runs fn on a journal over one executed height. The journal must not be used after fn returns. A record that does not
// decode is an error here, and so is a failure of the store.
func (c *Chain) Read(fn func(j *vm.Journal, at At) error) error {
	c.stateMu.RLock()
	defer c.stateMu.RUnlock()
	j := vm.NewJournal(stateView{c.state})
	err := guard(func() error { return fn(j, c.at) })
	if j.Err() != nil { // whatever fn made of what it could not read
		return j.Err()
	}
	return err
}

// stateView reads the executed head of the state.
type stateView struct{ s *state.State }

// Get implements vm.View.
func (v stateView) Get(key []byte) ([]byte, bool, error) {
	value, _, ok, err := v.s.Get(key)
	return value, ok, err
}

// notify wakes everybody who waits for a step. The caller holds mu.
func (c *Chain) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// fail records why execution stopped and tells the node.
func (c *Chain) fail(err error) {
	c.mu.Lock()
	first := c.broken == nil
	if first {
		c.broken = err
		c.notify()
	}
	c.mu.Unlock()
	if !first {
		return
	}
	if c.cfg.OnBroken == nil {
		panic(err)
	}
	c.cfg.OnBroken(err)
}

// guard runs fn and turns a broken invariant into an error.
func guard(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(*invariant.Violation)
			if !ok {
				panic(r)
			}
			err = v
		}
	}()
	return fn()
}

// WaitCommitted returns once height is committed, ctx ends or the chain stops.
func (c *Chain) WaitCommitted(ctx context.Context, height ledger.Height) error {
	for {
		p, changed := c.Progress()
		if p.Committed >= height {
			return nil
		}
		if err := c.Broken(); err != nil {
			return stoppedBy(err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.stop:
			return ErrClosed
		}
	}
}
