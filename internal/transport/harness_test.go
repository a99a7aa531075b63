package transport

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"aval/suite"
)

// patience bounds every wait of these tests. Nothing waits so long unless it is broken.
const patience = 30 * time.Second

// eachSuite runs a test on every crypto suite.
func eachSuite(t *testing.T, test func(t *testing.T, s suite.Suite)) {
	for _, s := range suite.All() {
		t.Run(s.Name(), func(t *testing.T) { test(t, s) })
	}
}

func newSigner(t testing.TB, s suite.Suite) suite.Signer {
	t.Helper()
	signer, err := s.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// node is one configured node of a test network. Its listener is open before it starts, so that addresses are
// known to all.
type node struct {
	name   string
	signer suite.Signer
	addr   string
	cfg    Config
	*Transport
}

// testNet builds nodes that know each other as validators.
type testNet struct {
	t     testing.TB
	suite suite.Suite
	nodes []*node
}

func newTestNet(t testing.TB, s suite.Suite, names ...string) *testNet {
	t.Helper()
	n := &testNet{t: t, suite: s}
	var peers []Peer
	for _, name := range names {
		listener := openLasting(t)
		node := &node{name: name, signer: newSigner(t, s), addr: listener.Addr().String()}
		node.cfg = Config{
			Suite: s, Network: suite.Hash{1}, Genesis: suite.Hash{2}, Self: node.signer, Listener: listener,
			Logger: slog.New(slog.DiscardHandler),
		}
		n.nodes = append(n.nodes, node)
		peers = append(peers, Peer{Key: node.signer.Public(), Name: name, Address: node.addr})
	}
	for _, node := range n.nodes {
		node.cfg.Peers = peers
	}
	return n
}

func openListener(t testing.TB, addr string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// openLasting listens on an address that is still free when its node restarts: below the ports that the system gives to
// outgoing connections.
func openLasting(t testing.TB) net.Listener {
	t.Helper()
	for range 1000 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+mathrand.IntN(11_000)))
		if err == nil {
			t.Cleanup(func() { listener.Close() })
			return listener
		}
	}
	t.Fatal("no port between 20,000 and 31,000 is free")
	return nil
}

