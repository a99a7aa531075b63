package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"aval/codec"
	"aval/suite"
)

// TestRefusals shows what each side reports when node a dials node b and something is wrong. One command is one
// attempt, "dial SUITE..."; its arguments change the dialer a:
//
//	network=N, genesis=N   a is on another one
//	self=stranger          a has a key that b does not list
//	expect=stranger        a expects another key at b's address
//	suite=NAME             b is of this suite
func TestRefusals(t *testing.T) {
	datadriven.RunTest(t, "testdata/refusals.txt", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd != "dial" {
			d.Fatalf(t, "unknown command %q", d.Cmd)
		}
		var out strings.Builder
		for _, s := range suite.All() {
			fmt.Fprintf(&out, "%s: %s\n", s.Name(), attempt(t, s, d))
		}
		return out.String()
	})
}

// attempt lets a dial b until a has an outcome, and tells what both report.
func attempt(t *testing.T, s suite.Suite, d *datadriven.TestData) string {
	n := newTestNet(t, s, "a", "b")
	a, b := n.nodes[0], n.nodes[1]
	b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
	a.cfg.Peers = []Peer{{Key: b.signer.Public(), Name: "b", Address: b.addr}}
	for _, arg := range d.CmdArgs {
		switch arg.String() {
		case "network=2":
			a.cfg.Network = suite.Hash{9}
		case "genesis=2":
			a.cfg.Genesis = suite.Hash{9}
		case "self=stranger":
			a.signer = newSigner(t, s)
			a.cfg.Self = a.signer
		case "expect=stranger":
			a.cfg.Peers[0].Key = newSigner(t, s).Public()
		default:
			d.Fatalf(t, "unknown argument %s", arg.String())
		}
	}
	for _, node := range n.nodes {
		n.build(node)
	}
	n.start(b)
	n.start(a)
	poll(t, "an outcome", func() bool {
		st := a.Status()[0]
		return st.Connected || st.LastError != ""
	})
	if a.Status()[0].Connected {
		return "linked"
	}
	poll(t, "the listener has an outcome", func() bool { return len(b.Refusals()) > 0 })
	refused := b.Refusals()[0]
	attributed := "to nobody"
	if st := b.Status()[0]; refused.Name != "" || st.LastError != "" {
		attributed = fmt.Sprintf("to %q, status %q", refused.Name, causeOfText(st.LastError))
	}
	return fmt.Sprintf("dialer says %q; listener says %q, attributed %s", causeOfText(a.Status()[0].LastError), refused.Cause, attributed)
}

// causeOfText cuts the details, keys and hashes, from an error's text.
func causeOfText(text string) string {
	parts := strings.SplitN(strings.TrimPrefix(text, "transport: "), ": ", 3)
	return strings.Join(parts[:min(2, len(parts))], ": ")
}

func TestVersionIsNamed(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		_, b := pair(t, s)
		p := newPuppet(t, b, newSigner(t, s))
		if _, err := p.conn.Write([]byte{byte(greetHello), 0, ProtocolVersion + 1, 0, 0}); err != nil {
			t.Fatal(err)
		}
		_, err := receiveHello(p.conn)
		if causeOf(err) != CauseVersion {
			t.Errorf("the node answers %v", err)
		}
		poll(t, "the version is reported", func() bool {
			r := b.Refusals()
			return len(r) > 0 && r[len(r)-1].Cause == CauseVersion
		})
	})
}

// TestMalformedGreetings sends what no node sends, after a good TLS handshake.
func TestMalformedGreetings(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		_, b := pair(t, s)
		head := func(kind, length int) []byte {
			return []byte{byte(kind), 0, ProtocolVersion, byte(length >> 8), byte(length)}
		}
		for _, c := range []struct {
			name string
			sent []byte
			want Cause
		}{
			{"garbage", bytes.Repeat([]byte{0x5a}, 64), CauseMalformed},
			{"too long", head(1, GreetingBytesMax+1), CauseMalformed},
			{"not CBOR", append(head(1, 3), 0xff, 0xff, 0xff), CauseMalformed},
			{"accept first", head(3, 0), CauseMalformed},
			{"a refusal that is none", append(head(2, 1), 0xff), CauseMalformed},
		} {
			p := newPuppet(t, b, newSigner(t, s))
			if _, err := p.conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if _, err := receiveHello(p.conn); causeOf(err) != c.want {
				t.Errorf("%s: %v", c.name, err)
			}
			p.drain()
		}
	})
}

