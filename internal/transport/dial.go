package transport

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
)

// dialLoop keeps a link with p until the transport closes. The pause between attempts doubles, and starts over
// when a link has lasted.
func (t *Transport) dialLoop(p *peer) {
	pause := time.Duration(0)
	for sleep(t.ctx, jitter(pause)) {
		linked := time.Now()
		if !p.waitUntil(t.ctx, false) {
			return
		}
		if time.Since(linked) > t.limits.RedialMax {
			pause = 0
		}
		if !p.preferOurs && !t.unlinkedFor(p, t.courtesy()) {
			continue
		}
		if err := t.dial(p); err != nil && t.ctx.Err() == nil {
			t.dialFailed(p, err)
		}
		pause = min(max(2*pause, t.limits.RedialMin), t.limits.RedialMax)
	}
}

// courtesy is how long the side with the larger key waits for the other to dial: without it two nodes that
// lose their link would each open one, and one of the two would be closed again.
func (t *Transport) courtesy() time.Duration { return 3 * t.limits.RedialMin }

// unlinkedFor waits and reports whether p still has no link.
func (t *Transport) unlinkedFor(p *peer, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(t.ctx, d)
	defer cancel()
	return !p.waitUntil(ctx, true) && t.ctx.Err() == nil
}

// dialFailed records a failed attempt.
func (t *Transport) dialFailed(p *peer, err error) {
	t.metrics.refusal(causeOf(err))
	if errors.Is(err, errDuplicate) || causeOf(err) == CauseDuplicate {
		return
	}
	if p.noteError(t.clock.Now(), err) {
		t.log.Warn("cannot reach a peer",
			slog.String("peer", p.label), slog.String("address", p.Address), slog.String("cause", causeOf(err).String()), slog.Any("error", err))
	}
}

// dialTCP is the default of Config.Dial.
func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// jitter returns a duration between half of d and d, so that nodes do not dial in step.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// sleep waits for d. It returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
