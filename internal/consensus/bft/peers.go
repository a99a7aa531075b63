package bft

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"aval/ledger"
)

// peers is what the others were last heard to say. Its methods are safe for concurrent use.
type peers struct {
	mu   sync.Mutex
	self uint16
	set  ledger.ValidatorSet
	// known holds one entry for each validator, by index; our own stays empty.
	known []peer
}

type peer struct {
	heard time.Time
	epoch uint64
	head  ledger.Height
	stand stand
	// asked is the view that it last asked to change to, askedAt when.
	asked   uint64
	askedAt time.Time
}

func newPeers(self uint16, set ledger.ValidatorSet) *peers {
	return &peers{self: self, set: set, known: make([]peer, len(set))}
}

// hear notes a message; p is nil unless it was a pulse.
func (ps *peers) hear(from uint16, epoch uint64, p *pulse) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if int(from) >= len(ps.known) || from == ps.self {
		return
	}
	k := &ps.known[from]
	k.heard, k.epoch = time.Now(), epoch
	if p != nil {
		k.head, k.stand = p.Head, p.stand
	}
}

// asks notes that a validator asks to change to a view.
func (ps *peers) asks(from uint16, next uint64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if int(from) < len(ps.known) && from != ps.self {
		ps.known[from].asked, ps.known[from].askedAt = next, time.Now()
	}
}

// asked returns the highest view to which f+1 others have asked to change since a time, or to a higher one.
func (ps *peers) asked(since time.Time) uint64 {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var views []uint64
	for i := range ps.known {
		if !ps.known[i].askedAt.Before(since) {
			views = append(views, ps.known[i].asked)
		}
	}
	return nthHighest(views, ps.set.Faulty())
}

// heard returns how many others were heard since a time, and the names of those who were not.
func (ps *peers) heard(since time.Time) (n int, missing []string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for i := range ps.known {
		switch {
		case i == int(ps.self):
		case ps.known[i].heard.Before(since):
			missing = append(missing, ps.set[i].Name)
		default:
			n++
		}
	}
	return n, missing
}

// vouched is the state that at least one honest validator has reached, as far as is known.
type vouched struct {
	epoch uint64
	head  ledger.Height
	view  uint64
	// claimed is the highest head that anybody reported.
	claimed ledger.Height
}

// vouched returns, for each number, the highest that f+1 others reported at or above.
func (ps *peers) vouched() vouched {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var epochs, heads, views []uint64
	for i := range ps.known {
		if i != int(ps.self) && !ps.known[i].heard.IsZero() {
			epochs = append(epochs, ps.known[i].epoch)
			heads = append(heads, uint64(ps.known[i].head))
			views = append(views, ps.known[i].stand.View)
		}
	}
	f := ps.set.Faulty()
	return vouched{epoch: nthHighest(epochs, f), head: ledger.Height(nthHighest(heads, f)), view: nthHighest(views, f),
		claimed: ledger.Height(nthHighest(heads, 0))}
}

// agreed returns f+1 others and where they say they stand: in one place if so many agree on it, else nowhere.
func (ps *peers) agreed() ([]uint16, stand) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var others []uint16
	for i := range uint16(len(ps.known)) {
		if i != ps.self {
			others = append(others, i)
		}
	}
	enough := ps.set.Faulty() + 1
	for _, i := range others {
		at := ps.known[i].stand
		same := slices.DeleteFunc(slices.Clone(others), func(k uint16) bool {
			return ps.known[k].heard.IsZero() || ps.known[k].stand != at
		})
		if len(same) >= enough {
			return same[:enough], at
		}
	}
	return others[:enough], stand{}
}

// nthHighest returns the value with n others at or above it, 0 if there are too few.
func nthHighest(values []uint64, n int) uint64 {
	if len(values) <= n {
		return 0
	}
	slices.Sort(values)
	return values[len(values)-1-n]
}

// quorumCause says why no quorum can be reached, or "" if enough others were heard since a time.
func (ps *peers) quorumCause(since time.Time, window time.Duration) string {
	n, missing := ps.heard(since)
	if n+1 >= ps.set.Quorum() {
		return ""
	}
	return fmt.Sprintf("quorum lost: heard from %d of %d others in the last %s: missing %s",
		n, len(ps.set)-1, window, strings.Join(missing, ", "))
}

// Bounds of what waits from one peer. What does not fit is dropped, as if the link had lost it.
const (
	inboxCountMax = 2048
	inboxBytesMax = 48 << 20
)

// inbox is a queue of messages from one peer, in order. The kernel takes messages one by one and may block; the link
// must not.
type inbox struct {
	mu     sync.Mutex
	queue  []parcel
	bytes  int
	closed bool
	wake   chan struct{}
}

type parcel struct {
	message *smartbftprotos.Message
	bytes   int
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put queues a message and reports whether there was room.
func (b *inbox) put(p parcel) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.queue) >= inboxCountMax || b.bytes+p.bytes > inboxBytesMax {
		return false
	}
	b.queue = append(b.queue, p)
	b.bytes += p.bytes
	b.poke()
	return true
}

// take returns the next message, if there is one within wait; 0: for ever. It returns open false after close.
func (b *inbox) take(wait time.Duration) (p parcel, got, open bool) {
	var timeout <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return parcel{}, false, false
		}
		if len(b.queue) > 0 {
			p := b.queue[0]
			b.queue[0] = parcel{}
			b.queue = b.queue[1:]
			b.bytes -= p.bytes
			b.mu.Unlock()
			return p, true, true
		}
		b.mu.Unlock()
		select {
		case <-b.wake:
		case <-timeout:
			return parcel{}, false, true
		}
	}
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.poke()
}

func (b *inbox) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
