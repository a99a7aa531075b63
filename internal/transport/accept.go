package transport

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"aval/suite"
)

// gate bounds the unfinished incoming handshakes, in all and from one address. When it is full the oldest one
// has to go, not the newest: an honest handshake takes milliseconds, so what has waited longest is most likely
// a stranger who holds the door open.
type gate struct {
	max, perAddressMax int

	mu         sync.Mutex
	open       *list.List // of *visitor, oldest first
	perAddress map[netip.Prefix]int
}

// visitor is one unfinished handshake.
type visitor struct {
	conn    net.Conn
	address netip.Prefix
	place   *list.Element // nil when it left or was thrown out
}

func newGate(max, perAddressMax int) *gate {
	return &gate{max: max, perAddressMax: perAddressMax, open: list.New(), perAddress: map[netip.Prefix]int{}}
}

// enter lets conn in and returns the visitor who must go for it, if any; the caller closes its connection.
func (g *gate) enter(conn net.Conn) (in, out *visitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in = &visitor{conn: conn, address: addressOf(conn)}
	switch {
	case g.perAddress[in.address] >= g.perAddressMax:
		out = g.oldest(func(v *visitor) bool { return v.address == in.address })
	case g.open.Len() >= g.max:
		out = g.oldest(func(*visitor) bool { return true })
	}
	if out != nil {
		g.remove(out)
	}
	in.place = g.open.PushBack(in)
	g.perAddress[in.address]++
	return in, out
}

// leave ends a visit. Leaving twice is no harm.
func (g *gate) leave(v *visitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(v)
}

func (g *gate) oldest(match func(*visitor) bool) *visitor {
	for e := g.open.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visitor); match(v) {
			return v
		}
	}
	return nil
}

func (g *gate) remove(v *visitor) {
	if v.place == nil {
		return
	}
	g.open.Remove(v.place)
	v.place = nil
	if g.perAddress[v.address]--; g.perAddress[v.address] == 0 {
		delete(g.perAddress, v.address)
	}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open.Len()
}

// addressOf returns the IPv4 address or IPv6 /64 of the other end, the zero prefix if it has none.
func addressOf(conn net.Conn) netip.Prefix {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// acceptPauseMax bounds the pause after a failed accept, as when the process is out of file descriptors.
const acceptPauseMax = time.Second

// acceptLoop takes connections until the listener closes.
func (t *Transport) acceptLoop(listener net.Listener) {
	pause := time.Millisecond
	for {
		raw, err := listener.Accept()
		if err != nil {
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			t.log.Error("accept failed", slog.Any("error", err), slog.Duration("pause", pause))
			if !sleep(t.ctx, pause) {
				return
			}
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = time.Millisecond
		in, out := t.gate.enter(raw)
		if out != nil {
			t.metrics.evicted.Inc()
			t.closeConn(out.conn)
		}
		t.wg.Go(func() { t.welcome(raw, in) })
	}
}

// welcome runs one incoming handshake.
func (t *Transport) welcome(raw net.Conn, v *visitor) {
	defer t.gate.leave(v)
	ctx, cancel := context.WithTimeout(t.ctx, t.limits.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { t.closeConn(raw) })
	l, p, err := t.greetAsListener(ctx, raw)
	if err == nil && !stop() {
		l.cancel(ctx.Err()) // The connection was closed in the last moment.
	}
	if err != nil {
		t.closeConn(raw)
		t.refused(p, raw.RemoteAddr(), err)
	}
}

// Refused is an incoming connection that did not become a link.
type Refused struct {
	// At is when, Address from where.
	At      time.Time
	Address string
	// Name and Key are of the peer if it proved its key, else empty.
	Name string
	Key  suite.PublicKey
	// Cause and Text are why.
	Cause Cause
	Text  string
}

// refusedMax is how many refusals are kept.
const refusedMax = 32

// refusals keeps the newest refusals and says which are worth a log line.
type refusals struct {
	mu       sync.Mutex
	recent   []Refused
	loggedAt map[Cause]time.Time
}

func (r *refusals) add(one Refused) (log bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.recent) == refusedMax {
		r.recent = append(r.recent[:0], r.recent[1:]...)
	}
	r.recent = append(r.recent, one)
	if last, ok := r.loggedAt[one.Cause]; ok && one.At.Sub(last) < time.Second {
		return false
	}
	r.loggedAt[one.Cause] = one.At
	return true
}

func (r *refusals) list() []Refused {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Refused(nil), r.recent...)
}

// refused records an incoming connection that failed; p is nil unless it proved its key.
func (t *Transport) refused(p *peer, addr net.Addr, err error) {
	t.metrics.refusal(causeOf(err))
	if errors.Is(err, errDuplicate) || t.ctx.Err() != nil {
		return
	}
	now := t.clock.Now()
	one := Refused{At: now, Address: addr.String(), Cause: causeOf(err), Text: clip(err.Error())}
	if p != nil {
		one.Name, one.Key = p.Name, p.Key
		p.noteError(now, err)
	}
	if t.refusals.add(one) {
		t.log.Warn("refused a peer link",
			slog.String("remote", one.Address), slog.String("peer", one.Name), slog.String("cause", one.Cause.String()), slog.Any("error", err))
	}
}
