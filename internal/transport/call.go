package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// answer is what a call ends with.
type answer struct {
	body []byte
	err  error
}

// pending is one of our calls that waits for its answer.
type pending struct {
	channel Channel
	result  chan answer // capacity 1
}

// callTable holds our unanswered calls on one link.
type callTable struct {
	// slots bound the calls in flight, per channel.
	slots [channelMax + 1]chan struct{}

	mu     sync.Mutex
	lastID uint64
	open   map[uint64]pending
	closed bool
}

func newCallTable(callsMax int) *callTable {
	t := &callTable{open: map[uint64]pending{}}
	for c := range t.slots {
		t.slots[c] = make(chan struct{}, callsMax)
	}
	return t
}

func (t *callTable) add(c Channel) (uint64, chan answer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, nil, ErrNotConnected
	}
	t.lastID++
	result := make(chan answer, 1)
	t.open[t.lastID] = pending{c, result}
	return t.lastID, result, nil
}

func (t *callTable) remove(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
}

// answer ends the call that h answers. Answers to calls given up are ignored.
func (t *callTable) answer(h header, body []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.open[h.id]
	if !ok || p.channel != h.channel {
		return
	}
	delete(t.open, h.id)
	p.result <- answer{body, err}
}

// close ends all calls with ErrLinkLost.
func (t *callTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for id, p := range t.open {
		delete(t.open, id)
		p.result <- answer{nil, ErrLinkLost}
	}
}

// call sends a request and waits for its answer until ctx ends, which must have a deadline.
func (l *link) call(ctx context.Context, c Channel, req []byte) ([]byte, error) {
	select {
	case l.calls.slots[c] <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("transport: too many calls to the peer: %w", ctx.Err())
	case <-l.ctx.Done():
		return nil, ErrNotConnected
	}
	defer func() { <-l.calls.slots[c] }()
	id, result, err := l.calls.add(c)
	if err != nil {
		return nil, err
	}
	defer l.calls.remove(id)
	left, ok := timeLeft(ctx)
	if !ok {
		return nil, context.DeadlineExceeded
	}
	if err := l.out.pushWait(ctx, c, item{kind: kindRequest, id: id, arg: left, body: req}); err != nil {
		return nil, err
	}
	select {
	case a := <-result:
		return a.body, a.err
	case <-ctx.Done():
		// A cancel that finds no room is not missed: the deadline in the request ends the work as well.
		if err := l.out.push(c, item{kind: kindCancel, id: id}); err != nil {
			l.t.metrics.drop(l.peer, c, dropQueueFull, 1)
		}
		return nil, ctx.Err()
	}
}

// timeLeft returns the milliseconds until ctx ends, at least one, as the request's argument.
func timeLeft(ctx context.Context) (uint32, bool) {
	deadline, ok := ctx.Deadline()
	left := time.Until(deadline)
	if !ok || left <= 0 {
		return 0, false
	}
	ms := left.Milliseconds() + 1
	return uint32(min(ms, math.MaxUint32)), true
}

// serveTable holds the peer's calls that run here. It bounds their number per channel, and over all channels the
// bytes of the requests that are being handled and of the answers that wait to be written.
type serveTable struct {
	perChannelMax, bytesMax int

	mu      sync.Mutex
	running [channelMax + 1]int
	cancels map[uint64]context.CancelFunc
	bytes   int
}

func newServeTable(perChannelMax, bytesMax int) *serveTable {
	return &serveTable{perChannelMax: perChannelMax, bytesMax: bytesMax, cancels: map[uint64]context.CancelFunc{}}
}

// begin takes a place for a request. ok is false if there is none.
func (t *serveTable) begin(h header, cancel context.CancelFunc) (ok bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.cancels[h.id]; taken {
		return false, refuse(CauseProtocol, "call id %d is in use", h.id)
	}
	if t.running[h.channel] >= t.perChannelMax || !t.takeLocked(int(h.total)) {
		return false, nil
	}
	t.running[h.channel]++
	t.cancels[h.id] = cancel
	return true, nil
}

// turn gives back the room of the request and takes that of its answer, if there is any.
func (t *serveTable) turn(h header, answerBytes int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes -= int(h.total)
	return t.takeLocked(answerBytes)
}

// takeLocked takes room for n bytes. There always is if nothing else is held, so that none is too large for ever.
func (t *serveTable) takeLocked(n int) bool {
	if t.bytes > 0 && t.bytes+n > t.bytesMax {
		return false
	}
	t.bytes += n
	return true
}

// end gives back the place of a call and the room of its answer.
func (t *serveTable) end(h header, answerBytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes -= answerBytes
	t.running[h.channel]--
	delete(t.cancels, h.id)
}

func (t *serveTable) cancel(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cancel, ok := t.cancels[id]; ok {
		cancel()
	}
}

var (
	errBusy       = errors.New("too many calls at once")
	errNoHandler  = errors.New("nothing answers on this channel")
	errLargeReply = errors.New("the answer is too large")
)

// serveCall starts the handler of a request in a goroutine of its own. Called by the read loop only.
func (l *link) serveCall(h header, req []byte) error {
	handler := l.t.handlers.call(h.channel)
	if handler == nil {
		l.replyError(h, errNoHandler)
		return nil
	}
	limit := min(time.Duration(h.arg)*time.Millisecond, callTimeoutFactor*l.t.limits.CallTimeout)
	ctx, cancel := context.WithTimeout(l.ctx, limit)
	ok, err := l.serve.begin(h, cancel)
	if err != nil || !ok {
		cancel()
		if err == nil {
			l.replyError(h, errBusy)
		}
		return err
	}
	l.work.Go(func() {
		defer cancel()
		res, err := handler(ctx, l.peer.Peer, req)
		l.reply(ctx, h, res, err)
	})
	return nil
}

// reply queues the answer, waiting for room as long as the caller waits, and ends the call. If too many answers wait
// already the peer does not read them, and gets an error instead of one more.
func (l *link) reply(ctx context.Context, h header, res []byte, err error) {
	if err == nil && len(res) > FrameBytesMax {
		err = errLargeReply
	}
	it := item{kind: kindResponse, id: h.id, body: res}
	if err != nil {
		it = errorItem(h, err)
	}
	size := len(it.body)
	if !l.serve.turn(h, size) {
		it, size = errorItem(h, errBusy), 0
	}
	if err := l.out.pushWait(ctx, h.channel, it); err != nil {
		l.t.metrics.drop(l.peer, h.channel, dropQueueFull, 1)
	}
	l.serve.end(h, size)
}

func errorItem(h header, err error) item {
	return item{kind: kindError, id: h.id, body: []byte(clip(err.Error()))}
}

// replyError answers without waiting: the read loop must not.
func (l *link) replyError(h header, err error) {
	if err := l.out.push(h.channel, errorItem(h, err)); err != nil {
		l.t.metrics.drop(l.peer, h.channel, dropQueueFull, 1)
	}
}
