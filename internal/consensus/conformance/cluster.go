package conformance

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/ledger"
	"aval/suite"
)

// Env is what an engine under test gets. Its ledger, links and syncer are in memory; Dir is on disk and survives Stop.
type Env struct {
	Suite   suite.Suite
	Network suite.Hash
	Index   uint16
	Signer  suite.Signer
	Ledger  consensus.Ledger
	Links   consensus.Links
	Syncer  consensus.Syncer
	Dir     string
	// PendingMax is how many requests the engine is to hold.
	PendingMax int
	Logger     *slog.Logger
}

// PendingMax is how many requests an engine under test holds.
const PendingMax = 64

// Factory makes the engines under test.
type Factory struct {
	// Validators is how many the engine is tested with.
	Validators int
	New        func(Env) (consensus.Engine, error)
	// View reads the view from a block's metadata.
	View func(metadata []byte) (uint64, error)
	// Epochs makes the epochs from the set of all validators. Default: one, of all of them.
	Epochs func(set ledger.ValidatorSet) []Epoch
}

// Node is one validator of a cluster.
type Node struct {
	Index  uint16
	Ledger *Ledger
	Signer suite.Signer
	Dir    string
	// Engine is nil while the node is down.
	Engine consensus.Engine
	syncer *syncer
}

// Cluster is a network of engines under test.
type Cluster struct {
	T       testing.TB
	Factory Factory
	Suite   suite.Suite
	ID      suite.Hash
	Set     ledger.ValidatorSet
	Nodes   []*Node
	Net     *Network
	Audit   *Audit
	next    int
	want    []consensus.RequestID
}

// NewCluster makes a cluster whose nodes are all down. The nodes stop and the cluster is checked when the test ends, by
// Close.
func NewCluster(t testing.TB, f Factory, s suite.Suite) *Cluster {
	t.Helper()
	c := &Cluster{T: t, Factory: f, Suite: s, ID: s.Hash("network", []byte(t.Name())), Audit: NewAudit(s, f.View)}
	dir := t.TempDir()
	var signers []suite.Signer
	for i := range f.Validators {
		key, err := s.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, key)
		c.Set = append(c.Set, ledger.Validator{Name: fmt.Sprintf("v%d", i), Key: key.Public()})
	}
	c.Net = NewNetwork(f.Validators, 1)
	epochs := []Epoch{{From: 1, Set: c.Set}}
	if f.Epochs != nil {
		epochs = f.Epochs(c.Set)
	}
	var ledgers []*Ledger
	for i := range f.Validators {
		ledgers = append(ledgers, NewLedger(s, c.ID, c.Audit, epochs...))
		c.Nodes = append(c.Nodes, &Node{Index: uint16(i), Ledger: ledgers[i], Dir: filepath.Join(dir, fmt.Sprintf("v%d", i)),
			Signer: c.Audit.Signer(uint16(i), signers[i])})
	}
	for i, n := range c.Nodes {
		n.syncer = &syncer{s, c.Net, i, ledgers}
	}
	return c
}

// logger writes where -v shows it, if AVAL_TEST_LOG is set.
func logger(t testing.TB, node int) *slog.Logger {
	level := slog.LevelDebug - 1
	out := t.Output()
	if os.Getenv("AVAL_TEST_LOG") == "" {
		out = io.Discard
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})).With(slog.Int("node", node))
}

// Engine makes the engine of a node without starting it.
func (c *Cluster) Engine(i int) consensus.Engine {
	c.T.Helper()
	n := c.Nodes[i]
	e, err := c.Factory.New(Env{Suite: c.Suite, Network: c.ID, Index: n.Index, Signer: n.Signer, Ledger: n.Ledger,
		Links: &links{c.Net, i}, Syncer: n.syncer, Dir: n.Dir, PendingMax: PendingMax, Logger: logger(c.T, i)})
	if err != nil {
		c.T.Fatal(err)
	}
	return e
}

// Start brings nodes up that are down; all if none is named.
func (c *Cluster) Start(nodes ...int) {
	c.T.Helper()
	for _, i := range c.all(nodes) {
		if c.Nodes[i].Engine != nil {
			continue
		}
		e := c.Engine(i)
		c.Net.Attach(i, e)
		if err := e.Start(c.T.Context()); err != nil {
			c.T.Fatalf("start node %d: %v", i, err)
		}
		c.Nodes[i].Engine = e
	}
}

// Stop takes nodes down; all if none is named. They vanish from the network at once, as if killed.
func (c *Cluster) Stop(nodes ...int) {
	for _, i := range c.all(nodes) {
		c.Net.Attach(i, nil)
		if e := c.Nodes[i].Engine; e != nil {
			c.Nodes[i].Engine = nil
			e.Stop()
		}
	}
}

