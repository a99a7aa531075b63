package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aval/internal/clock"
	"aval/ledger"
	"aval/suite"
)

// Chain is what intake asks of the chain.
type Chain interface {
	Suite() suite.Suite
	Network() suite.Hash
	Epoch() (uint64, ledger.ValidatorSet)
	Now() ledger.Time
	// SpentBy returns the receipt that spent the transaction id, or nil if none has.
	SpentBy(id suite.Hash) (*ledger.Receipt, error)
}

// Config is what an intake needs.
type Config struct {
	Chain Chain
	// Origin is this node's key, which its batches name.
	Origin suite.PublicKey
	// Order hands the bytes of a batch to ordering: to the engine on a validator, to a validator on a gateway. It is
	// called again for a batch that stays unordered; attempt counts from 0.
	Order func(ctx context.Context, batch []byte, attempt int) error
	Clock clock.Clock
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// BatchTxs and BatchBytes close a batch. Defaults: 1000 and 1 MiB.
	BatchTxs, BatchBytes int
	// BatchAge closes a batch while others are under way; a transaction that comes alone does not wait. Default 10 ms.
	BatchAge time.Duration
	// PendingMax bounds the transactions admitted and not yet executed. Default 20,000.
	PendingMax int
	// ResendAfter is how long a batch may stay unordered before it is handed in again. Default 1 s.
	ResendAfter time.Duration
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Chain == nil || c.Order == nil || c.Clock == nil || len(c.Origin) == 0 {
		errs = append(errs, errors.New("intake: Chain, Order, Clock and Origin are required"))
	}
	if c.BatchTxs < 0 || c.BatchTxs > ledger.BatchTxsMax {
		errs = append(errs, fmt.Errorf("intake: BatchTxs must be 1 to %d", ledger.BatchTxsMax))
	}
	if c.BatchBytes < 0 || c.BatchBytes > ledger.BatchBytesMax-ledger.TxBytesMax-4096 {
		errs = append(errs, fmt.Errorf("intake: BatchBytes must be 1 to %d", ledger.BatchBytesMax-ledger.TxBytesMax-4096))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.BatchTxs == 0 {
		c.BatchTxs = 1000
	}
	if c.BatchBytes == 0 {
		c.BatchBytes = 1 << 20
	}
	if c.BatchAge == 0 {
		c.BatchAge = 10 * time.Millisecond
	}
	if c.PendingMax == 0 {
		c.PendingMax = 20_000
	}
	if c.ResendAfter == 0 {
		c.ResendAfter = time.Second
	}
}

// ErrNotIncluded reports a transaction whose window ended before it was ordered: it can never take effect.
var ErrNotIncluded = errors.New("intake: the transaction was not ordered before its valid_until; make and sign a new one")

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
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pending is one transaction on its way.
type pending struct {
	ticket     *Ticket
	raw        []byte
	validUntil ledger.Time
}

// Intake admits transactions. Its methods are safe for concurrent use.
type Intake struct {
	cfg Config
	log *slog.Logger

	mu sync.Mutex
	// queue holds what is in no batch yet, oldest first, and since when the oldest waits.
	queue      []*pending
	queueBytes int
	queueSince time.Time
	// bySigned holds everything admitted and not yet resolved.
	bySigned map[suite.Hash]*pending
	// flight holds the batches handed in and not yet executed, by digest.
	flight map[suite.Hash]*flight
	closed bool

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
	in := &Intake{cfg: cfg, log: cfg.Logger, bySigned: map[suite.Hash]*pending{}, flight: map[suite.Hash]*flight{},
		wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
	in.tasks.Add(1)
	go in.run()
	return in, nil
}

// Close stops batching, tells everybody who waits, and returns when the intake's goroutines have ended.
func (in *Intake) Close() error {
	in.mu.Lock()
	in.closed = true
	for _, p := range in.bySigned {
		in.resolve(p, nil, ErrClosed)
	}
	in.mu.Unlock()
	in.cancel()
	in.tasks.Wait()
	return nil
}

// Pending returns how many transactions are admitted and not yet executed.
func (in *Intake) Pending() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.bySigned)
}

// Admit checks an encoded ledger.SignedTx and queues it. Admitting the same bytes again returns the same outcome: the
// receipt if the id is spent, the ticket under way otherwise. Refusals are *ledger.Failure.
func (in *Intake) Admit(raw []byte) (*Ticket, error) {
	tx, err := ledger.DecodeSignedTx(raw)
	if err != nil {
		return nil, err
	}
	if err := tx.CheckForm(in.cfg.Chain.Network()); err != nil {
		return nil, err
	}
	s := in.cfg.Chain.Suite()
	t := &Ticket{ID: tx.Tx.ID(s), Signed: s.Hash(ledger.DomainSignedTx, raw), done: make(chan struct{})}
	if known, err := in.known(t); known != nil || err != nil {
		return known, err
	}
	if now := in.cfg.Chain.Now(); tx.Tx.ValidUntil < now || tx.Tx.ValidUntil > now+ledger.TxWindowMax {
		return nil, ledger.Failf(ledger.CodeWindow, "valid_until is %s; it must lie between now, %s, and %d minutes later: check this machine's clock",
			tx.Tx.ValidUntil, now, ledger.TxWindowMax/ledger.Minute)
	}
	if err := tx.VerifySignatures(s); err != nil {
		return nil, err
	}
	return in.enqueue(&pending{ticket: t, raw: raw, validUntil: tx.Tx.ValidUntil})
}

// known returns a ticket for a transaction that is under way or done, or nil.
func (in *Intake) known(t *Ticket) (*Ticket, error) {
	in.mu.Lock()
	p := in.bySigned[t.Signed]
	in.mu.Unlock()
	if p != nil {
		return p.ticket, nil
	}
	receipt, err := in.cfg.Chain.SpentBy(t.ID)
	if err != nil || receipt == nil {
		return nil, err
	}
	t.receipt = receipt
	close(t.done)
	return t, nil
}

func (in *Intake) enqueue(p *pending) (*Ticket, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil, ErrClosed
	}
	if other := in.bySigned[p.ticket.Signed]; other != nil {
		return other.ticket, nil
	}
	if len(in.bySigned) >= in.cfg.PendingMax {
		return nil, ledger.Failf(ledger.CodeBusy, "%d transactions wait to be ordered; try again in a second, or at another node", len(in.bySigned))
	}
	if len(in.queue) == 0 {
		in.queueSince = in.cfg.Clock.Now()
	}
	in.bySigned[p.ticket.Signed] = p
	in.queue = append(in.queue, p)
	in.queueBytes += len(p.raw)
	in.poke()
	return p.ticket, nil
}

func (in *Intake) poke() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// resolve tells whoever waits and forgets p. The caller holds mu.
func (in *Intake) resolve(p *pending, r *ledger.Receipt, err error) {
	if in.bySigned[p.ticket.Signed] != p {
		return
	}
	delete(in.bySigned, p.ticket.Signed)
	p.ticket.receipt, p.ticket.err = r, err
	close(p.ticket.done)
}
