package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/genesis"
	"aval/internal/intake"
	"aval/internal/transport"
	"aval/ledger"
	"aval/suite"
)

// puppet stands in the place of a node, with its key and its links, and does what a test says. It orders nothing.
type puppet struct {
	c      *cluster
	place  int
	signer suite.Signer
	links  *transport.Transport
	wall   ledger.Time // of its newest batch; no two have the same
}

// ends say what a puppet answers. A nil one does not answer at all: peers see a channel that nobody listens on.
type ends struct {
	push, fetch, catchup transport.CallHandler
	consensus            transport.MessageHandler
}

// newPuppet puts a puppet in the place of a node that is not started.
func newPuppet(c *cluster, place int, s ends) *puppet {
	c.t.Helper()
	cfg := c.configs[place]
	p := &puppet{c: c, place: place, signer: cfg.Self, wall: ledger.Time(time.Now().UnixMilli())}
	var peers, observers []transport.Peer
	for _, v := range cfg.Peers {
		peers = append(peers, transport.Peer{Key: v.Key, Name: v.Name, Address: v.Address})
	}
	for _, o := range c.net.Genesis.Observers {
		observers = append(observers, transport.Peer{Key: o.Key, Name: o.Name})
	}
	network := c.net.Genesis.NetworkID(c.net.Suite)
	var err error
	p.links, err = transport.New(transport.Config{Suite: c.net.Suite, Network: network, Genesis: network, Self: cfg.Self, Listen: cfg.PeerListen,
		Peers: peers, Observers: observers, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.t.Fatal(err)
	}
	if s.push != nil {
		p.links.HandleCall(transport.Push, s.push)
	}
	if s.fetch != nil {
		p.links.HandleCall(transport.Fetch, s.fetch)
	}
	if s.catchup != nil {
		p.links.HandleCall(transport.Catchup, s.catchup)
	}
	if s.consensus != nil {
		p.links.Handle(transport.Consensus, s.consensus)
	}
	if err := p.links.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := p.links.Close(); err != nil {
			c.t.Error(err)
		}
	})
	return p
}

// connect waits until the puppet has links to all validators that run.
func (p *puppet) connect() {
	p.c.t.Helper()
	for i := range p.c.net.Validators {
		if p.c.nodes[i] != nil {
			p.c.until(fmt.Sprintf("the puppet has a link to validator %d", i), func() bool { return p.links.Connected(p.key(i)) })
		}
	}
}

func (p *puppet) key(validator int) suite.PublicKey { return p.c.net.Genesis.Validators[validator].Key }

// validator reports whether the puppet has the key of a validator.
func (p *puppet) validator() bool { return p.place < len(p.c.net.Validators) }

// batch returns a batch of its own of transactions and the digest of it.
func (p *puppet) batch(txs ...[]byte) ([]byte, suite.Hash) {
	p.wall++
	return p.batchAs(p.signer.Public(), txs...)
}

func (p *puppet) batchAs(origin suite.PublicKey, txs ...[]byte) ([]byte, suite.Hash) {
	body := codec.MustMarshal(&ledger.Batch{Origin: origin, Wall: p.wall, Txs: txs})
	return body, p.head(body).Digest(p.c.net.Suite)
}

func (p *puppet) head(body []byte) *ledger.BatchHead {
	p.c.t.Helper()
	head, _, err := ledger.ReadBatch(p.c.net.Suite, body)
	if err != nil {
		p.c.t.Fatal(err)
	}
	return head
}

// push gives a validator a batch and returns what it acknowledges.
func (p *puppet) push(validator int, body []byte, verify bool) (*ledger.BatchAck, error) {
	ctx, cancel := context.WithTimeout(p.c.t.Context(), patience)
	defer cancel()
	answer, err := p.links.Call(ctx, p.key(validator), transport.Push, codec.MustMarshal(&intake.Push{Body: body, Verify: verify}))
	if err != nil {
		return nil, err
	}
	a, err := ledger.DecodeBatchAck(answer)
	if err != nil {
		return nil, err
	}
	genesis := p.c.net.Genesis
	return a, a.Verify(p.c.net.Suite, genesis.NetworkID(p.c.net.Suite), genesis.Validators, 0, p.head(body).Digest(p.c.net.Suite))
}

