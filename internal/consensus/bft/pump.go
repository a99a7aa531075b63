package bft

import (
	"log/slog"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
)

// The kernel drops messages that come before it is ready for them: a proposal for a view that it is about to enter, a
// vote for what a view change took up, a statement for a view change that it is about to join. Links keep the order of
// one sender's messages, not of all, so such messages are common, and with one validator lost each costs a view change
// or its timeout. They wait here.

// Bounds of waiting, for one peer.
const (
	earlyPoll  = 5 * time.Millisecond
	earlyMax   = 2 * time.Second
	earlyCount = 256
)

// held is a message that waits since a time.
type held struct {
	parcel
	since time.Time
}

// pump hands one peer's messages to the kernel. Proposals and votes keep their order; so do messages of view changes.
func (in *instance) pump(from uint16, box *inbox) {
	defer in.pumps.Done()
	var votes, changes []held
	for {
		wait := time.Duration(0)
		if len(votes)+len(changes) > 0 {
			wait = earlyPoll
		}
		p, got, open := box.take(wait)
		if !open {
			return
		}
		now := time.Now()
		if got {
			switch _, vote := viewOf(p.message); {
			case vote:
				votes = append(votes, held{p, now})
			case in.early(p.message, now):
				changes = append(changes, held{p, now})
			default:
				in.hand(from, p.message)
			}
		}
		votes = in.flush(from, votes, now)
		changes = in.flush(from, changes, now)
	}
}

// flush hands in what is no longer early and drops what waited for too long.
func (in *instance) flush(from uint16, waiting []held, now time.Time) []held {
	for len(waiting) > 0 {
		first := waiting[0]
		late := now.Sub(first.since) > earlyMax || len(waiting) > earlyCount
		if !late && !in.tryHand(from, first.message, now) {
			return waiting
		}
		waiting = waiting[1:]
	}
	return nil
}

// tryHand hands a message in unless it is early.
func (in *instance) tryHand(from uint16, m *smartbftprotos.Message, now time.Time) bool {
	if _, vote := viewOf(m); vote {
		in.gate.RLock()
		defer in.gate.RUnlock()
	}
	if in.early(m, now) {
		return false
	}
	in.hand(from, m)
	return true
}

func (in *instance) hand(from uint16, m *smartbftprotos.Message) {
	if vd := m.GetViewData(); vd != nil {
		in.handStatement(from, vd)
		return
	}
	if nv := m.GetNewView(); nv != nil {
		var err error
		if m, err = in.settlement.read(m); err != nil {
			in.log.Debug("the start of a view is dropped", slog.Any("error", err))
			return
		}
		if !in.out.beginOnce(nextViewOf(nv.GetSignedViewData()[0])) {
			return
		}
		in.begun.Store(time.Now().UnixNano())
	}
	if !in.dead.Load() {
		in.kernel.HandleMessage(nodeID(from), m)
	}
}

// handStatement hands a statement in, and perhaps others that waited for it.
func (in *instance) handStatement(from uint16, vd *smartbftprotos.SignedViewData) {
	statements, err := in.settlement.take(from, in.self, vd)
	if err != nil {
		in.log.Debug("a statement is dropped", slog.Any("error", err))
	}
	for _, s := range statements {
		if !in.dead.Load() {
			in.kernel.HandleMessage(s.GetSigner(), &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewData{ViewData: s}})
		}
	}
}

// viewOf returns the view of a proposal or vote; false for other messages.
func viewOf(m *smartbftprotos.Message) (uint64, bool) {
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		return c.PrePrepare.GetView(), true
	case *smartbftprotos.Message_Prepare:
		return c.Prepare.GetView(), true
	case *smartbftprotos.Message_Commit:
		return c.Commit.GetView(), true
	}
	return 0, false
}

// early reports whether the kernel is not ready for a message, but soon will be.
func (in *instance) early(m *smartbftprotos.Message, now time.Time) bool {
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_ViewData:
		return nextViewOf(c.ViewData) > in.stated.Load()
	case *smartbftprotos.Message_NewView:
		return nextViewOf(c.NewView.GetSignedViewData()[0]) > in.stated.Load()
	}
	view, vote := viewOf(m)
	if !vote {
		return false
	}
	if in.between(now) {
		return true
	}
	if view <= in.view.Load() || view > in.leaving.Load() {
		return false
	}
	in.askView()
	return view > in.view.Load()
}

// takeUpTicks is for how many ticks after a vote in a view change the kernel takes no votes of others, with some to
// spare: it waits for two.
const takeUpTicks = 3

// between reports whether the kernel has left its view and neither entered the next nor begun to decide what was in
// flight. A synchronisation may have taken it to the next view while it is still about to take up what was in flight there.
func (in *instance) between(now time.Time) bool {
	if now.Sub(time.Unix(0, in.locked.Load())) <= takeUpTicks*in.cfg.Timing.Tick {
		return true
	}
	stated := in.stated.Load()
	in.mu.Lock()
	taken := in.taken
	in.mu.Unlock()
	takingUp := !taken.at.IsZero() && now.Sub(taken.at) <= takeUpTicks*in.cfg.Timing.Tick
	switch {
	case stated <= in.view.Load():
		return takingUp && taken.view == stated || now.Sub(time.Unix(0, in.begun.Load())) < earlyPoll
	case taken.view == stated && !takingUp:
		return false
	}
	in.askView()
	return stated > in.view.Load()
}
