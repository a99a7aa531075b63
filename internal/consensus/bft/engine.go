package bft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"aval/internal/consensus"
	"aval/ledger"
)

// Engine orders blocks with SmartBFT. It implements consensus.Engine.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	guard *guard
	// suspect says why the log cannot be trusted although nothing contradicts it: a new or damaged record of votes beside
	// an old ledger, or a restore. Owned by the supervisor.
	suspect string

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// ready is closed when the first run of the kernel has started or the validator observes, or neither can be.
	ready chan struct{}

	forwarded chan []byte
	// jump is the view that the next run of the kernel is to change to; 0: none. Owned by the supervisor.
	jump uint64

	mu      sync.Mutex
	started bool
	stopped bool
	readied bool
	state   state
}

// state is what the engine does at the moment. Guarded by Engine.mu.
type state struct {
	judge *judge
	peers *peers
	self  uint16
	// inst is the running kernel, nil between two runs, while observing and when not a validator.
	inst *instance
	// observing is true while nothing may be signed.
	observing bool
	// cause says why no kernel runs; err is set if none could be started.
	cause string
	err   error
	// since is when the engine began to listen to these peers.
	since time.Time
	// waiting is since when the oldest request is that; zero: none waits.
	waiting time.Time
}

// forwardedMax is how many forwarded requests wait to be verified.
const forwardedMax = 256

// New returns an engine that is not yet started.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	e := &Engine{cfg: cfg, log: cfg.Logger, ready: make(chan struct{}),
		forwarded: make(chan []byte, forwardedMax)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.cfg.metrics = newMetrics(e)
	if err := e.cfg.metrics.register(); err != nil {
		e.cancel()
		return nil, err
	}
	return e, nil
}

// Start implements consensus.Engine. ctx bounds the start, not the run.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	if e.started || e.stopped {
		e.mu.Unlock()
		return errors.New("bft: an engine starts once")
	}
	g, fresh, err := openGuard(e.cfg.Dir)
	if err != nil && !errors.Is(err, errGuardDamaged) {
		e.mu.Unlock()
		return err
	}
	e.guard, e.started = g, true
	switch {
	case err != nil:
		e.suspect = "the record of votes was damaged"
	case e.cfg.Restored:
		e.suspect = "restored from a backup"
	case fresh && e.cfg.Ledger.Head().Header.Height > 0:
		e.suspect = "the record of votes was lost"
	}
	e.tasks.Add(2)
	e.mu.Unlock()
	go e.supervise()
	go e.acceptForwarded()
	select {
	case <-e.ready:
	case <-ctx.Done():
		e.Stop()
		return fmt.Errorf("bft: start: %w", ctx.Err())
	}
	if err := e.snapshot().err; err != nil {
		e.Stop()
		return err
	}
	return nil
}

// Stop implements consensus.Engine.
func (e *Engine) Stop() {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.cancel()
	e.tasks.Wait()
	e.cfg.metrics.unregister()
}

