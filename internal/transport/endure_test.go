package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aval/suite"
)

// TestReconnectAfterRestart restarts a node on the same address, twice, and wants the link back soon each time.
func TestReconnectAfterRestart(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		n.up()
		a, b := n.nodes[0], n.nodes[1]
		for round := range 2 {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			waitLink(t, a.Transport, b.signer.Public(), false)
			if st := a.Status()[0]; st.LastError == "" || st.Since.IsZero() {
				t.Errorf("status after the loss: %+v", st)
			}
			b.cfg.Listener = openListener(t, b.addr)
			n.build(b)
			got := newCollector()
			b.Handle(Consensus, got.handle)
			n.start(b)
			began := time.Now()
			waitLink(t, a.Transport, b.signer.Public(), true)
			waitLink(t, b.Transport, a.signer.Public(), true)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("round %d: the link took %v to come back", round, took)
			}
			poll(t, "a message arrives", func() bool {
				if err := a.Send(b.signer.Public(), Consensus, []byte("hello")); err != nil && !errors.Is(err, ErrNotConnected) {
					t.Fatal(err)
				}
				return len(got.list()) > 0
			})
		}
	})
}

// TestBothDial lets two nodes without courtesy dial each other at once, again and again: each time they must end
// with one and the same link.
func TestBothDial(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		a.cfg.Peers = []Peer{{Key: b.signer.Public(), Name: "b"}} // No address: the dial loops stay away.
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		n.build(a)
		n.build(b)
		pa, pb := a.ordered[0], b.ordered[0]
		pa.Address, pb.Address = b.addr, a.addr
		n.start(a)
		n.start(b)
		done := make(chan struct{}, 2)
		go func() { ignoreDuplicate(t, a.dial(pa)); done <- struct{}{} }()
		go func() { ignoreDuplicate(t, b.dial(pb)); done <- struct{}{} }()
		receiveOne(t, done)
		receiveOne(t, done)
		poll(t, "both hold the same link", func() bool {
			la, _ := pa.current()
			lb, _ := pb.current()
			return la != nil && lb != nil && la.id == lb.id
		})
		if _, err := a.Call(t.Context(), b.signer.Public(), Request, nil); err == nil || !strings.Contains(err.Error(), errNoHandler.Error()) {
			t.Errorf("call over the link: %v", err)
		}
		for _, node := range n.nodes {
			if err := node.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// ignoreDuplicate fails on any error but those of a link that lost to another.
func ignoreDuplicate(t *testing.T, err error) {
	if err != nil && causeOf(err) != CauseDuplicate && causeOf(err) != CauseTransport {
		t.Errorf("dial: %v", err)
	}
}

// TestAdmit goes through the cases of two links with one peer.
func TestAdmit(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, s)
	p := a.ordered[0]
	cur, _ := p.current()
	same := claim{Instance: b.instance[:]}
	for _, c := range []struct {
		name   string
		theirs claim
		dialed bool
		want   bool
	}{
		{"a new instance", claim{Instance: make([]byte, instanceBytes)}, !cur.dialed, true},
		{"the peer lost the link", claim{Instance: b.instance[:], Lost: cur.id}, !cur.dialed, true},
		{"dialed by the same side again", same, cur.dialed, true},
		{"dialed by the smaller key", same, p.preferOurs, true},
	} {
		if got := p.wouldAdmit(c.theirs, c.dialed); got != c.want {
			t.Errorf("%s: admitted=%v", c.name, got)
		}
	}
	p.preferOurs = cur.dialed
	if p.wouldAdmit(same, !cur.dialed) {
		t.Error("the other side's link is admitted against the rule")
	}
}

// TestReplacedLinkKeepsOrder replaces a link while its handler still runs. The new link's messages must wait.
func TestReplacedLinkKeepsOrder(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		n.build(b)
		entered, release := make(chan string, 3), make(chan struct{})
		var running atomic.Int32
		b.Handle(Consensus, func(_ context.Context, _ Peer, msg []byte) {
			if running.Add(1) != 1 {
				t.Error("two handlers of one peer at once")
			}
			entered <- string(msg)
			<-release
			running.Add(-1)
		})
		answered := make(chan struct{}, 3)
		b.HandleCall(Request, func(context.Context, Peer, []byte) ([]byte, error) {
			answered <- struct{}{}
			return nil, nil
		})
		n.start(b)
		var last *puppet
		for i := range byte(3) {
			p := newPuppet(t, b, a.signer)
			p.claim.Instance[0] = i
			p.link()
			p.frame(header{kind: kindMessage, channel: Consensus, chunk: 1, total: 1}, []byte{'0' + i})
			p.frame(header{kind: kindRequest, channel: Request, id: 1, arg: 1000}, nil)
			receiveOne(t, answered) // So that the message was read before the next link comes.
			if last != nil {
				last.drain()
			} else if got := receiveOne(t, entered); got != "0" {
				t.Errorf("first message %q", got)
			}
			last = p
		}
		close(release)
		if got := receiveOne(t, entered); got != "2" {
			t.Errorf("after the first message came %q, not that of the newest link", got)
		}
	})
}