// mustPush pushes to some validators, which must acknowledge.
func (p *puppet) mustPush(body []byte, verify bool, validators ...int) (acks []ledger.BatchAck) {
	p.c.t.Helper()
	for _, i := range validators {
		a, err := p.push(i, body, verify)
		if err != nil {
			p.c.t.Fatalf("%s refuses a batch: %v", p.c.configs[i].Name, err)
		}
		acks = append(acks, *a)
	}
	return acks
}

// ack is the puppet's own acknowledgement, whatever the truth.
func (p *puppet) ack(digest suite.Hash, verified bool) ledger.BatchAck {
	p.c.t.Helper()
	a, err := acknowledge(p.c, p.place, digest, verified)
	if err != nil {
		p.c.t.Fatal(err)
	}
	return *a
}

// acknowledge signs with the key of a validator that it holds a batch.
func acknowledge(c *cluster, validator int, digest suite.Hash, verified bool) (*ledger.BatchAck, error) {
	network := c.net.Genesis.NetworkID(c.net.Suite)
	sig, err := c.net.Validators[validator].Sign(ledger.DomainBatchAck, ledger.AckBytes(network, 0, digest, verified))
	return &ledger.BatchAck{Validator: uint16(validator), Verified: verified, Sig: sig}, err
}

// certificate returns the ordering request of acknowledgements of a batch.
func (p *puppet) certificate(body []byte, acks ...ledger.BatchAck) []byte {
	return orderingRequest(&ledger.BatchCertificate{Head: *p.head(body), Acks: acks})
}

func orderingRequest(c *ledger.BatchCertificate) []byte {
	return codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: codec.MustMarshal(c)})
}

// order hands an ordering request to some validators, or to all that run.
func (p *puppet) order(request []byte, validators ...int) {
	p.c.t.Helper()
	if len(validators) == 0 {
		validators = p.c.honest()
	}
	for _, i := range validators {
		if err := p.links.Send(p.key(i), transport.Intake, request); err != nil {
			p.c.t.Fatal(err)
		}
	}
}

// honest returns the validators that run.
func (c *cluster) honest() (out []int) {
	for i := range c.net.Validators {
		if c.nodes[i] != nil {
			out = append(out, i)
		}
	}
	return out
}

