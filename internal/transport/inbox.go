package transport

import (
	"context"
	"sync"
	"time"
)

// arrival is one message that waits for its handler.
type arrival struct {
	body []byte
	at   time.Time
}

// inbox holds the one-way messages of one channel of one link, in order of arrival.
type inbox struct {
	bytesMax, countMax int
	ready              chan struct{}

	mu      sync.Mutex
	items   []arrival
	bytes   int
	started bool
}

func newInbox(bytesMax, countMax int) *inbox {
	return &inbox{bytesMax: bytesMax, countMax: countMax, ready: make(chan struct{}, 1)}
}

// push queues a message. ok is false if there is no room; first is true for the first message ever.
func (b *inbox) push(a arrival) (ok, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) >= b.countMax || (len(b.items) > 0 && b.bytes+len(a.body) > b.bytesMax) {
		return false, false
	}
	b.items = append(b.items, a)
	b.bytes += len(a.body)
	first, b.started = !b.started, true
	signal(b.ready)
	return true, first
}

func (b *inbox) pop() (arrival, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 {
		return arrival{}, false
	}
	a := b.items[0]
	b.items[0] = arrival{}
	b.items = b.items[1:]
	b.bytes -= len(a.body)
	return a, true
}

// size returns how many messages wait.
func (b *inbox) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

type receivedKey struct{}

// ReceivedAt returns when the message that a handler was called with had arrived whole, by Config.Clock.
// It returns false for a context that is not a one-way handler's.
func ReceivedAt(ctx context.Context) (time.Time, bool) {
	at, ok := ctx.Value(receivedKey{}).(time.Time)
	return at, ok
}

// deliver queues a one-way message for its handler. Called by the read loop only.
func (l *link) deliver(c Channel, body []byte) {
	if l.t.handlers.oneWay(c) == nil {
		l.t.metrics.drop(l.peer, c, dropNoHandler, 1)
		return
	}
	ok, first := l.in[c].push(arrival{body, l.t.clock.Now()})
	if !ok {
		l.t.metrics.drop(l.peer, c, dropInboxFull, 1)
		return
	}
	if first {
		l.work.Go(func() { l.dispatch(c) })
	}
}

// dispatch calls the handler for one message after another. It starts only when the handlers of the link that
// this one replaced have returned, so that the messages of a peer are handled one at a time and in order.
func (l *link) dispatch(c Channel) {
	select {
	case <-l.predecessor:
	case <-l.ctx.Done():
		return
	}
	for l.ctx.Err() == nil {
		a, ok := l.in[c].pop()
		if ok {
			l.t.handlers.oneWay(c)(context.WithValue(l.ctx, receivedKey{}, a.at), l.peer.Peer, a.body)
			continue
		}
		select {
		case <-l.in[c].ready:
		case <-l.ctx.Done():
			return
		}
	}
}
