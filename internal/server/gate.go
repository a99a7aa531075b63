package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// gate bounds the open connections. When there are too many, or when what was sent of bodies takes too much memory, somebody has
// to go who holds a connection without asking anything: never one whose request is whole and being answered. First goes
// who has never asked, the longest here first; then who is between two requests. An honest request takes
// milliseconds to arrive, so what has waited longest is most likely a stranger who holds the door open.
type gate struct {
	max, bytesMax int

	mu   sync.Mutex
	room *sync.Cond
	open int
	// strangers have not had a request answered yet, guests have. Both are oldest first and hold those that are not being served.
	strangers, guests list.List
	bytes             int // of bodies that are not whole yet
	closed            bool
	evicted           uint64
}

// visitor is one open connection.
type visitor struct {
	net.Conn
	gate *gate
	// place is where the visitor stands in line to be thrown out; nil while it is served and when it is gone.
	place *list.Element
	line  *list.List
	bytes int
	known bool
	gone  bool
}

func newGate(max, bytesMax int) *gate {
	g := &gate{max: max, bytesMax: bytesMax}
	g.room = sync.NewCond(&g.mu)
	return g
}

// gatedListener lets connections in through a gate.
type gatedListener struct {
	net.Listener
	gate *gate
}

// Accept implements net.Listener. It waits while every place is taken by somebody who is being served.
func (l *gatedListener) Accept() (net.Conn, error) {
	if !l.gate.await() {
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.gate.enter(conn), nil
}

// Close implements net.Listener.
func (l *gatedListener) Close() error {
	l.gate.mu.Lock()
	l.gate.closed = true
	l.gate.room.Broadcast()
	l.gate.mu.Unlock()
	return l.Listener.Close()
}

// await waits until there is a place, or somebody who may be thrown out of one. It returns false once the gate is closed.
func (g *gate) await() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.closed && g.open >= g.max && g.strangers.Len()+g.guests.Len() == 0 {
		g.room.Wait()
	}
	return !g.closed
}

func (g *gate) enter(conn net.Conn) *visitor {
	g.mu.Lock()
	var out *visitor
	if g.open >= g.max {
		out = g.throwOut(nil)
	}
	v := &visitor{Conn: conn, gate: g}
	g.open++
	g.stand(v)
	g.mu.Unlock()
	out.hangUp()
	return v
}

// stand puts v in line. The caller holds mu.
func (g *gate) stand(v *visitor) {
	v.line = &g.strangers
	if v.known {
		v.line = &g.guests
	}
	v.place = v.line.PushBack(v)
	g.room.Signal()
}

// leaveLine takes v out of line. The caller holds mu.
func (g *gate) leaveLine(v *visitor) {
	if v.place != nil {
		v.line.Remove(v.place)
		v.place = nil
	}
}

// throwOut takes out of line who has to go of those for whom fit holds; nil if there is none. The caller holds mu, and then hangs up.
func (g *gate) throwOut(fit func(*visitor) bool) *visitor {
	for _, line := range []*list.List{&g.strangers, &g.guests} {
		for e := line.Front(); e != nil; e = e.Next() {
			if v := e.Value.(*visitor); fit == nil || fit(v) {
				g.leaveLine(v)
				g.forget(v)
				g.evicted++
				return v
			}
		}
	}
	return nil
}

// forget gives v's place and bytes free, once. The caller holds mu.
func (g *gate) forget(v *visitor) {
	if !v.gone {
		v.gone = true
		g.open--
		g.bytes -= v.bytes
		g.room.Signal()
	}
}

// hangUp closes the connection of who was thrown out.
func (v *visitor) hangUp() {
	if v != nil {
		_ = v.Conn.Close() // whatever became of it
	}
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.gate.mu.Lock()
	v.gate.leaveLine(v)
	v.gate.forget(v)
	v.gate.mu.Unlock()
	return v.Conn.Close()
}

// grow notes that so many more bytes of a body have come, and has those with unfinished bodies go, the oldest first, while all of
// them together take too much. It returns false if v itself has to. One body alone always has room.
func (v *visitor) grow(n int) bool {
	g := v.gate
	var out []*visitor
	g.mu.Lock()
	v.bytes += n
	if v.gone {
		g.mu.Unlock()
		return false
	}
	g.bytes += n
	for g.bytes > g.bytesMax && g.bytes > v.bytes && !v.gone {
		other := g.throwOut(func(o *visitor) bool { return o.bytes > 0 })
		if other == nil {
			break
		}
		out = append(out, other)
	}
	stays := !v.gone
	g.mu.Unlock()
	for _, o := range out {
		o.hangUp()
	}
	return stays
}

// served takes v out of line until the request, which has come whole, is answered.
func (v *visitor) served() {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.gate.leaveLine(v)
	v.gate.bytes -= v.bytes
	v.bytes = 0
}

// answered puts v back in line.
func (v *visitor) answered() {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	if v.known = true; !v.gone && v.place == nil {
		v.gate.stand(v)
	}
}

// count returns how many connections are open, and how many were thrown out.
func (g *gate) count() (open int, evicted uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.evicted
}

type visitorKey struct{}

// withVisitor has requests know their connection.
func withVisitor(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, c)
}

// visitorOf returns the connection of a request, nil if it did not come through a gate.
func visitorOf(r *http.Request) *visitor {
	v, _ := r.Context().Value(visitorKey{}).(*visitor)
	return v
}