func (e *Engine) snapshot() state {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// Submit implements consensus.Engine. While this validator observes, the request goes to the others instead.
func (e *Engine) Submit(_ context.Context, request []byte) error {
	if len(request) == 0 || len(request) > RequestBytesMax {
		return fmt.Errorf("bft: a request of %d bytes, at most %d are allowed", len(request), RequestBytesMax)
	}
	id, err := e.cfg.Ledger.RequestID(request)
	if err != nil {
		return err
	}
	if e.cfg.Ledger.Ordered(id) {
		return consensus.ErrDuplicate
	}
	e.mu.Lock()
	s, running := e.state, e.started && !e.stopped
	e.mu.Unlock()
	switch {
	case !running:
		return consensus.ErrStopped
	case s.inst != nil:
		return s.inst.submit(request, id)
	case s.observing:
		for i := range s.judge.set {
			if uint16(i) != s.self {
				e.cfg.Links.SendRequest(uint16(i), request)
			}
		}
		return nil
	default:
		return consensus.ErrBusy
	}
}

// ReceiveRequest implements consensus.Engine. A request that finds no room is dropped; its sender keeps it.
func (e *Engine) ReceiveRequest(from uint16, request []byte) {
	s := e.snapshot()
	if s.judge == nil || int(from) >= len(s.judge.set) || s.inst == nil || len(request) > RequestBytesMax {
		return
	}
	select {
	case e.forwarded <- request:
	default:
	}
}

// acceptForwarded verifies forwarded requests and pools them.
func (e *Engine) acceptForwarded() {
	defer e.tasks.Done()
	for {
		select {
		case <-e.ctx.Done():
			return
		case r := <-e.forwarded:
			if e.snapshot().inst == nil {
				continue
			}
			err := e.Submit(e.ctx, r)
			if err != nil && !errors.Is(err, consensus.ErrDuplicate) {
				e.log.Debug("a forwarded request is not taken", slog.Any("error", err))
			}
		}
	}
}

// Receive implements consensus.Engine.
func (e *Engine) Receive(from uint16, message []byte) {
	s := e.snapshot()
	if s.judge == nil || int(from) >= len(s.judge.set) || from == s.self {
		return
	}
	if err := e.receive(&s, from, message); err != nil {
		e.log.Debug("a message is dropped", slog.Int("from", int(from)), slog.Any("error", err))
	}
}

func (e *Engine) receive(s *state, from uint16, message []byte) error {
	env, err := decodeEnvelope(message)
	if err != nil {
		return err
	}
	if env.Kind == kindPulse {
		p, err := decodePulse(env.Body)
		if err == nil {
			s.peers.hear(from, env.Epoch, p)
		}
		return err
	}
	s.peers.hear(from, env.Epoch, nil)
	if s.inst == nil || env.Epoch != s.judge.epoch {
		return nil
	}
	m, err := env.kernelMessage(len(s.judge.set))
	if err != nil {
		return err
	}
	if err := s.judge.filter(from, m, e.headHeight()); err != nil {
		return err
	}
	if err := s.inst.fresh(m, e.cfg.Ledger.Now()); err != nil {
		return err
	}
	if s.inst.late(from, m) {
		return nil
	}
	if vc := m.GetViewChange(); vc != nil {
		s.peers.asks(from, vc.GetNextView())
	}
	s.inst.out.heard(from, m)
	s.inst.help(from, m)
	if !s.inst.inboxes[from].put(parcel{message: m, bytes: len(message)}) {
		return errors.New("its queue is full")
	}
	return nil
}

// fresh refuses a proposal whose wall time is too far from this node's clock, when it first comes.
func (in *instance) fresh(m *smartbftprotos.Message, now ledger.Time) error {
	pp := m.GetPrePrepare()
	if pp == nil {
		return nil
	}
	b, err := blockOf(fromProto(pp.GetProposal()))
	if err != nil {
		return err
	}
	drift := b.Header.Wall - now
	if !in.out.inTime(b.Header.Hash(in.cfg.Suite), drift <= ledger.WallDriftMax && drift >= -ledger.WallDriftMax) {
		return fmt.Errorf("%w: it is %s, here it is %s", errStale, b.Header.Wall, now)
	}
	return nil
}

// help sends the start of a view again to a validator that still states its case for it.
func (in *instance) help(from uint16, m *smartbftprotos.Message) {
	vd := m.GetViewData()
	if vd == nil {
		return
	}
	start := in.out.restart(nextViewOf(vd))
	if start == nil {
		return
	}
	if b, err := in.encode(start); err == nil {
		in.cfg.Links.Send(from, b)
	}
}

// late reports whether a message is of a view that this validator has left for good, from the leader of the view it is
// in. The kernel would take it for a fault of the leader and leave the view. (A validator that is changing views still
// needs such messages: they may decide what was in flight.)
func (in *instance) late(from uint16, m *smartbftprotos.Message) bool {
	view, vote := viewOf(m)
	if !vote {
		return false
	}
	now := in.view.Load()
	return view < now && from == in.judge.leaderOf(now) && !in.changing()
}

// Status implements consensus.Engine.
func (e *Engine) Status() consensus.Status {
	e.mu.Lock()
	s, running := e.state, e.started && !e.stopped
	e.mu.Unlock()
	out := consensus.Status{Engine: "bft", Observing: s.observing, Cause: s.cause}
	if s.judge != nil {
		out.Epoch = s.judge.epoch
	}
	if until := e.observeUntil(&s); until != math.MaxUint64 {
		out.ObserveUntil = until
	}
	if !running {
		out.Cause = "the engine is not running"
		return out
	}
	if s.inst != nil {
		s.inst.askView()
		out.View = s.inst.view.Load()
		out.Leader = s.judge.leaderOf(out.View)
		out.Pending = s.inst.kernel.Pool.Size()
		out.Awaited = s.inst.out.awaited(time.Now().Add(-awaitedAfter), e.headHeight(), s.inst.others())
	}
	out.Cause = e.cause(&s, &out)
	return out
}

// awaitedAfter is how long a block may be in work before those who have not voted for it are named.
const awaitedAfter = time.Second

// observeUntil returns the height from which this validator votes again, 0 if it does not observe.
func (e *Engine) observeUntil(s *state) ledger.Height {
	if !s.observing {
		return 0
	}
	return e.guard.current().ObserveUntil
}

// cause says why nothing is being ordered, or "".
func (e *Engine) cause(s *state, out *consensus.Status) string {
	now, window := time.Now(), e.cfg.Timing.Silent
	if s.peers != nil && int(s.self) < len(s.judge.set) && now.Sub(s.since) >= 2*e.cfg.Timing.Pulse {
		if why := s.peers.quorumCause(now.Add(-window), window); why != "" {
			out.QuorumLost = true
			return why
		}
	}
	switch {
	case s.inst == nil:
		return s.cause
	case s.inst.changing():
		return fmt.Sprintf("changing from view %d to view %d", out.View, s.inst.leaving.Load())
	case !s.waiting.IsZero() && now.Sub(s.waiting) > e.cfg.Timing.Slow:
		return fmt.Sprintf("%d requests wait for validator %d, the leader of view %d", out.Pending, out.Leader, out.View)
	}
	return ""
}

// headHeight returns the height of the ledger's head.
func (e *Engine) headHeight() ledger.Height { return e.cfg.Ledger.Head().Header.Height }