func (c *Cluster) all(nodes []int) []int {
	if len(nodes) > 0 {
		return nodes
	}
	for i := range c.Nodes {
		nodes = append(nodes, i)
	}
	return nodes
}

// Close stops everything and checks what must always hold.
func (c *Cluster) Close() {
	c.T.Helper()
	c.Stop()
	c.Net.Close()
	c.Check()
}

// Batch makes a new ordering request and its id.
func (c *Cluster) Batch() ([]byte, consensus.RequestID) {
	c.next++
	body := fmt.Appendf(nil, "batch %d", c.next)
	raw := codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: body})
	id, err := c.Nodes[0].Ledger.RequestID(raw)
	if err != nil {
		c.T.Fatal(err)
	}
	return raw, id
}

// Submit hands n new requests to all nodes that are up, as their originator does, and returns their ids.
func (c *Cluster) Submit(n int) []consensus.RequestID {
	c.T.Helper()
	var ids []consensus.RequestID
	for range n {
		raw, id := c.Batch()
		ids = append(ids, id)
		for i, node := range c.Nodes {
			if node.Engine == nil {
				continue
			}
			err := node.Engine.Submit(c.T.Context(), raw)
			if err != nil && !errors.Is(err, consensus.ErrDuplicate) && !errors.Is(err, consensus.ErrBusy) {
				c.T.Fatalf("submit to node %d: %v", i, err)
			}
		}
	}
	c.want = append(c.want, ids...)
	return ids
}

// pollEvery is how often Await looks.
const pollEvery = 5 * time.Millisecond

// Await waits until ok holds and returns how long that took. It fails the test after limit.
func (c *Cluster) Await(limit time.Duration, what string, ok func() bool) time.Duration {
	c.T.Helper()
	began := time.Now()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !ok() {
		if time.Since(began) > limit {
			c.T.Fatalf("not within %s: %s\n%s", limit, what, c.Describe())
		}
		<-ticker.C
	}
	return time.Since(began)
}

// AwaitOrdered waits until every node that is up has ordered the requests.
func (c *Cluster) AwaitOrdered(limit time.Duration, ids []consensus.RequestID) time.Duration {
	c.T.Helper()
	return c.Await(limit, fmt.Sprintf("%d requests ordered everywhere", len(ids)), func() bool {
		for _, n := range c.Nodes {
			for _, id := range ids {
				if n.Engine != nil && !n.Ledger.Ordered(id) {
					return false
				}
			}
		}
		return true
	})
}

// Quiet lets d pass.
func (c *Cluster) Quiet(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// Describe tells where every node stands.
func (c *Cluster) Describe() string {
	var out strings.Builder
	for i, n := range c.Nodes {
		if n.Engine == nil {
			fmt.Fprintf(&out, "node %d: down at height %d\n", i, n.Ledger.Height())
			continue
		}
		fmt.Fprintf(&out, "node %d: height %d, %+v\n", i, n.Ledger.Height(), n.Engine.Status())
	}
	return out.String()
}

// Check fails the test unless the nodes agree on every block they have, every certificate verifies, no request was
// ordered twice, and nobody voted twice in one place.
func (c *Cluster) Check() {
	c.T.Helper()
	for _, f := range c.Audit.Faults() {
		c.T.Error(f)
	}
	longest := c.Nodes[0].Ledger
	for _, n := range c.Nodes {
		if n.Ledger.Height() > longest.Height() {
			longest = n.Ledger
		}
	}
	at := map[consensus.RequestID]ledger.Height{}
	for h := ledger.Height(1); h <= longest.Height(); h++ {
		b := c.block(longest, h)
		_, set := longest.epochAt(h)
		if err := ledger.VerifyCertificate(c.Suite, set, &b.Header, &b.Certificate); err != nil {
			c.T.Error(err)
		}
		ids, err := longest.Requests(b.Payload)
		if err != nil {
			c.T.Fatal(err)
		}
		for _, id := range ids {
			if other, dup := at[id]; dup {
				c.T.Errorf("request %s is ordered at heights %d and %d", id, other, h)
			}
			at[id] = h
		}
		for i, n := range c.Nodes {
			if n.Ledger.Height() >= h && c.block(n.Ledger, h).Header != b.Header {
				c.T.Errorf("node %d has another block at height %d", i, h)
			}
		}
	}
}

func (c *Cluster) block(l *Ledger, h ledger.Height) *ledger.Block {
	c.T.Helper()
	b, err := l.Block(h)
	if err != nil {
		c.T.Fatal(err)
	}
	return b
}
