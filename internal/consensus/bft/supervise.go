package bft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/ledger"
)

// Pauses between two runs of the kernel: the first follows at once, later ones wait up to restartPauseMax if runs are
// shorter than restartCalm.
const (
	restartPause    = 100 * time.Millisecond
	restartPauseMax = 2 * time.Second
	restartCalm     = 10 * time.Second
)

// supervise runs the kernel until the engine stops: observing first where it must, and again after every ending.
func (e *Engine) supervise() {
	defer e.tasks.Done()
	defer func() {
		if err := e.guard.close(); err != nil {
			e.log.Warn("close the record of votes", slog.Any("error", err))
		}
	}()
	pause := time.Duration(0)
	var waiting [][]byte
	for e.ctx.Err() == nil {
		began := time.Now()
		end, left, err := e.run(waiting)
		waiting = left
		if err != nil {
			e.log.Error("the engine cannot run", slog.Any("error", err))
			end = ending{why: err.Error(), sync: true}
		}
		e.between(end.why, err)
		if e.ctx.Err() != nil {
			return
		}
		if end.why != "" {
			e.log.Info("the kernel starts again", slog.String("why", end.why))
		}
		if time.Since(began) > restartCalm {
			pause = 0
		}
		if end.sync {
			syncBlocks(e.ctx, &e.cfg, e.log)
		}
		e.wait(pause)
		pause = min(2*pause+restartPause, restartPauseMax)
	}
}

// between notes that no kernel runs, and why.
func (e *Engine) between(why string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.inst, e.state.cause, e.state.err = nil, why, err
	e.announce()
}

// announce lets Start return. The caller holds mu.
func (e *Engine) announce() {
	if !e.readied {
		e.readied = true
		close(e.ready)
	}
}

// wait waits, or until the engine stops.
func (e *Engine) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.ctx.Done():
	}
}

// run observes if it must and then runs the kernel once. It returns why it ended and the requests that still wait.
func (e *Engine) run(waiting [][]byte) (ending, [][]byte, error) {
	epoch, set := e.cfg.Ledger.Epoch()
	self, member := place(set, e.cfg.Signer.Public())
	if member && len(set) < ledger.ValidatorsMin {
		return ending{}, waiting, fmt.Errorf("bft: %d validators, at least %d are needed", len(set), ledger.ValidatorsMin)
	}
	j := newJudge(&e.cfg, epoch, set)
	e.mu.Lock()
	e.state = state{judge: j, peers: newPeers(self, set), self: self, since: time.Now()}
	s := e.state
	e.mu.Unlock()
	if !member {
		e.follow(epoch)
		return ending{}, nil, nil
	}
	jr, st, why, err := e.openLog(epoch)
	if err != nil {
		return ending{}, waiting, err
	}
	if why != "" {
		return ending{}, nil, e.observe(epoch, why)
	}
	if change := st.jump(e.jump); change != nil {
		if err := jr.leave(change); err != nil {
			return ending{}, waiting, errors.Join(err, jr.close())
		}
	}
	e.jump = 0
	in, err := newInstance(&e.cfg, e.guard, &s, jr, st)
	if err != nil {
		return ending{}, waiting, errors.Join(err, jr.close())
	}
	if err := in.start(); err != nil {
		return ending{}, waiting, errors.Join(err, jr.close())
	}
	e.cfg.metrics.runs.Inc()
	e.mu.Lock()
	e.state.inst = in
	e.announce()
	e.mu.Unlock()
	e.resubmit(in, waiting)
	end := e.watch(in)
	e.mu.Lock()
	e.state.inst = nil
	e.mu.Unlock()
	e.jump = end.jump
	left := in.salvage()
	in.stop()
	return end, left, nil
}

// resubmit hands in what waited in an earlier run.
func (e *Engine) resubmit(in *instance, waiting [][]byte) {
	for _, r := range waiting {
		id, err := e.cfg.Ledger.RequestID(r)
		if err != nil || e.cfg.Ledger.Ordered(id) {
			continue
		}
		if err := in.submit(r, id); err != nil && !errors.Is(err, consensus.ErrDuplicate) {
			e.log.Debug("a waiting request is dropped", slog.Any("error", err))
		}
	}
}

// place finds a key in a validator set.
func place(set ledger.ValidatorSet, key []byte) (uint16, bool) {
	for i, v := range set {
		if string(v.Key) == string(key) {
			return uint16(i), true
		}
	}
	return math.MaxUint16, false
}