// TestClaims changes one thing at a time in an otherwise good hello.
func TestClaims(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		n.build(b)
		n.start(b)
		for _, c := range []struct {
			name   string
			change func(p *puppet)
			want   Cause
		}{
			{"another suite", func(p *puppet) { p.claim.Suite = 7 }, CauseSuite},
			{"the listener's role", func(p *puppet) { p.claim.Role = roleListener }, CauseMalformed},
			{"no role", func(p *puppet) { p.claim.Role = 0 }, CauseMalformed},
			{"another target", func(p *puppet) { p.claim.Peer = a.signer.Public() }, CauseWrongPeer},
			{"a short instance", func(p *puppet) { p.claim.Instance = nil }, CauseMalformed},
			{"another's key", func(p *puppet) { p.signer = newSigner(t, s) }, CauseProof},
			{"a proof for another channel", func(p *puppet) { p.exporter[0] ^= 1 }, CauseProof},
			{"the node's own key", func(p *puppet) { p.claim.Key = b.signer.Public() }, CauseUnlisted},
			{"a key of no length", func(p *puppet) { p.claim.Key = nil }, CauseUnlisted},
		} {
			p := newPuppet(t, b, a.signer)
			c.change(p)
			if _, err := p.hello(); causeOf(err) != c.want {
				t.Errorf("%s: %v, want cause %s", c.name, err, c.want)
			}
			if b.Connected(a.signer.Public()) {
				t.Errorf("%s: linked", c.name)
			}
		}
		if st := b.Status()[0]; st.LastError != "" && !strings.Contains(st.LastError, "wants key") && !strings.Contains(st.LastError, "suite") {
			t.Errorf("an unproven claim was attributed to a peer: %s", st.LastError)
		}
	})
}

// TestRelay puts a machine in the middle that ends TLS on both sides and passes every greeting on unchanged.
func TestRelay(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		middle := openListener(t, "127.0.0.1:0")
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		a.cfg.Peers = []Peer{{Key: b.signer.Public(), Name: "b", Address: middle.Addr().String()}}
		a.cfg.Limits.RedialMin, a.cfg.Limits.RedialMax = time.Hour, time.Hour
		n.build(a)
		n.build(b)
		a.ordered[0].preferOurs = true // So that a dials at once.
		n.start(b)
		passed := make(chan []byte, 1)
		go relay(t, s, middle, b, passed)
		n.start(a)
		hello := receiveOne(t, passed)
		poll(t, "b refuses", func() bool { return len(b.Refusals()) > 0 })
		poll(t, "a gives up", func() bool { return a.Status()[0].LastError != "" })
		if r := b.Refusals()[0]; r.Cause != CauseProof || r.Name != "" {
			t.Errorf("b refuses for %s: %s", r.Cause, r.Text)
		}
		if a.Connected(b.signer.Public()) || b.Connected(a.signer.Public()) {
			t.Error("the relayed link stands")
		}

		again := newPuppet(t, b, newSigner(t, s))
		if err := writeGreeting(again.conn, greetHello, hello); err != nil {
			t.Fatal(err)
		}
		if _, err := receiveHello(again.conn); causeOf(err) != CauseProof {
			t.Errorf("a replayed hello: %v", err)
		}
	})
}

// relay passes one greeting from whoever dials the middle on to b, and the answer back.
func relay(t *testing.T, s suite.Suite, middle net.Listener, b *node, passed chan<- []byte) {
	raw, err := middle.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer raw.Close()
	own := newSigner(t, s)
	tr, err := New(Config{Suite: s, Self: own, Network: suite.Hash{1}})
	if err != nil {
		t.Error(err)
		return
	}
	left := serverOver(raw, tr)
	if err := left.Handshake(); err != nil {
		t.Error(err)
		return
	}
	body, err := readGreeting(left, greetHello)
	if err != nil {
		t.Error(err)
		return
	}
	right := newPuppet(t, b, own)
	if err := writeGreeting(right.conn, greetHello, body); err != nil {
		t.Error(err)
		return
	}
	passed <- body
	if _, err := io.Copy(left, right.conn); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("the relay ends: %v", err)
	}
}

// TestImpostorListener lets a dial a node that answers in b's name: with its own key, and with a claim of b's.
func TestImpostorListener(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		for _, c := range []struct {
			name string
			key  func(impostor, b suite.Signer) suite.PublicKey
			want Cause
		}{
			{"own key", func(impostor, _ suite.Signer) suite.PublicKey { return impostor.Public() }, CauseWrongPeer},
			{"b's key", func(_, b suite.Signer) suite.PublicKey { return b.Public() }, CauseProof},
		} {
			n := newTestNet(t, s, "a", "b")
			a, b := n.nodes[0], n.nodes[1]
			fake := openListener(t, "127.0.0.1:0")
			a.cfg.Peers = []Peer{{Key: b.signer.Public(), Name: "b", Address: fake.Addr().String()}}
			n.build(a)
			told := make(chan error, 1)
			go func() { told <- impostor(t, s, fake, a, c.key(newSigner(t, s), b.signer)) }()
			n.start(a)
			if err := receiveOne(t, told); causeOf(err) != c.want {
				t.Errorf("%s: a answers %v, want cause %s", c.name, err, c.want)
			}
			poll(t, "a reports it", func() bool { return strings.Contains(a.Status()[0].LastError, c.want.String()) })
		}
	})
}

