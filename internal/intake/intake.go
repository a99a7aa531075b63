package intake

import (
	"bytes"
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
	pace         pace
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

// Admit checks an encoded ledger.SignedTx and queues a copy of it. Admitting the same bytes again returns the same outcome:
// the receipt if the id is spent, the ticket under way otherwise. While too much
// waits, what is not under way is refused with CodeBusy, whatever it is. Refusals are *ledger.Failure.
func (in *Intake) Admit(raw []byte) (*Ticket, error) {
	a := in.AdmitAll([][]byte{raw})[0]
	return a.Ticket, a.Err
}

// Admission is what became of one transaction that was to be admitted: a ticket, or why not.
type Admission struct {
	Ticket *Ticket
	Err    error
}

// AdmitAll is Admit for several transactions. Their signatures are verified together, which costs less.
func (in *Intake) AdmitAll(raws [][]byte) []Admission {
	if busy := in.checkRoom(0); busy != nil {
		return in.turnAway(raws, busy)
	}
	out, fresh := make([]Admission, len(raws)), make([]*pending, len(raws))
	var items []suite.Signed
	for i, raw := range raws {
		fresh[i], out[i].Ticket, out[i].Err = in.examine(raw)
		if p := fresh[i]; p != nil {
			items = p.tx.Body.Signed(p.tx.ID, items)
		}
	}
	valid := in.verifier.verify(items)
	for i, p := range fresh {
		if p != nil {
			sigs := p.tx.Body.Sigs
			out[i] = in.settleSignatures(p, valid[:len(sigs)])
			valid = valid[len(sigs):]
		}
		var failure *ledger.Failure
		if errors.As(out[i].Err, &failure) && failure.Code == ledger.CodeBusy {
			in.mu.Lock()
			in.noteBusy()
			in.mu.Unlock()
		}
		in.metrics.admission(out[i].Err)
	}
	return out
}

// noteBusy counts one transaction turned away. The caller holds mu.
func (in *Intake) noteBusy() { in.busy, in.busyAt = in.busy+1, in.cfg.Clock.Now() }

// turnAway refuses what comes while too much waits, but for what is under way already, and spends hardly more than one hash on
// each: a node that is busy must not become busier by saying so.
func (in *Intake) turnAway(raws [][]byte, busy error) []Admission {
	out, signed := make([]Admission, len(raws)), make([]suite.Hash, len(raws))
	suite.HashMany(in.cfg.Chain.Suite(), ledger.DomainSignedTx, raws, signed)
	in.mu.Lock()
	for i := range raws {
		if p := in.bySigned[signed[i]]; p != nil {
			out[i].Ticket = p.ticket
		} else {
			out[i].Err = busy
			in.noteBusy()
		}
	}
	in.mu.Unlock()
	for i := range out {
		in.metrics.admission(out[i].Err)
	}
	return out
}

// settleSignatures queues p if all its signatures are valid.
func (in *Intake) settleSignatures(p *pending, valid []bool) (a Admission) {
	for i, ok := range valid {
		if !ok {
			a.Err = ledger.InvalidSignature(p.tx.Body.Sigs[i].Key, p.ticket.ID)
			return a
		}
	}
	a.Ticket, a.Err = in.enqueue(p)
	return a
}

// examine checks everything of a transaction but its signatures. It returns what is to be queued once they are verified, or a
// ticket for what is under way or done, or why it is refused.
func (in *Intake) examine(raw []byte) (*pending, *Ticket, error) {
	tx, err := ledger.DecodeSignedTx(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := tx.CheckForm(in.cfg.Chain.Network()); err != nil {
		return nil, nil, err
	}
	s := in.cfg.Chain.Suite()
	t := &Ticket{ID: tx.Tx.ID(s), Signed: s.Hash(ledger.DomainSignedTx, raw), done: make(chan struct{})}
	if known, err := in.known(t, tx.Tx.ValidUntil); known != nil || err != nil {
		return nil, known, err
	}
	if err := in.checkWindow(tx.Tx.ValidUntil); err != nil {
		return nil, nil, err
	}
	if err := in.checkRoom(len(raw)); err != nil { // now, so that a full node spends no verification on what it refuses
		return nil, nil, err
	}
	return &pending{ticket: t, raw: bytes.Clone(raw), tx: exec.Tx{ID: t.ID, Signed: t.Signed, Body: tx}, validUntil: tx.Tx.ValidUntil}, nil, nil
}

// checkWindow refuses what could no longer, or not yet, be included. It speaks of these bytes as submitted now: an earlier
// submission may stand in a block that is still being decided.
func (in *Intake) checkWindow(validUntil ledger.Time) error {
	now := in.cfg.Chain.Now()
	in.mu.Lock()
	over := in.wall > validUntil
	in.mu.Unlock()
	switch {
	case validUntil < now && over:
		return ledger.Failf(ledger.CodeWindow, "valid_until %s has passed and the transaction can never take effect", validUntil)
	case validUntil < now:
		return ledger.Failf(ledger.CodeWindow, "valid_until %s has passed, it is %s; if the same bytes were submitted before they may still "+
			"take effect until a later block stands: ask for the id before signing anew", validUntil, now)
	case validUntil > now+ledger.TxWindowMax:
		return ledger.Failf(ledger.CodeWindow, "valid_until %s is more than %d minutes from now, %s: check this machine's clock",
			validUntil, ledger.TxWindowMax/ledger.Minute, now)
	}
	return nil
}

// known returns a ticket for a transaction that is under way or done, or nil.
func (in *Intake) known(t *Ticket, validUntil ledger.Time) (*Ticket, error) {
	in.mu.Lock()
	p := in.bySigned[t.Signed]
	in.mu.Unlock()
	if p != nil {
		return p.ticket, nil
	}
	if validUntil >= in.cfg.Chain.Now() && !in.cfg.Chain.Spent(t.ID) {
		return nil, nil
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
	if err := in.room(len(p.raw)); err != nil {
		return nil, err
	}
	in.bySigned[p.ticket.Signed] = p
	in.pendingBytes += len(p.raw)
	in.push(p)
	in.poke()
	return p.ticket, nil
}

func (in *Intake) checkRoom(bytes int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.room(bytes)
}

// room refuses a transaction of so many bytes if too much waits. The caller holds mu.
func (in *Intake) room(bytes int) error {
	if len(in.bySigned) >= in.pace.limit(in.cfg.PendingMax) || in.pendingBytes+bytes > in.cfg.PendingBytesMax {
		return ledger.Failf(ledger.CodeBusy, "%d transactions wait to be ordered; try again in a second, or at another node", len(in.bySigned))
	}
	return nil
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