// until waits until something is so.
func (c *cluster) until(what string, so func() bool) {
	c.t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			c.t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// scopeTx is a transaction that opens a fresh scope; its batch is guarded.
func (c *cluster) scopeTx() (*ledger.SignedTx, ledger.Scope) {
	c.t.Helper()
	path := ledger.Scope(fmt.Sprintf("/s%d", c.scopes.Add(1)))
	return c.tx(ledger.NewOp(c.net.Genesis.Authority.ID, &ledger.ScopeOpen{Path: path, Authority: c.net.Genesis.Authority.ID})), path
}

// tx is a transaction of the authority.
func (c *cluster) tx(ops ...ledger.Op) *ledger.SignedTx {
	c.t.Helper()
	cl := c.client(0) // it is not asked
	tx, err := cl.NewTx(ops...)
	if err == nil {
		err = cl.Sign(tx, c.net.Keys[genesis.KeyAuthorityAdmin])
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return tx
}

// forgedTx is a transaction of no guarded kind whose signature is not valid.
func (c *cluster) forgedTx() []byte {
	tx := c.tx(ledger.NewOp(c.net.Genesis.Authority.ID, &ledger.AccountOpen{Holder: c.net.Genesis.Authority.ID}))
	tx.Sigs[0].Sig[7] ^= 1
	return codec.MustMarshal(tx)
}

// traffic has clients send transactions through the given nodes, one after another, until the function that it returns is
// called. That fails unless every one of them committed, and is the same on all nodes.
func (c *cluster) traffic(nodes ...int) (end func()) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	over := make(chan struct{})
	var mu sync.Mutex
	var paths []ledger.Scope
	var tasks sync.WaitGroup
	for _, i := range nodes {
		cl := c.client(i)
		tasks.Go(func() {
			for count := 0; ; count++ {
				path, err := c.openScope(ctx, cl)
				if err != nil {
					c.t.Errorf("honest traffic through %s, transaction %d: %v", c.configs[i].Name, count, err)
					return
				}
				mu.Lock()
				paths = append(paths, path)
				mu.Unlock()
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	return func() {
		c.t.Helper()
		defer cancel()
		close(over)
		tasks.Wait()
		c.agree()
		for i, n := range c.nodes {
			for _, path := range paths {
				if n == nil {
					continue
				}
				if err := c.hasScope(i, path); err != nil {
					c.t.Errorf("%s lost a transaction: %v", c.configs[i].Name, err)
				}
			}
		}
	}
}

// agree waits until the last transaction so far is proven on all nodes that run, which is when later headers carry the roots
// of its results, and fails unless all have the same blocks and receipts.
func (c *cluster) agree() {
	c.t.Helper()
	var last ledger.Height
	for _, n := range c.nodes {
		if n != nil {
			last = max(last, c.lastWork(n))
		}
	}
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(c.t.Context(), patience)
		err := n.chain.WaitCommitted(ctx, last+ledger.Lag)
		cancel()
		if err = errors.Join(err, n.chain.Broken()); err != nil {
			progress, _ := n.chain.Progress()
			c.t.Fatalf("%s at %+v does not prove height %d: %v", c.configs[i].Name, progress, last, err)
		}
	}
	c.sameChain(last + ledger.Lag)
}

// lastWork returns the height of the newest block of a node that orders transactions.
func (c *cluster) lastWork(n *Node) ledger.Height {
	c.t.Helper()
	for h := n.chain.Head().Header.Height; h > 0; h-- {
		b, err := n.chain.Block(h)
		if err != nil {
			c.t.Fatal(err)
		}
		payload, err := ledger.DecodePayload(b.Payload)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(payload.Entries) > 0 {
			return h
		}
	}
	return 0
}

// ordered returns how often node i has a batch in its blocks.
func (c *cluster) ordered(i int, digest suite.Hash) (times int) {
	c.t.Helper()
	chain := c.nodes[i].chain
	for h := ledger.Height(1); h <= chain.Head().Header.Height; h++ {
		b, err := chain.Block(h)
		if err != nil {
			c.t.Fatal(err)
		}
		payload, err := ledger.DecodePayload(b.Payload)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range payload.Entries {
			if e.Digest == digest {
				times++
			}
		}
	}
	return times
}

// tookEffect waits until node i has a final receipt of success for a transaction, and fails if it has two.
func (c *cluster) tookEffect(i int, tx *ledger.SignedTx) *ledger.Receipt {
	c.t.Helper()
	id, chain := tx.Tx.ID(c.net.Suite), c.nodes[i].chain
	var spent *ledger.Receipt
	c.until(fmt.Sprintf("%s executes transaction %s", c.configs[i].Name, id), func() (done bool) {
		var err error
		if spent, err = chain.SpentBy(id); err != nil {
			c.t.Fatal(err)
		}
		return spent != nil
	})
	c.await(i, spent.Height)
	progress, _ := chain.Progress()
	count := 0
	for h := ledger.Height(1); h <= progress.Executed; h++ {
		receipts, err := chain.Receipts(h)
		if err != nil {
			c.t.Fatal(err)
		}
		for k := range receipts {
			if receipts[k].Tx == id && receipts[k].Code == ledger.CodeOK {
				count++
			}
		}
	}
	if count != 1 || spent.Code != ledger.CodeOK {
		c.t.Fatalf("%s: transaction %s took effect %d times, its receipt is %+v", c.configs[i].Name, id, count, spent)
	}
	return spent
}

// meshed waits until all nodes that run have links to all validators that do.
func (c *cluster) meshed() {
	c.t.Helper()
	for i, n := range c.nodes {
		for _, k := range c.honest() {
			if n != nil && k != i {
				c.until(fmt.Sprintf("%s has a link to validator %d", c.configs[i].Name, k), func() bool { return n.links.Connected(c.net.Validators[k].Public()) })
			}
		}
	}
}

// honestFour is a network of four validators and two observers, of which the last observer and, unless it is −1, one
// validator are puppets, which answer as told.
func honestFour(t *testing.T, s string, validator int, told ends) (c *cluster, puppets []*puppet) {
	t.Helper()
	c = foundCluster(t, s, 4, 2)
	places := []int{5}
	if validator >= 0 {
		places = append(places, validator)
	}
	for _, place := range places {
		puppets = append(puppets, newPuppet(c, place, told))
	}
	c.startBut(places...)
	c.meshed()
	for _, p := range puppets {
		p.connect()
	}
	return c, puppets
}