// TestSilentPeer links a peer that never says anything, not even to pings.
func TestSilentPeer(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		b.cfg.Limits.PingInterval, b.cfg.Limits.PeerTimeout = 20*time.Millisecond, 200*time.Millisecond
		n.build(b)
		n.start(b)
		p := newPuppet(t, b, a.signer).link()
		p.drain()
		waitLink(t, b.Transport, a.signer.Public(), false)
		if last := b.Status()[0].LastError; !strings.Contains(last, "nothing arrived") {
			t.Errorf("the link ended with %q", last)
		}
	})
}

// TestStuckPeer links a peer that talks but does not read: writes must time out, sends must not block.
func TestStuckPeer(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		b.cfg.Limits.WriteTimeout, b.cfg.Limits.PeerTimeout = 200*time.Millisecond, time.Minute
		b.cfg.Limits.QueueCountMax = 8
		n.build(b)
		n.start(b)
		newPuppet(t, b, a.signer).link()
		waitLink(t, b.Transport, a.signer.Public(), true)
		payload := make([]byte, 4<<20)
		full := 0
		for range 64 {
			if errors.Is(b.Send(a.signer.Public(), Consensus, payload), ErrQueueFull) {
				full++
			}
		}
		if full == 0 {
			t.Error("256 MiB fitted the queue")
		}
		waitLink(t, b.Transport, a.signer.Public(), false)
		if last := b.Status()[0].LastError; !strings.Contains(last, "write") {
			t.Errorf("the link ended with %q", last)
		}
	})
}

// TestSlowHandshake opens connections that stop at each stage and expects the node to end them.
func TestSlowHandshake(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Limits.HandshakeTimeout = time.Second
		n.build(b)
		n.start(b)
		mute, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer mute.Close()
		if _, err := mute.Write([]byte{22, 3, 1}); err != nil { // The first bytes of a TLS record.
			t.Fatal(err)
		}
		afterTLS := newPuppet(t, b, a.signer)
		afterHello := newPuppet(t, b, a.signer)
		if _, err := afterHello.hello(); err != nil {
			t.Fatal(err)
		}
		if err := mute.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, mute); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the silent connection stays")
		}
		afterTLS.drain()
		afterHello.drain()
		poll(t, "all handshakes ended", func() bool { return b.gate.count() == 0 })
	})
}

// TestFlood holds the door with more silent connections than fit and checks that a peer still gets in.
func TestFlood(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Limits.HandshakesMax, b.cfg.Limits.HandshakesPerAddressMax = 8, 8
		b.cfg.Limits.HandshakeTimeout = time.Minute
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		n.build(a)
		n.build(b)
		n.start(b)
		for i := range 400 {
			conn, err := net.Dial("tcp", b.addr)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			t.Cleanup(func() { conn.Close() })
			if open := b.gate.count(); open > 8 {
				t.Fatalf("%d handshakes are open", open)
			}
		}
		n.start(a)
		waitLink(t, b.Transport, a.signer.Public(), true)
		if open := b.gate.count(); open > 8 {
			t.Errorf("%d handshakes are open", open)
		}
		if kept := len(b.Refusals()); kept > refusedMax {
			t.Errorf("%d refusals are kept", kept)
		}
	})
}

// fakeConn is a connection from an address.
type fakeConn struct {
	net.Conn
	addr string
}

func (c fakeConn) RemoteAddr() net.Addr { return fakeAddr(c.addr) }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

