package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"aval/suite"
)

const (
	readBufferBytes  = 64 << 10
	writeBufferBytes = 32 << 10
)

// link is one authenticated connection to a peer, from handshake to loss. It is never reused.
type link struct {
	t    *Transport
	peer *peer
	conn *tls.Conn
	raw  net.Conn
	// id is known to both ends and to nobody else until one of them names it to the other.
	id suite.Hash
	// instance is the peer's.
	instance [instanceBytes]byte
	dialed   bool

	// ctx ends with the link; its cause is why.
	ctx    context.Context
	cancel context.CancelCauseFunc

	out   *outbox
	in    [channelMax + 1]*inbox
	calls *callTable
	serve *serveTable

	// predecessor is closed when all handlers of the link that this one replaced have returned.
	predecessor <-chan struct{}
	// done is closed when all goroutines of this link have returned, handlers included.
	done chan struct{}
	// work counts the goroutines that handle messages and calls.
	work sync.WaitGroup

	// pingID and pingSentAt are of the newest ping, rtt of the newest one answered. Times are in ns since born,
	// so that a step of the machine's clock does no harm.
	born                    time.Time
	pingID, pingSentAt, rtt atomic.Int64
}

func newLink(t *Transport, p *peer, conn *tls.Conn, raw net.Conn) *link {
	l := &link{
		t: t, peer: p, conn: conn, raw: raw, born: time.Now(),
		out:   newOutbox(t.limits.QueueBytesMax, t.limits.QueueCountMax),
		calls: newCallTable(t.limits.CallsMax),
		serve: newServeTable(2*t.limits.CallsMax, t.limits.QueueBytesMax),
		done:  make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancelCause(t.ctx)
	for c := range l.in {
		l.in[c] = newInbox(t.limits.QueueBytesMax, t.limits.QueueCountMax)
	}
	return l
}

// run moves messages until the link ends and returns why. Handlers may still be running then; see done.
func (l *link) run() error {
	stop := context.AfterFunc(l.ctx, l.closeRaw)
	defer stop()
	var loops sync.WaitGroup
	for _, loop := range []func() error{l.readLoop, l.writeLoop, l.pingLoop} {
		loops.Go(func() { l.cancel(loop()) })
	}
	loops.Wait()
	err := context.Cause(l.ctx)
	l.calls.close()
	for c, n := range l.out.close() {
		l.t.metrics.drop(l.peer, Channel(c), dropLinkLost, n)
	}
	return err
}

// finish waits for the handlers, those of the links before included, and marks the link as gone.
func (l *link) finish() {
	l.work.Wait()
	for c, in := range l.in {
		l.t.metrics.drop(l.peer, Channel(c), dropLinkLost, in.size())
	}
	<-l.predecessor
	close(l.done)
}

// closeRaw closes the socket under TLS: a close that waits for a stuck peer would be no close.
func (l *link) closeRaw() {
	if err := l.raw.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		l.t.log.Debug("close of a peer link failed", slog.String("peer", l.peer.label), slog.Any("error", err))
	}
}

// deadlineConn gives every read and write of the link its own deadline.
type deadlineConn struct {
	conn        *tls.Conn
	read, write time.Duration
}

func (d deadlineConn) Read(b []byte) (int, error) {
	if err := d.conn.SetReadDeadline(time.Now().Add(d.read)); err != nil {
		return 0, err
	}
	return d.conn.Read(b)
}

func (d deadlineConn) Write(b []byte) (int, error) {
	if err := d.conn.SetWriteDeadline(time.Now().Add(d.write)); err != nil {
		return 0, err
	}
	return d.conn.Write(b)
}

func (l *link) deadlines() deadlineConn {
	return deadlineConn{l.conn, l.t.limits.PeerTimeout, l.t.limits.WriteTimeout}
}

// writeLoop writes what the outbox holds, flushing when it is empty.
func (l *link) writeLoop() error {
	w := bufio.NewWriterSize(l.deadlines(), writeBufferBytes)
	var head [headerBytes]byte
	for {
		h, chunk, ok := l.out.take()
		if !ok {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("transport: write: %w", err)
			}
			select {
			case <-l.out.ready:
				continue
			case <-l.ctx.Done():
				return context.Cause(l.ctx)
			}
		}
		h.encode(&head)
		if _, err := w.Write(head[:]); err != nil {
			return fmt.Errorf("transport: write: %w", err)
		}
		if _, err := w.Write(chunk); err != nil {
			return fmt.Errorf("transport: write: %w", err)
		}
		l.t.metrics.sent(l.peer, h)
	}
}

// readLoop reads frames and hands them on. It never waits for a handler, so that pings are always answered.
func (l *link) readLoop() error {
	r := bufio.NewReaderSize(l.deadlines(), readBufferBytes)
	var raw [headerBytes]byte
	var parts assembler
	for {
		if _, err := io.ReadFull(r, raw[:]); err != nil {
			return readError(err)
		}
		h, err := decodeHeader(&raw)
		if err != nil {
			return err
		}
		if h.channel == Consensus && l.peer.Observer {
			return refuse(CauseProtocol, "an observer sent on the consensus channel")
		}
		room, err := parts.room(h)
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(r, room); err != nil {
			return readError(err)
		}
		l.t.metrics.received(l.peer, h)
		if body, complete := parts.finish(h); complete {
			if err := l.receive(h, body); err != nil {
				return err
			}
		}
	}
}

func readError(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(CauseTransport, "the peer closed the link")
	case errors.As(err, &timeout) && timeout.Timeout():
		return refuse(CauseTransport, "nothing arrived from the peer for too long")
	}
	return fmt.Errorf("transport: read: %w", err)
}

// receive acts on one complete message.
func (l *link) receive(h header, body []byte) error {
	switch h.kind {
	case kindMessage:
		l.deliver(h.channel, body)
	case kindRequest:
		return l.serveCall(h, body)
	case kindResponse:
		l.calls.answer(h, body, nil)
	case kindError:
		l.calls.answer(h, nil, &RemoteError{Text: clip(string(body))})
	case kindCancel:
		l.serve.cancel(h.id)
	case kindPing:
		l.out.sendPong(h.id)
	case kindPong:
		if h.id == uint64(l.pingID.Load()) {
			l.rtt.Store(int64(time.Since(l.born)) - l.pingSentAt.Load())
		}
	}
	return nil
}

// pingLoop shows the peer that we live, and makes it show the same.
func (l *link) pingLoop() error {
	ticker := time.NewTicker(l.t.limits.PingInterval)
	defer ticker.Stop()
	for {
		l.pingSentAt.Store(int64(time.Since(l.born)))
		l.out.sendPing(uint64(l.pingID.Add(1)))
		select {
		case <-ticker.C:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
}