// openLog opens the log of an epoch. why is not empty if the validator must observe first; there is then no log.
func (e *Engine) openLog(epoch uint64) (jr *journal, st *logState, why string, err error) {
	votes := e.guard.current()
	if e.suspect != "" {
		return nil, nil, e.suspect, nil
	}
	if votes.ObserveUntil != 0 {
		return nil, nil, "it had not finished observing", nil
	}
	log := &kernelLog{log: e.log, failed: func(string) {}}
	jr, entries, existed, err := openJournal(journalDir(e.cfg.Dir, epoch), log)
	if errors.Is(err, errLogDamaged) {
		return nil, nil, err.Error(), nil
	}
	if err != nil {
		return nil, nil, "", err
	}
	head := e.headHeight()
	st, err = readLog(e.cfg.Suite, entries)
	if err == nil {
		err = st.check(head, epoch, votes)
	}
	switch {
	case err != nil:
		return nil, nil, err.Error(), jr.close()
	case !existed && votes.Logged == epoch+1:
		return nil, nil, "the log was lost", jr.close()
	case votes.Logged != epoch+1:
		err = errors.Join(dropOld(e.cfg.Dir, epoch), e.guard.update(func(s *guardState) { s.Logged = epoch + 1 }))
	}
	if err != nil {
		return nil, nil, "", errors.Join(err, jr.close())
	}
	return jr, st, "", nil
}

// observeBlocks is how many certified blocks must pass what the validator could have voted on.
const observeBlocks = 2

// observe follows certified blocks, without voting, until it is certain that nothing this validator voted on before can
// still be open. A validator votes at most one height above its own head; the network's head, as f+1 others vouch for
// it, may be a block behind that.
func (e *Engine) observe(epoch uint64, why string) error {
	votes := e.guard.current()
	if votes.ObserveUntil == 0 {
		// What it could have voted on is not known yet; a crash before it is must not forget that it has to observe.
		if err := e.guard.update(func(s *guardState) { s.ObserveUntil = math.MaxUint64 }); err != nil {
			return err
		}
	}
	e.suspect = ""
	if err := setAside(e.cfg.Dir, epoch); err != nil {
		return err
	}
	e.log.Warn("observing until certified blocks have passed what this validator could have voted on", slog.String("why", why))
	done, err := e.observed(why)
	if err != nil || !done {
		return err
	}
	return e.guard.update(func(s *guardState) { s.ObserveUntil, s.Logged = 0, 0 })
}

// observed waits until the height to observe until is reached. It returns false if the engine stops first.
func (e *Engine) observed(why string) (bool, error) {
	ticks, stop := e.cfg.Ticker(e.cfg.Timing.Tick)
	defer stop()
	e.setObserving("observing: " + why)
	next := time.Time{}
	for {
		s := e.snapshot()
		if now := time.Now(); !now.Before(next) {
			next = now.Add(e.cfg.Timing.Pulse)
			e.pulse(&s, stand{})
			syncBlocks(e.ctx, &e.cfg, e.log)
		}
		until := e.guard.current().ObserveUntil
		if until == math.MaxUint64 {
			if err := e.setTarget(&s); err != nil {
				return false, err
			}
			until = e.guard.current().ObserveUntil
		}
		if until != math.MaxUint64 {
			e.setObserving(fmt.Sprintf("observing until block %d: %s", until, why))
			if e.headHeight() >= until {
				return true, nil
			}
		}
		select {
		case <-ticks:
		case <-e.ctx.Done():
			return false, nil
		}
	}
}

// setTarget fixes how long to observe, once enough others were heard and their blocks are here.
func (e *Engine) setTarget(s *state) error {
	heard, _ := s.peers.heard(s.since)
	head := e.headHeight()
	if heard+1 < s.judge.set.Quorum() || head < s.peers.vouched().head {
		return nil
	}
	return e.guard.update(func(g *guardState) {
		last := head + 1
		if g.Epoch == s.judge.epoch {
			last = max(last, g.Height)
		}
		g.ObserveUntil = last + observeBlocks
	})
}

func (e *Engine) setObserving(cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.observing, e.state.cause = true, cause
	e.announce()
}

// follow keeps up with the ledger while this node is no validator, until the epoch changes or the engine stops.
func (e *Engine) follow(epoch uint64) {
	e.mu.Lock()
	e.state.cause = fmt.Sprintf("this node is not a validator of epoch %d", epoch)
	e.announce()
	e.mu.Unlock()
	for e.ctx.Err() == nil {
		syncBlocks(e.ctx, &e.cfg, e.log)
		if now, _ := e.cfg.Ledger.Epoch(); now != epoch {
			return
		}
		e.wait(e.cfg.Timing.Pulse)
	}
}

// pulse tells all others how far this validator is.
func (e *Engine) pulse(s *state, at stand) {
	b := encodeEnvelope(s.judge.epoch, kindPulse, codec.MustMarshal(&pulse{e.headHeight(), at}))
	for i := range s.judge.set {
		if uint16(i) != s.self {
			e.cfg.Links.Send(uint16(i), b)
		}
	}
}

// syncBlocks fetches what the ledger lacks, for as long as that brings blocks.
func syncBlocks(ctx context.Context, cfg *Config, log *slog.Logger) {
	for ctx.Err() == nil {
		before := cfg.Ledger.Head().Header.Height
		cfg.metrics.syncs.Inc()
		attempt, cancel := context.WithTimeout(ctx, cfg.Timing.Sync)
		err := cfg.Syncer.Sync(attempt)
		cancel()
		if err != nil {
			log.Debug("fetch blocks", slog.Any("error", err))
		}
		if err == nil || cfg.Ledger.Head().Header.Height == before {
			return
		}
	}
}