func TestGate(t *testing.T) {
	g := newGate(4, 2)
	visit := func(addr string) (in, out *visitor) { return g.enter(fakeConn{addr: addr}) }
	first, out := visit("[2001:db8::1]:1")
	if out != nil {
		t.Fatal("thrown out of an empty room")
	}
	second, _ := visit("[2001:db8::2]:1")
	if _, out := visit("[2001:db8::ffff:3]:1"); out != first {
		t.Errorf("a third of one /64 drives out %v, not the oldest of it", out)
	}
	other, _ := visit("192.0.2.1:1")
	visit("[::ffff:192.0.2.1]:2")
	if _, out := visit("192.0.2.9:1"); out != second {
		t.Errorf("a full room drives out %v, not the oldest", out)
	}
	if _, out := visit("192.0.2.1:3"); out != other {
		t.Errorf("the mapped form is another address: %v", out)
	}
	g.leave(other)
	g.leave(other)
	if g.count() != 4 {
		t.Errorf("%d are inside", g.count())
	}
	for g.open.Len() > 0 {
		g.leave(g.open.Front().Value.(*visitor))
	}
	if len(g.perAddress) != 0 {
		t.Errorf("addresses are remembered: %v", g.perAddress)
	}
}

// TestInboxOverflow blocks the handler and sends more than the inbox holds: what arrives is the beginning and, once
// there is room, later messages, in order.
func TestInboxOverflow(t *testing.T) {
	b := newInbox(100, 3)
	for i, size := range []int{90, 10, 1, 1} {
		ok, first := b.push(arrival{body: make([]byte, size)})
		if want := i < 2; ok != want || first != (i == 0) {
			t.Errorf("push %d: ok=%v first=%v", i, ok, first)
		}
	}
	if a, ok := b.pop(); !ok || len(a.body) != 90 {
		t.Error("not the first message")
	}
	for i := range 3 {
		if ok, _ := b.push(arrival{body: []byte{1}}); ok != (i < 2) {
			t.Errorf("push %d by count: %v", i, ok)
		}
	}
	if ok, _ := newInbox(1, 1).push(arrival{body: make([]byte, 50)}); !ok {
		t.Error("an empty inbox refuses a large message")
	}
}

// TestClose checks that Close ends a handler that heeds its context, and that a closed transport says so.
func TestClose(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		a, b := pair(t, s)
		entered := make(chan struct{}, 1)
		b.Handle(Request, func(ctx context.Context, _ Peer, _ []byte) {
			entered <- struct{}{}
			<-ctx.Done()
		})
		if err := a.Send(b.signer.Public(), Request, nil); err != nil {
			t.Fatal(err)
		}
		receiveOne(t, entered)
		for range 2 {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Send(a.signer.Public(), Request, nil); !errors.Is(err, ErrNotConnected) {
			t.Errorf("send after close: %v", err)
		}
		if err := b.Start(t.Context()); err == nil {
			t.Error("a closed transport starts")
		}
	})
}

// TestBusy fills the places for calls and checks that one more is answered at once.
func TestBusy(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		b.cfg.Limits.CallsMax = 2
		n.build(b)
		started := make(chan struct{}, 8)
		b.HandleCall(Request, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
			started <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		n.start(b)
		p := newPuppet(t, b, a.signer).link()
		for id := range uint64(5) {
			p.frame(header{kind: kindRequest, channel: Request, id: id + 1, arg: 60_000}, nil)
		}
		for range 4 {
			receiveOne(t, started)
		}
		var raw [headerBytes]byte
		for {
			if _, err := io.ReadFull(p.conn, raw[:]); err != nil {
				t.Fatal(err)
			}
			h, err := decodeHeader(&raw)
			if err != nil {
				t.Fatal(err)
			}
			text := make([]byte, h.chunk)
			if _, err := io.ReadFull(p.conn, text); err != nil {
				t.Fatal(err)
			}
			if h.kind != kindError {
				continue
			}
			if h.id != 5 || string(text) != errBusy.Error() {
				t.Errorf("answer to call %d: %q", h.id, text)
			}
			return
		}
	})
}

// TestServeTable checks the bounds on what a peer's calls may hold.
func TestServeTable(t *testing.T) {
	table := newServeTable(3, 100)
	request := func(id uint64, size uint32) header {
		return header{kind: kindRequest, channel: Request, id: id, chunk: size, total: size, arg: 1}
	}
	begin := func(h header) bool {
		t.Helper()
		ok, err := table.begin(h, func() {})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	large, small := request(1, 500), request(2, 10)
	if !begin(large) || begin(small) {
		t.Error("one large request alone, and nothing beside it, is the rule")
	}
	if !table.turn(large, 90) || !begin(small) || begin(request(3, 1)) {
		t.Error("the answer's 90 bytes and a request of 10 fill the table")
	}
	if table.turn(small, 20) {
		t.Error("an answer of 20 bytes beside one of 90")
	}
	table.end(small, 0)
	table.end(large, 90)
	if table.bytes != 0 || table.running[Request] != 0 || len(table.cancels) != 0 {
		t.Errorf("the table is not empty: %+v", table)
	}
}