// impostor answers one dialer in the name of key and returns what the dialer says to that.
func impostor(t *testing.T, s suite.Suite, fake net.Listener, a *node, key suite.PublicKey) error {
	raw, err := fake.Accept()
	if err != nil {
		return err
	}
	defer raw.Close()
	tr, err := New(Config{Suite: s, Self: newSigner(t, s), Network: suite.Hash{1}})
	if err != nil {
		return err
	}
	conn := serverOver(raw, tr)
	theirs, err := receiveHello(conn)
	if err != nil {
		return err
	}
	exporter, err := exporterOf(conn.ConnectionState())
	if err != nil {
		return err
	}
	ours := theirs.Claim
	ours.Role, ours.Key, ours.Peer = roleListener, key, a.signer.Public()
	if err := tr.sendHello(conn, ours, exporter); err != nil {
		return err
	}
	_, err = readGreeting(conn, greetAccept)
	return err
}

// TestStolenCertificate checks that in intl a listed key in the hello is worth nothing under another's
// certificate, even with a proof made by that key for this channel.
func TestStolenCertificate(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	n := newTestNet(t, s, "a", "b")
	a, b := n.nodes[0], n.nodes[1]
	n.build(b)
	n.start(b)
	p := newPuppet(t, b, newSigner(t, s))
	p.claim.Key, p.signer = a.signer.Public(), a.signer
	if _, err := p.hello(); causeOf(err) != CauseProof {
		t.Errorf("answer: %v", err)
	}
}

func TestForbiddenFrames(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b")
		a, b := n.nodes[0], n.nodes[1]
		b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
		n.build(b)
		b.HandleCall(Request, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		n.start(b)
		for _, c := range []struct {
			name string
			send func(p *puppet)
		}{
			{"oversized", func(p *puppet) {
				p.frame(header{kind: kindMessage, channel: 1, chunk: 1, total: FrameBytesMax + 1}, []byte{1})
			}},
			{"chunk over its bound", func(p *puppet) {
				p.frame(header{kind: kindMessage, channel: 1, chunk: ChunkBytes + 1, total: ChunkBytes + 1}, nil)
			}},
			{"chunk too short", func(p *puppet) { p.frame(header{kind: kindMessage, channel: 1, chunk: 1, total: 2}, []byte{1}) }},
			{"unknown kind", func(p *puppet) { p.frame(header{kind: 99, channel: 1}, nil) }},
			{"unknown channel", func(p *puppet) { p.frame(header{kind: kindMessage, channel: channelMax + 1}, nil) }},
			{"channel 0", func(p *puppet) { p.frame(header{kind: kindMessage}, nil) }},
			{"interrupted", func(p *puppet) {
				p.frame(header{kind: kindMessage, channel: 2, chunk: ChunkBytes, total: ChunkBytes + 1}, make([]byte, ChunkBytes))
				p.frame(header{kind: kindMessage, channel: 2, chunk: 1, total: 1}, []byte{1})
			}},
			{"request without a deadline", func(p *puppet) { p.frame(header{kind: kindRequest, channel: 2, id: 1}, nil) }},
			{"one id twice", func(p *puppet) {
				p.frame(header{kind: kindRequest, channel: Request, id: 1, arg: 60000}, nil)
				p.frame(header{kind: kindRequest, channel: Request, id: 1, arg: 60000}, nil)
			}},
		} {
			p := newPuppet(t, b, a.signer)
			if _, err := io.ReadFull(newReader(t), p.claim.Instance); err != nil {
				t.Fatal(err)
			}
			p.link()
			c.send(p)
			p.drain()
			waitLink(t, b.Transport, a.signer.Public(), false)
			if last := b.Status()[0].LastError; !strings.Contains(last, "protocol") {
				t.Errorf("%s: the link ended with %q", c.name, last)
			}
		}
	})
}

// TestRefusalBody checks that a refusal from outside is bounded and strict.
func TestRefusalBody(t *testing.T) {
	good := refuse(CauseNetwork, "%s", strings.Repeat("é", ErrorTextBytesMax))
	r, err := decodeRefusal(encodeRefusal(good))
	if err != nil || r.Cause != CauseNetwork || len(r.Text) != ErrorTextBytesMax || !r.ByPeer {
		t.Errorf("%+v, %v", r, err)
	}
	for name, body := range map[string]refusalBody{
		"no cause": {0, "x"}, "unknown cause": {causeMax + 1, "x"},
		"long text": {CauseProof, strings.Repeat("x", ErrorTextBytesMax+1)},
	} {
		if _, err := decodeRefusal(codec.MustMarshal(body)); causeOf(err) != CauseMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decodeRefusal([]byte{0}); causeOf(err) != CauseMalformed {
		t.Errorf("not a refusal: %v", err)
	}
}
