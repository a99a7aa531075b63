package intake

import (
	"context"
	"time"

	"aval/internal/clock"
)

// A stepped intake does the same as one that runs, decision by decision; only what waits differs: where a goroutine would wait for a
// timer or an answer, the clock or the answer calls back. It is used by one goroutine.

// Step does what is due and returns after how long it is to be called again; 0: not before something was admitted or executed.
func (in *Intake) Step() time.Duration {
	wait := in.turn()
	for len(in.steps) > 0 {
		in.mu.Lock()
		steps := in.steps
		in.steps = nil
		in.mu.Unlock()
		for _, step := range steps {
			step()
		}
	}
	return wait
}

// handing is one try to have a flight certified and ordered.
type handing struct {
	in       *Intake
	f        *flight
	g        *gathering
	attempt  int
	asking   *asking
	patience clock.Timer
	deadline clock.Timer
	over     bool
}

// beginStepped is certify, without waiting.
func (in *Intake) beginStepped(f *flight, attempt int) {
	g, err := in.gather(f)
	if err != nil {
		in.handedIn(f, attempt, err)
		return
	}
	h := &handing{in: in, f: f, g: g, attempt: attempt}
	f.handing = h
	if h.settled() {
		return
	}
	h.asking = in.newAsking(g)
	h.patience = in.cfg.Clock.AfterFunc(verifyPatience, h.impatient)
	h.deadline = in.cfg.Clock.AfterFunc(certifyTries*in.cfg.ResendAfter, func() { h.end(g.missing()) })
	h.give(h.asking.first())
}

// settled hands the certificate in if there is one, and returns whether there is.
func (h *handing) settled() bool {
	select {
	case <-h.g.enough:
	default:
		return false
	}
	h.end(nil)
	return true
}

// end ends this try, with a certificate unless there is an error.
func (h *handing) end(err error) {
	if h.over || h.in.ctx.Err() != nil {
		return
	}
	h.over = true
	if h.patience != nil {
		h.patience.Stop()
		h.deadline.Stop()
	}
	if err == nil {
		err = h.in.cfg.Order(context.Background(), requestOf(h.g.certificate))
	}
	h.in.handedIn(h.f, h.attempt, err)
}

// impatient asks others in the place of those that keep silent.
func (h *handing) impatient() {
	if h.over || h.in.ctx.Err() != nil {
		return
	}
	h.in.noteSlow(h.g, h.asking.asked())
	h.give(h.asking.next(h.g.lacking()))
	h.patience.Reset(verifyPatience)
}

func (h *handing) give(offers []offer) {
	for _, o := range offers {
		if h.g.begin(o) {
			h.in.offerStepped(h.f, h.g, o, pushPause)
		}
	}
}

// offerStepped is offer, without waiting.
func (in *Intake) offerStepped(f *flight, g *gathering, o offer, pause time.Duration) {
	if in.ctx.Err() != nil || g.has(o.validator, o.verify) {
		g.end(o)
		return
	}
	in.cfg.Offer(o.validator, g.message(o), func(answer []byte, err error) {
		if in.ctx.Err() != nil {
			return
		}
		done := in.answered(g, o, pause == pushPause, answer, err)
		h := f.handing
		if !h.over && !h.settled() {
			select {
			case <-g.failed:
				h.give(h.asking.next(1))
			default:
			}
		}
		if done || !g.needed(f) {
			g.end(o)
			return
		}
		in.cfg.Clock.AfterFunc(pause, func() {
			if !g.needed(f) {
				g.end(o)
				return
			}
			in.offerStepped(f, g, o, nextPause(pause))
		})
	})
}

// needed reports whether a batch is still to be pushed to those that did not acknowledge it.
func (g *gathering) needed(f *flight) bool {
	select {
	case <-g.enough:
	case <-f.over:
	default:
		return true
	}
	return false
}
