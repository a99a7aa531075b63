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
	behindByOne  = 300 * time.Millisecond
	behindByMore = 200 * time.Millisecond
	askSyncPause = 500 * time.Millisecond
	// unheardMax is how often the kernel may be asked to synchronise without doing so.
	unheardMax = 8
)

// watcher looks after a running kernel: it tells the others how far this validator is, notices when it falls behind in
// a way the kernel does not, and complains about a leader that does not get on.
type watcher struct {
	e  *Engine
	in *instance
	s  state

	head      ledger.Height
	at        stand
	nextPulse time.Time
	// asked is when blocks were last asked for, or the kernel to synchronise.
	asked time.Time
	// oldest is the request that has waited longest, by the address of its bytes, and since when it is that in view.
	oldest      *byte
	view        uint64
	oldestSince time.Time
	complained  time.Time
	// left is since when f+1 others are at a view change far ahead; zero: they are not.
	left time.Time
	// taken is since when the height that a view change took up is here; zero: it is not.
	taken time.Time
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
	at := stand{View: w.in.view.Load(), Height: ledger.Height(w.in.height.Load())}
	if head := w.e.headHeight(); head != w.head || at != w.at {
		if head != w.head {
			w.behind = time.Time{}
		}
		if w.at.Height > 0 && at.View > w.at.View {
			w.e.cfg.metrics.viewChanges.Inc()
		}
		w.head, w.at, w.nextPulse = head, at, now
	}
	if !now.Before(w.nextPulse) {
		w.nextPulse = now.Add(w.e.cfg.Timing.Pulse)
		w.e.pulse(&w.s, at)
	}
	w.in.resend(now)
	w.lookBehind(now)
	w.lookSlow(now)
}

// lookBehind fetches blocks, views or epochs that others have reached and this validator does not hear of: the kernel
// notices only what its leader or f+1 votes tell it.
func (w *watcher) lookBehind(now time.Time) {
	v := w.s.peers.vouched()
	if v.epoch > w.in.judge.epoch {
		w.in.end(fmt.Sprintf("the others are in epoch %d", v.epoch), true)
		return
	}
	if w.in.unheard.Load() > unheardMax {
		w.in.end("the kernel does not answer", true)
		return
	}
	if w.lookLeft(now) || w.lookTaken(now) {
		return
	}
	patience := behindByOne
	switch {
	case v.head > w.head+1:
		patience = behindByMore
	case v.head == w.head+1:
	case v.claimed > w.head && w.in.changing(): // one may have what all others need to agree on a view
	case v.view > w.at.View && !w.in.changing():
	case w.head > w.at.Height: // the kernel itself is behind the ledger
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
	w.in.log.Debug("behind the others", slog.Uint64("their_head", uint64(v.claimed)), slog.Uint64("head", uint64(w.head)),
		slog.Uint64("their_view", v.view), slog.Uint64("view", w.at.View))
	if v.claimed > w.head {
		w.in.want()
	} else {
		w.in.askSync()
	}
}

// lookLeft notices that f+1 others have gone on to a view change that the kernel cannot follow to, since it takes views
// one by one and was absent for some. It ends the run; the next one joins them.
func (w *watcher) lookLeft(now time.Time) bool {
	next := w.s.peers.asked(now.Add(-3 * w.e.cfg.Timing.Resend))
	if next <= max(w.in.view.Load(), w.in.stated.Load())+1 {
		w.left = time.Time{}
		return false
	}
	if w.left.IsZero() {
		w.left = now
	}
	if now.Sub(w.left) < w.e.cfg.Timing.Resend*3/2 {
		return false
	}
	w.in.endWith(ending{why: fmt.Sprintf("the others are changing to view %d", next), jump: next})
	return true
}

// lookTaken notices that what a view change took up was fetched from others. The kernel goes on waiting for votes until
// it gives the view up; a new run enters it.
func (w *watcher) lookTaken(now time.Time) bool {
	view, height := w.in.takenAt()
	if view <= w.in.view.Load() || height > w.head {
		w.taken = time.Time{}
		return false
	}
	if w.taken.IsZero() {
		w.taken = now
	}
	if now.Sub(w.taken) < behindByMore {
		return false
	}
	w.in.end(fmt.Sprintf("height %d, which view %d took up, was fetched", height, view), false)
	return true
}

// lookSlow complains about the leader when a request stays the oldest for too long: whether it orders nothing, or
// everything but this one. The complaint does not leave the view, so that a validator which complains alone goes on
// working. (A leader whose batcher a synchronisation closed orders nothing while its heartbeats go on.)
func (w *watcher) lookSlow(now time.Time) {
	waiting, _ := w.in.kernel.Pool.NextRequests(1, RequestBytesMax, false)
	if len(waiting) == 0 {
		w.oldest = nil
		w.e.noteWaiting(time.Time{})
		return
	}
	view := max(w.in.view.Load(), w.in.stated.Load())
	if front := &waiting[0][0]; front != w.oldest || view != w.view { // every leader gets its time
		w.oldest, w.oldestSince, w.view = front, now, view
		w.e.noteWaiting(now)
	}
	slow := w.e.cfg.Timing.Slow
	if now.Sub(w.oldestSince) < slow || now.Sub(w.complained) < slow {
		return
	}
	leads := w.in.judge.leaderOf(view) == w.in.self && view == w.in.view.Load()
	if leads && now.Sub(w.oldestSince) > 3*slow && !w.in.changing() {
		w.in.end("it leads and orders nothing", true)
		return
	}
	w.complained = now
	w.in.log.Info("a request waits for too long: complaining about the leader", slog.Uint64("view", view))
	w.in.kernel.Complain(view, false)
}

// noteWaiting notes since when the oldest request is that; zero: none waits.
func (e *Engine) noteWaiting(since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.waiting = since
}
