package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/clock"
	"aval/internal/exec"
	"aval/ledger"
	"aval/suite"
)

// Chain is what intake asks of the chain.
type Chain interface {
	Suite() suite.Suite
	Network() suite.Hash
	// Genesis returns the genesis, which must not be changed.
	Genesis() *ledger.Genesis
	Epoch() (uint64, ledger.ValidatorSet)
	Now() ledger.Time
	// Spent reports whether a transaction id was spent in the replay window: so recently that a transaction that may still
	// be included could be the one. It is cheap.
	Spent(id suite.Hash) bool
	// SpentBy returns the receipt that spent the transaction id, or nil if none has.
	SpentBy(id suite.Hash) (*ledger.Receipt, error)
	// Hold checks and durably stores a batch that origin sent; VerifyHeld verifies the signatures in it. HoldOwn takes one
	// of this intake, whose transactions it has verified.
	Hold(body []byte, origin suite.PublicKey) (suite.Hash, *ledger.BatchHead, error)
	VerifyHeld(digest suite.Hash) error
	HoldOwn(batch *ledger.Batch, body []byte, txs []exec.Tx, durable bool) (suite.Hash, *ledger.BatchHead, error)
}

// Config is what an intake needs.
type Config struct {
	Chain Chain
	// Signer is this node's key: its batches name it, and a validator acknowledges with it.
	Signer suite.Signer
	// Push hands an encoded Push to another validator, by index, and returns its encoded ledger.BatchAck. It must end with
	// ctx. It is not called where this node is the only validator.
	Push func(ctx context.Context, validator uint16, push []byte) ([]byte, error)
	// Stepped leaves it to whoever made the intake to call Step, so that nothing runs by itself: for simulators. Offer then stands
	// in the place of Push: it begins a push and calls answer, later and once, with the acknowledgement or an error.
	Stepped bool
	Offer   func(validator uint16, push []byte, answer func(ack []byte, err error))
	// Order hands an encoded ordering request to all validators, to this one's engine too. It is called again for a batch
	// that stays unordered. It must end with ctx.
	Order func(ctx context.Context, request []byte) error
	Clock clock.Clock
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// BatchTxs and BatchBytes close a batch. Defaults: 1000 and 1 MiB.
	BatchTxs, BatchBytes int
	// BatchAge closes a batch while others are under way; a transaction that comes alone does not wait. Default 10 ms.
	BatchAge time.Duration
	// FlightsMax bounds the batches under way; what comes meanwhile fills the next. Default 4.
	FlightsMax int
	// PendingMax and PendingBytesMax bound the transactions admitted and not yet executed. Defaults: 20,000 and 64 MiB. What
	// is more than about two seconds of work is refused before that.
	PendingMax, PendingBytesMax int
	// Known reports whether a key is on the ledger. Of transactions that no such key signs, few are let wait. It is called often and
	// by several goroutines. Default: every key counts as known.
	Known func(key suite.PublicKey) bool
	// ResendAfter is how long a batch may stay unordered before it is handed in again, at first; the pause doubles. Default 1 s.
	ResendAfter time.Duration
	// Registerer takes the intake's metrics. Default: none.
	Registerer prometheus.Registerer
}

// txBytesRest is what a transaction takes in a batch beside its own bytes, and batchBytesRest the batch beside those.
const (
	txBytesRest    = 5
	batchBytesRest = 256
	batchBytesMax  = ledger.BatchBytesMax - ledger.TxBytesMax - txBytesRest - batchBytesRest
)

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Chain == nil || c.Order == nil || c.Push == nil && !c.Stepped || c.Offer == nil && c.Stepped || c.Clock == nil || c.Signer == nil {
		errs = append(errs, errors.New("intake: Chain, Push, Order, Clock and Signer are required"))
	}
	if c.BatchTxs < 0 || c.BatchTxs > ledger.BatchTxsMax {
		errs = append(errs, fmt.Errorf("intake: BatchTxs must be 1 to %d", ledger.BatchTxsMax))
	}
	if c.BatchBytes < 0 || c.BatchBytes > batchBytesMax {
		errs = append(errs, fmt.Errorf("intake: BatchBytes must be 1 to %d", batchBytesMax))
	}
	if c.BatchAge < 0 || c.ResendAfter < 0 || c.FlightsMax < 0 || c.PendingMax < 0 || c.PendingBytesMax < 0 {
		errs = append(errs, errors.New("intake: a bound or a time is negative"))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.BatchTxs, 1000}, {&c.BatchBytes, 1 << 20}, {&c.FlightsMax, 4}, {&c.PendingMax, 20_000}, {&c.PendingBytesMax, 64 << 20}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.BatchAge == 0 {
		c.BatchAge = 10 * time.Millisecond
	}
	if c.ResendAfter == 0 {
		c.ResendAfter = time.Second
	}
}

// ErrNotIncluded reports a transaction whose window ended before it was ordered: it can never take effect.
var ErrNotIncluded = errors.New("intake: the transaction was not ordered before its valid_until and can never take effect; make and sign a new one")

