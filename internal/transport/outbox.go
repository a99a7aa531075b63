package transport

import (
	"context"
	"errors"
	"sync"
)

// item is one message that waits to be written.
type item struct {
	kind kind
	id   uint64
	arg  uint32
	body []byte
}

// lane is what waits on one channel, in order.
type lane struct {
	items []item
	// sent is how much of items[0] is written. Invariant: sent < len(items[0].body) or sent == 0.
	sent int
	// bytes is the sum of the bodies in items.
	bytes int
	// space is signalled when the lane shrinks.
	space chan struct{}
}

// outbox holds what waits to be written on one link. Its owner is the link; any goroutine may push, one takes.
type outbox struct {
	bytesMax, countMax int
	// ready is signalled when there may be something to take.
	ready chan struct{}

	mu sync.Mutex
	// pings holds at most one ping and one pong: a newer one replaces an older.
	ping, pong uint64
	lanes      [channelMax + 1]lane
	// turn is the channel that was served last among those without priority.
	turn   Channel
	closed bool
}

func newOutbox(bytesMax, countMax int) *outbox {
	o := &outbox{bytesMax: bytesMax, countMax: countMax, ready: make(chan struct{}, 1), turn: Consensus}
	for i := range o.lanes {
		o.lanes[i].space = make(chan struct{}, 1)
	}
	return o
}

// push queues it on channel c, or returns ErrQueueFull or ErrNotConnected. It never blocks.
// An empty lane takes any message, so that a bound below FrameBytesMax cannot make one impossible to send.
func (o *outbox) push(c Channel, it item) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrNotConnected
	}
	l := &o.lanes[c]
	if len(l.items) >= o.countMax || (len(l.items) > 0 && l.bytes+len(it.body) > o.bytesMax) {
		return ErrQueueFull
	}
	l.items = append(l.items, it)
	l.bytes += len(it.body)
	signal(o.ready)
	return nil
}

// pushWait is push that waits for room until ctx ends.
func (o *outbox) pushWait(ctx context.Context, c Channel, it item) error {
	for {
		err := o.push(c, it)
		if !errors.Is(err, ErrQueueFull) {
			signal(o.lanes[c].space) // Others may wait for the room that is left.
			return err
		}
		select {
		case <-o.lanes[c].space:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sendPing and sendPong queue a control frame, ahead of everything.
func (o *outbox) sendPing(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ping = id
	signal(o.ready)
}

func (o *outbox) sendPong(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pong = id
	signal(o.ready)
}

// take returns the next chunk to write: control frames, then consensus, then the other channels in turn.
func (o *outbox) take() (h header, chunk []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pong != 0 {
		h, o.pong = header{kind: kindPong, id: o.pong}, 0
		return h, nil, true
	}
	if o.ping != 0 {
		h, o.ping = header{kind: kindPing, id: o.ping}, 0
		return h, nil, true
	}
	c, ok := o.pick()
	if !ok {
		return header{}, nil, false
	}
	l := &o.lanes[c]
	it := &l.items[0]
	chunk = it.body[l.sent:min(len(it.body), l.sent+ChunkBytes)]
	h = header{kind: it.kind, channel: c, chunk: uint32(len(chunk)), total: uint32(len(it.body)), arg: it.arg, id: it.id}
	l.sent += len(chunk)
	if l.sent == len(it.body) {
		l.bytes -= len(it.body)
		l.sent = 0
		l.items[0] = item{}
		l.items = l.items[1:]
		signal(l.space)
	}
	return h, chunk, true
}

// pick chooses the channel to serve next.
func (o *outbox) pick() (Channel, bool) {
	if len(o.lanes[Consensus].items) > 0 {
		return Consensus, true
	}
	for i := Channel(1); i <= channelMax; i++ {
		c := (o.turn+i-1)%channelMax + 1
		if len(o.lanes[c].items) > 0 {
			o.turn = c
			return c, true
		}
	}
	return 0, false
}

// close refuses further messages and forgets those that wait. It returns how many one-way messages it forgot.
func (o *outbox) close() (forgotten [channelMax + 1]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for c := range o.lanes {
		l := &o.lanes[c]
		for _, it := range l.items {
			if it.kind == kindMessage {
				forgotten[c]++
			}
		}
		l.items, l.bytes, l.sent = nil, 0, 0
		signal(l.space)
	}
	return forgotten
}

// size returns what waits, over all channels.
func (o *outbox) size() (count, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.lanes {
		count += len(o.lanes[c].items)
		bytes += o.lanes[c].bytes
	}
	return count, bytes
}

// signal makes a channel of capacity one readable.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
