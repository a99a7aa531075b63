package bft

import (
	"fmt"
	"log/slog"
	"time"

	"aval/ledger"
)

// How long this validator may be behind what f+1 others report before it fetches what it lacks. One block behind is the
// rule while blocks are being made.
const (
	behindByOne  = 2 * time.Second
	behindByMore = 500 * time.Millisecond
	askSyncPause = time.Second
)

// watcher looks after a running kernel: it tells the others how far this validator is, notices when it falls behind in
// a way the kernel does not, and complains about a leader that does not get on.
type watcher struct {
	e  *Engine
	in *instance
	s  state

	head       ledger.Height
	nextPulse  time.Time
	complained time.Time
	asked      time.Time
	// behind is since when others report more than this validator has; zero: they do not.
	behind time.Time
}

// watch looks after a run until it ends.
func (e *Engine) watch(in *instance) ending {
	ticks, stop := e.cfg.Ticker(e.cfg.Timing.Tick)
	defer stop()
	w := &watcher{e: e, in: in, s: e.snapshot(), head: e.headHeight()}
	for {
		w.look(time.Now())
		select {
		case end := <-in.ended:
			return end
		case <-e.ctx.Done():
			return ending{}
		case <-ticks:
		}
	}
}

func (w *watcher) look(now time.Time) {
	if w.in.dead.Load() {
		return
	}
	w.in.askView()
	if head := w.e.headHeight(); head != w.head {
		w.head, w.behind = head, time.Time{}
		w.e.noteProgress(now)
	}
	if !now.Before(w.nextPulse) {
		w.nextPulse = now.Add(w.e.cfg.Timing.Pulse)
		w.e.pulse(&w.s, w.in.view.Load())
	}
	w.in.resend(now)
	w.lookBehind(now)
	w.lookSlow(now)
}

func (e *Engine) noteProgress(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.progress = now
}

// lookBehind fetches blocks, views or epochs that others have reached and this validator does not hear of: the kernel
// notices only what its leader or f+1 votes tell it.
func (w *watcher) lookBehind(now time.Time) {
	v := w.s.peers.vouched()
	if v.epoch > w.in.judge.epoch {
		w.in.end(fmt.Sprintf("the others are in epoch %d", v.epoch), true)
		return
	}
	patience := behindByOne
	switch {
	case v.head > w.head+1:
		patience = behindByMore
	case v.head == w.head+1:
	case v.view > w.in.view.Load() && !w.in.changing():
	default:
		w.behind = time.Time{}
		return
	}
	if w.behind.IsZero() {
		w.behind = now
	}
	if now.Sub(w.behind) < patience || now.Sub(w.asked) < askSyncPause {
		return
	}
	w.asked, w.behind = now, time.Time{}
	w.in.log.Debug("behind the others", slog.Uint64("their_head", uint64(v.head)), slog.Uint64("head", uint64(w.head)),
		slog.Uint64("their_view", v.view), slog.Uint64("view", w.in.view.Load()))
	w.in.askSync()
}

// lookSlow complains when requests wait and no block comes, whoever holds them and whatever was complained about
// before. The kernel complains once for each request, and a leader whose batcher a synchronisation closed stays silent
// while its heartbeats go on.
func (w *watcher) lookSlow(now time.Time) {
	slow := w.e.cfg.Timing.Slow
	if w.in.kernel.Pool.Size() == 0 || now.Sub(w.e.snapshot().progress) < slow || now.Sub(w.complained) < slow {
		return
	}
	w.complained = now
	view := w.in.view.Load()
	w.in.log.Info("no block although requests wait: complaining about the leader", slog.Uint64("view", view))
	w.in.kernel.Complain(view, false)
}