// ErrClosed reports an intake that is shutting down.
var ErrClosed = errors.New("intake: shutting down; submit to another node")

// Ticket stands for one admitted transaction.
type Ticket struct {
	// ID excludes, Signed includes the signatures.
	ID, Signed suite.Hash
	done       chan struct{}
	receipt    *ledger.Receipt // set before done is closed
	err        error           // likewise
}

// Wait returns the receipt once the transaction is executed in a certified block.
func (t *Ticket) Wait(ctx context.Context) (*ledger.Receipt, error) {
	select {
	case <-t.done:
		return t.receipt, t.err
	default:
	}
	select {
	case <-t.done:
		return t.receipt, t.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pending is one transaction on its way.
type pending struct {
	ticket     *Ticket
	raw        []byte
	tx         exec.Tx
	validUntil ledger.Time
	since      time.Time // when it joined the queue
	// flight is the batch that it is in, nil while it is queued.
	flight  *flight
	settled bool
	// strange says that it counts among the strangers.
	strange bool
}

// replay is a repetition whose first receipt is to be looked up.
type replay struct {
	pending *pending
	receipt *ledger.Receipt
}

// Intake admits transactions. Its methods are safe for concurrent use.
type Intake struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	origin   suite.PublicKey
	attestor *Attestor
	verifier verifier

	mu sync.Mutex
	// queue holds what is in no batch yet, oldest first; some of it may be settled already. queueBytes is its size.
	queue      []*pending
	queueBytes int
	// bySigned holds everything admitted and not yet settled; pendingBytes is its size.
	bySigned     map[suite.Hash]*pending
	pendingBytes int
	// reserved counts the transactions whose signatures are being verified, reservedBytes is their size: there is room for them.
	reserved, reservedBytes int
	// strangers counts the transactions, reserved ones too, that no known key signed.
	strangers int
	pace      pace
	// flight holds the batches under way. Invariant: each has at least one transaction that is not settled.
	flight  map[*flight]struct{}
	replays []replay
	// slow says until when a validator that let us wait is asked last.
	slow map[uint16]time.Time
	// wall is the wall time of the newest executed block, batchWall that of the newest batch.
	wall, batchWall ledger.Time
	closed          bool
	// busy counts what was turned away because too much waited, busyAt is when the newest was.
	busy   uint64
	busyAt time.Time

	// swept is when sweep last ran. The goroutine that calls turn owns it.
	swept time.Time
	// steps is what Step is to do, of a stepped intake.
	steps []func()

	wake   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// New returns a running intake; Close ends it.
func New(cfg Config) (*Intake, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	in := &Intake{cfg: cfg, log: cfg.Logger, bySigned: map[suite.Hash]*pending{}, flight: map[*flight]struct{}{}, slow: map[uint16]time.Time{},
		origin: cfg.Signer.Public(), attestor: NewAttestor(cfg.Chain, cfg.Signer), verifier: verifier{suite: cfg.Chain.Suite()},
		wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
	in.metrics = newMetrics(in)
	if err := in.metrics.register(); err != nil {
		cancel()
		return nil, err
	}
	if !cfg.Stepped {
		in.tasks.Add(1)
		go in.run()
	}
	return in, nil
}

// Close stops batching, tells everybody who waits, and returns when the intake's goroutines have ended.
func (in *Intake) Close() error {
	in.mu.Lock()
	in.closed = true
	for _, p := range in.bySigned {
		in.settle(p, nil, ErrClosed)
	}
	in.mu.Unlock()
	in.cancel()
	in.tasks.Wait()
	in.metrics.unregister()
	return nil
}

// Load is how busy an intake is.
type Load struct {
	// Pending are the transactions admitted and not yet executed; Limit is how many may be, at the present pace.
	Pending, Limit int
	// Busy counts the transactions that were turned away because too many waited; LastBusy is when the newest was.
	Busy     uint64
	LastBusy time.Time
}

// Load returns how busy the intake is.
func (in *Intake) Load() Load {
	in.mu.Lock()
	defer in.mu.Unlock()
	return Load{Pending: len(in.bySigned), Limit: in.pace.limit(in.cfg.PendingMax), Busy: in.busy, LastBusy: in.busyAt}
}

// Pending returns how many transactions are admitted and not yet executed.
func (in *Intake) Pending() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.bySigned)
}

func (in *Intake) poke() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// settle tells whoever waits and forgets p. The caller holds mu.
func (in *Intake) settle(p *pending, r *ledger.Receipt, err error) {
	if p.settled {
		return
	}
	p.settled = true
	in.leave(p)
	in.pace.settled++
	delete(in.bySigned, p.ticket.Signed)
	in.pendingBytes -= len(p.raw)
	if f := p.flight; f != nil {
		if f.open--; f.open == 0 {
			in.land(f)
		}
	}
	p.ticket.receipt, p.ticket.err = r, err
	close(p.ticket.done)
}
