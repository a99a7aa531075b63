package solo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"aval/internal/consensus"
	"aval/ledger"
	"aval/suite"
)

// Config is what an engine needs.
type Config struct {
	Suite suite.Suite
	// Signer holds the key of the one validator.
	Signer suite.Signer
	Ledger consensus.Ledger
	// PendingMax bounds the requests that wait to be ordered. Default 256.
	PendingMax int
	// Logger defaults to slog.Default().
	Logger *slog.Logger
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Suite == nil || c.Signer == nil || c.Ledger == nil {
		errs = append(errs, errors.New("solo: Suite, Signer and Ledger are required"))
	}
	if c.PendingMax < 0 {
		errs = append(errs, errors.New("solo: PendingMax is negative"))
	}
	return errors.Join(errs...)
}

// offerMax is how many requests are offered for one block, offerBytesMax how many bytes they may have.
const (
	offerMax      = ledger.BlockBatchesMax + ledger.BlockTicksMax
	offerBytesMax = ledger.PayloadBytesMax - 64<<10
)

// retryPause is how long the engine waits after a block could not be made or committed.
const retryPause = 500 * time.Millisecond

// request is one that waits.
type request struct {
	id  consensus.RequestID
	raw []byte
}

// Engine makes a block as soon as there is a request. It implements consensus.Engine.
type Engine struct {
	cfg Config
	log *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	wake   chan struct{}

	mu      sync.Mutex
	started bool
	stopped bool
	pending []request
	cause   string
}

// New returns an engine that is not yet started.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.PendingMax == 0 {
		cfg.PendingMax = 256
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	e := &Engine{cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// Start implements consensus.Engine.
func (e *Engine) Start(context.Context) error {
	_, set := e.cfg.Ledger.Epoch()
	if len(set) != 1 || string(set[0].Key) != string(e.cfg.Signer.Public()) {
		return fmt.Errorf("solo: the network has %d validators; this engine serves one that is its only validator", len(set))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.stopped {
		return errors.New("solo: an engine starts once")
	}
	e.started = true
	e.tasks.Add(1)
	go e.run()
	return nil
}

// Stop implements consensus.Engine.
func (e *Engine) Stop() {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.cancel()
	e.tasks.Wait()
}

// Submit implements consensus.Engine.
func (e *Engine) Submit(_ context.Context, raw []byte) error {
	id, err := e.cfg.Ledger.RequestID(raw)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !e.started || e.stopped:
		return consensus.ErrStopped
	case e.cfg.Ledger.Ordered(id) || slices.ContainsFunc(e.pending, func(r request) bool { return r.id == id }):
		return consensus.ErrDuplicate
	case len(e.pending) >= e.cfg.PendingMax:
		return consensus.ErrBusy
	}
	e.pending = append(e.pending, request{id, slices.Clone(raw)})
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return nil
}

// Receive implements consensus.Engine; a sole validator has nobody to hear from.
func (e *Engine) Receive(uint16, []byte) {}

// ReceiveRequest implements consensus.Engine; a sole validator has nobody to hear from.
func (e *Engine) ReceiveRequest(uint16, []byte) {}

// Status implements consensus.Engine.
func (e *Engine) Status() consensus.Status {
	epoch, _ := e.cfg.Ledger.Epoch()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := consensus.Status{Engine: "solo", Epoch: epoch, Pending: len(e.pending), Cause: e.cause}
	if !e.started || e.stopped {
		s.Cause = "the engine is not running"
	}
	return s
}

// run makes blocks while there are requests.
func (e *Engine) run() {
	defer e.tasks.Done()
	for e.ctx.Err() == nil {
		wake := e.wake
		var again <-chan time.Time
		if offered := e.offer(); len(offered) > 0 {
			err := e.block(offered)
			if err == nil {
				e.note("")
				continue
			}
			if e.ctx.Err() != nil {
				return
			}
			e.log.Error("no block could be made", slog.Any("error", err))
			e.note(err.Error())
			wake, again = nil, time.After(retryPause)
		}
		select {
		case <-e.ctx.Done():
			return
		case <-wake:
		case <-again:
		}
	}
}

func (e *Engine) note(cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cause = cause
}

// offer returns the oldest requests, as many as one block may hold.
func (e *Engine) offer() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	bytes := 0
	for i, r := range e.pending {
		bytes += len(r.raw)
		if i == offerMax || bytes > offerBytesMax {
			return slices.Clone(e.pending[:i])
		}
	}
	return slices.Clone(e.pending)
}

// block makes one block of the offered requests and commits it.
func (e *Engine) block(offered []request) error {
	raws := make([][]byte, len(offered))
	for i, r := range offered {
		raws[i] = r.raw
	}
	epoch, set := e.cfg.Ledger.Epoch()
	if len(set) != 1 {
		return fmt.Errorf("solo: epoch %d has %d validators", epoch, len(set))
	}
	b, err := e.cfg.Ledger.Assemble(e.ctx, nil, epoch, raws)
	if err != nil {
		return err
	}
	included, err := e.cfg.Ledger.Requests(b.Payload)
	if err != nil {
		return err
	}
	if len(included) == 0 { // none of them can be ordered any more, and an empty block serves nobody
		e.drop(offered[:1], nil)
		return nil
	}
	sig, err := e.cfg.Signer.Sign(ledger.DomainVote, b.Header.VoteBytes(e.cfg.Suite))
	if err != nil {
		return fmt.Errorf("solo: sign a vote: %w", err)
	}
	b.Certificate = ledger.Certificate{Votes: []ledger.Vote{{Validator: 0, Sig: sig}}}
	if err := e.cfg.Ledger.Commit(b); err != nil {
		return fmt.Errorf("solo: commit block %d: %w", b.Header.Height, err)
	}
	e.drop(offered[:1], included)
	return nil
}

// drop forgets requests: those that were ordered, and the first of those offered, which always has room in a block, so
// that it cannot be ordered if it was left out.
func (e *Engine) drop(first []request, ordered []consensus.RequestID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending = slices.DeleteFunc(e.pending, func(r request) bool {
		return r.id == first[0].id || slices.Contains(ordered, r.id)
	})
}