// build makes the node's transport without starting it.
func (n *testNet) build(node *node) *node {
	n.t.Helper()
	tr, err := New(node.cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	node.Transport = tr
	n.t.Cleanup(func() { tr.Close() })
	return node
}

func (n *testNet) start(node *node) {
	n.t.Helper()
	if err := node.Start(context.Background()); err != nil {
		n.t.Fatal(err)
	}
}

// up builds and starts all nodes, and waits until all links are there.
func (n *testNet) up() {
	n.t.Helper()
	for _, node := range n.nodes {
		n.build(node)
	}
	n.run()
}

// run starts all nodes and waits until all links are there.
func (n *testNet) run() {
	n.t.Helper()
	for _, node := range n.nodes {
		n.start(node)
	}
	for _, node := range n.nodes {
		for _, p := range node.ordered {
			waitLink(n.t, node.Transport, p.Key, true)
		}
	}
}

// pair returns two linked nodes. Only a dials, at once, so that no second link disturbs what a test counts.
func pair(t testing.TB, s suite.Suite, adjust ...func(a, b *node)) (a, b *node) {
	t.Helper()
	n := newTestNet(t, s, "a", "b")
	a, b = n.nodes[0], n.nodes[1]
	b.cfg.Peers = []Peer{{Key: a.signer.Public(), Name: "a"}}
	for _, f := range adjust {
		f(a, b)
	}
	n.build(a).ordered[0].preferOurs = true
	n.build(b).ordered[0].preferOurs = false
	n.run()
	return a, b
}

// waitLink waits until tr has a link (or none) with the peer.
func waitLink(t testing.TB, tr *Transport, key suite.PublicKey, up bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !tr.peers[string(key)].waitUntil(ctx, up) {
		t.Fatalf("link up=%v was not reached; status: %+v", up, tr.Status())
	}
}

// poll waits until check holds, looking again whenever the scheduler lets it, at most every millisecond.
func poll(t testing.TB, what string, check func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// receiveOne returns the next value of c.
func receiveOne[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain for a value")
		panic("unreachable")
	}
}

// puppet speaks the protocol by hand, so that it can break it at any point.
type puppet struct {
	t      testing.TB
	suite  suite.Suite
	signer suite.Signer
	conn   *tls.Conn
	claim  claim
	// exporter is of the channel.
	exporter []byte
}

// newPuppet connects to a node with TLS and goes no further.
func newPuppet(t testing.TB, to *node, signer suite.Signer) *puppet {
	t.Helper()
	raw, err := net.Dial("tcp", to.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return puppetOver(t, to, signer, raw)
}

func puppetOver(t testing.TB, to *node, signer suite.Signer, raw net.Conn) *puppet {
	t.Helper()
	_, client, err := tlsConfigs(to.cfg.Suite, signer)
	if err != nil {
		t.Fatal(err)
	}
	p := &puppet{t: t, suite: to.cfg.Suite, signer: signer, conn: tls.Client(raw, client)}
	p.setDeadline(patience)
	if err := p.conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if p.exporter, err = exporterOf(p.conn.ConnectionState()); err != nil {
		t.Fatal(err)
	}
	p.claim = claim{
		Suite: p.suite.ID(), Network: to.cfg.Network, Genesis: to.cfg.Genesis, Role: roleDialer,
		Key: signer.Public(), Peer: to.signer.Public(), Instance: make([]byte, instanceBytes),
	}
	return p
}

func (p *puppet) setDeadline(d time.Duration) {
	p.t.Helper()
	if err := p.conn.SetDeadline(time.Now().Add(d)); err != nil {
		p.t.Fatal(err)
	}
}

// hello sends the puppet's claim with its proof and returns the listener's answer.
func (p *puppet) hello() (hello, error) {
	p.t.Helper()
	h, err := prove(p.signer, p.claim, p.exporter)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := writeGreeting(p.conn, greetHello, encodeHello(h)); err != nil {
		p.t.Fatal(err)
	}
	return receiveHello(p.conn)
}

// link completes the handshake.
func (p *puppet) link() *puppet {
	p.t.Helper()
	if _, err := p.hello(); err != nil {
		p.t.Fatal(err)
	}
	if err := writeGreeting(p.conn, greetAccept, nil); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// frame sends one frame as it is told.
func (p *puppet) frame(h header, chunk []byte) {
	p.t.Helper()
	var b [headerBytes]byte
	h.encode(&b)
	if _, err := p.conn.Write(append(b[:], chunk...)); err != nil {
		p.t.Fatal(err)
	}
}

// drain reads until the other side closes.
func (p *puppet) drain() {
	p.t.Helper()
	p.setDeadline(patience)
	if _, err := io.Copy(io.Discard, p.conn); errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatal("the node did not close the connection")
	}
}

// collector records messages.
type collector struct {
	mu   sync.Mutex
	got  []string
	news chan struct{}
}

func newCollector() *collector { return &collector{news: make(chan struct{}, 1)} }

func (c *collector) handle(_ context.Context, from Peer, msg []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, from.Name+": "+string(msg))
	signal(c.news)
}

func (c *collector) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.got...)
}

// wait returns the messages when there are n.
func (c *collector) wait(t testing.TB, n int) []string {
	t.Helper()
	deadline := time.After(patience)
	for {
		if got := c.list(); len(got) >= n {
			return got
		}
		select {
		case <-c.news:
		case <-deadline:
			t.Fatalf("%d messages of %d", len(c.list()), n)
		}
	}
}

// serverOver speaks TLS as tr's listener would.
func serverOver(raw net.Conn, tr *Transport) *tls.Conn { return tls.Server(raw, tr.serverTLS) }

// newReader returns randomness for a fresh instance number.
func newReader(testing.TB) io.Reader { return rand.Reader }
