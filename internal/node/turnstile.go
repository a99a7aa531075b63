package node

import (
	"errors"
	"sync"
	"time"

	"aval/internal/clock"
	"aval/suite"
)

const (
	// pushesMax is how many pushes of one peer are handled at once.
	pushesMax = 16
	// pushRefusedPause is how long the place of a push stays taken that was refused.
	pushRefusedPause = 4 * time.Second
)

var errPushes = errors.New("node: too many batches of yours are being handled, or were refused a moment ago")

// turnstile lets a few calls of each peer in at once. The place of one that was refused stays taken for a while, so that a peer
// that sends rubbish costs little. It is safe for concurrent use.
type turnstile struct {
	clock clock.Clock

	mu     sync.Mutex
	inside map[string]int // by peer. Invariant: 1 to pushesMax
}

func newTurnstile(c clock.Clock) *turnstile { return &turnstile{clock: c, inside: map[string]int{}} }

// enter takes a place for a call of a peer, or returns false; otherwise the caller calls leave.
func (t *turnstile) enter(peer suite.PublicKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[string(peer)] >= pushesMax {
		return false
	}
	t.inside[string(peer)]++
	return true
}

func (t *turnstile) leave(peer suite.PublicKey, refused bool) {
	if refused {
		t.clock.AfterFunc(pushRefusedPause, func() { t.free(peer) })
		return
	}
	t.free(peer)
}

func (t *turnstile) free(peer suite.PublicKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[string(peer)]--; t.inside[string(peer)] == 0 {
		delete(t.inside, string(peer))
	}
}
