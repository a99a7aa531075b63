package chaintest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/clock"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// Start is the wall time at which networks begin, 2026-09-15 09:00 at UTC+8.
var Start = ledger.CivilDate(2026, 9, 15).Start() + 9*ledger.Hour

// Options say what kind of network is made.
type Options struct {
	// Suite is "intl" by default.
	Suite string
	// Validators is how many there are, 1 by default.
	Validators int
	// Lab makes the clock a lab clock.
	Lab bool
	// Name tells networks apart.
	Name string
}

// Network is a genesis and the keys behind it. It is not safe for concurrent use.
type Network struct {
	Suite   suite.Suite
	Genesis *ledger.Genesis
	ID      suite.Hash
	Clock   *clock.Fake
	// Authority is the root authority, with the keys "authority.m", "authority.c" and "authority.a".
	Authority  ledger.PartyID
	validators []suite.Signer
	parties    map[string]ledger.PartyID
	batches    map[suite.Hash][]byte // whose certificates were made, by digest
	salt       uint64
}

// caps are the keys that every party has, by the suffix of their names.
var caps = []struct {
	suffix string
	caps   ledger.Capability
}{{"m", ledger.CapMaker}, {"c", ledger.CapChecker}, {"a", ledger.CapAdmin}}

// New makes a network.
func New(t testing.TB, o Options) *Network {
	t.Helper()
	if o.Suite == "" {
		o.Suite = "intl"
	}
	if o.Validators == 0 {
		o.Validators = 1
	}
	s, err := suite.ByName(o.Suite)
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{Suite: s, Clock: clock.NewFake(time.UnixMilli(int64(Start))), parties: map[string]ledger.PartyID{}, batches: map[suite.Hash][]byte{}}
	n.Authority = n.Party("authority")
	g := &ledger.Genesis{
		Version: ledger.GenesisVersion, Name: "test" + o.Name, Suite: s.ID(), Clock: ledger.ClockReal, Wall: Start, Start: Start,
		Authority: ledger.GenesisParty{ID: n.Authority, Name: "Root authority"},
		Issuers:   []ledger.IdentityIssuer{{Name: "identity service", Key: n.Signer("issuer").Public()}},
		Params:    ledger.DefaultParams(o.Validators),
	}
	for i := range o.Validators {
		signer := n.Signer(fmt.Sprintf("validator-%d", i))
		n.validators = append(n.validators, signer)
		g.Validators = append(g.Validators, ledger.Validator{Name: fmt.Sprintf("validator-%d", i), Key: signer.Public()})
	}
	for _, k := range caps {
		g.Authority.Members = append(g.Authority.Members, ledger.GenesisMember{
			Key: n.Signer("authority." + k.suffix).Public(), Caps: k.caps, Person: n.person("authority."+k.suffix, n.Authority),
		})
	}
	if o.Lab {
		g.Clock, g.ClockKey = ledger.ClockLab, n.Signer("clock").Public()
	}
	if err := g.Check(s); err != nil {
		t.Fatal(err)
	}
	n.Genesis, n.ID = g, g.NetworkID(s)
	return n
}

// Config returns what a chain of this network needs, over the given stores. A broken chain fails the test unless OnBroken is
// replaced.
func (n *Network) Config(t testing.TB, blocks, state kv.Store) chain.Config {
	return chain.Config{
		Genesis: n.Genesis, Suite: n.Suite, Blocks: blocks, State: state, Clock: n.Clock, Logger: slog.New(slog.DiscardHandler),
		OnBroken: func(err error) { t.Errorf("the chain is broken: %v", err) },
	}
}

// Open opens a chain over memory, which is closed with the test.
func (n *Network) Open(t testing.TB) *chain.Chain {
	t.Helper()
	c, err := chain.Open(n.Config(t, kv.NewMemory(), kv.NewMemory()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Signer returns the key pair that a name stands for, with signatures that repeat.
func (n *Network) Signer(name string) suite.Signer {
	signer, err := n.Suite.GenerateKey(&stream{suite: n.Suite, seed: name})
	if err != nil {
		panic(fmt.Sprintf("key of %s: %v", name, err))
	}
	return suite.Deterministic(signer)
}

// Party returns the legal id that a name stands for.
func (n *Network) Party(name string) ledger.PartyID {
	if id, ok := n.parties[name]; ok {
		return id
	}
	id, err := ledger.CompleteUSCC(fmt.Sprintf("91310000MA%07d", len(n.parties)+1))
	if err != nil {
		panic(err)
	}
	n.parties[name] = id
	return id
}

func (n *Network) person(name string, party ledger.PartyID) suite.Hash {
	return ledger.PersonCommitment(n.Suite, []byte("the secret of the identity service"), name, party)
}

// Onboard returns the operation that admits a party with a maker, a checker and an admin key, and the names of the keys that
// must sign it.
func (n *Network) Onboard(t testing.TB, name string, roles ledger.Role) (ledger.Op, []string) {
	t.Helper()
	id, year := n.Party(name), Start+365*ledger.Day
	op := &ledger.PartyOnboard{ID: id, Name: name, Scope: "/", Roles: roles, Size: ledger.SizeMedium}
	signers := []string{"authority.a"}
	for _, k := range caps {
		key := name + "." + k.suffix
		credential, err := ledger.SignCredential(n.Signer("issuer"), ledger.Credential{Network: n.ID, Party: id,
			Key: n.Signer(key).Public(), NotAfter: year, Person: n.person(key, id)})
		if err != nil {
			t.Fatal(err)
		}
		op.Members = append(op.Members, ledger.MemberGrant{Key: credential.Key, Caps: k.caps, NotBefore: Start, NotAfter: year, Credential: credential})
		signers = append(signers, key)
	}
	return ledger.NewOp(n.Authority, op), signers
}

// OpenScope returns an operation of the root authority that one key, "authority.a", may sign.
func (n *Network) OpenScope(path string) ledger.Op {
	return ledger.NewOp(n.Authority, &ledger.ScopeOpen{Path: ledger.Scope(path), Authority: n.Authority})
}

// Now returns the wall time.
func (n *Network) Now() ledger.Time { return ledger.Time(n.Clock.Now().UnixMilli()) }

// NewTx returns an unsigned transaction that is valid for five minutes and like no other.
func (n *Network) NewTx(ops ...ledger.Op) *ledger.SignedTx {
	n.salt++
	t := &ledger.SignedTx{Tx: ledger.Tx{Version: ledger.TxVersion, Network: n.ID, ValidUntil: n.Now() + 5*ledger.Minute, Ops: ops}}
	binary.BigEndian.PutUint64(t.Tx.Salt[8:], n.salt)
	return t
}

// Sign adds signatures by named keys and returns the encoded transaction.
func (n *Network) Sign(t testing.TB, tx *ledger.SignedTx, signers ...string) []byte {
	t.Helper()
	for _, name := range signers {
		if err := tx.Sign(n.Suite, n.Signer(name)); err != nil {
			t.Fatal(err)
		}
	}
	return codec.MustMarshal(tx)
}

// Tx returns an encoded transaction.
func (n *Network) Tx(t testing.TB, signers []string, ops ...ledger.Op) []byte {
	t.Helper()
	return n.Sign(t, n.NewTx(ops...), signers...)
}

// Scope returns an encoded transaction that opens a scope.
func (n *Network) Scope(t testing.TB, path string) []byte {
	t.Helper()
	return n.Tx(t, []string{"authority.a"}, n.OpenScope(path))
}

// Batch returns the bytes of a batch closed now by the first validator.
func (n *Network) Batch(txs ...[]byte) []byte {
	return codec.MustMarshal(&ledger.Batch{Origin: n.validators[0].Public(), Wall: n.Now(), Txs: txs})
}

// BatchRequest returns the ordering request of a batch of transactions.
func (n *Network) BatchRequest(txs ...[]byte) []byte { return n.Request(n.Batch(txs...)) }

// Request returns the ordering request of a batch: its certificate, in which the first quorum of validators says that they
// verified it. The network remembers the batch for Hold.
func (n *Network) Request(batch []byte) []byte {
	return Request(n.Acknowledge(batch, n.Genesis.Validators.Quorum(), n.Genesis.Validators.Quorum()))
}

// Acknowledge returns the certificate of a batch by the first stored validators, of which the first verified say that they
// verified it. Bytes that are no batch are taken for one without transactions. The network remembers the batch for Hold.
func (n *Network) Acknowledge(batch []byte, stored, verified int) *ledger.BatchCertificate {
	head, _, err := ledger.ReadBatch(n.Suite, batch)
	if err != nil {
		head = &ledger.BatchHead{Origin: n.validators[0].Public(), Wall: n.Now(), Bytes: uint32(len(batch))}
	}
	digest := head.Digest(n.Suite)
	n.batches[digest] = batch
	return n.AcknowledgeHead(head, stored, verified)
}

// AcknowledgeHead is Acknowledge of a batch that need not exist.
func (n *Network) AcknowledgeHead(head *ledger.BatchHead, stored, verified int) *ledger.BatchCertificate {
	c := &ledger.BatchCertificate{Head: *head}
	for i := range stored {
		sig, err := n.validators[i].Sign(ledger.DomainBatchAck, ledger.AckBytes(n.ID, head.Epoch, head.Digest(n.Suite), i < verified))
		if err != nil {
			panic(err)
		}
		c.Acks = append(c.Acks, ledger.BatchAck{Validator: uint16(i), Verified: i < verified, Sig: sig})
	}
	return c
}

// Entry returns the entry of a batch in a payload, as Request certifies it.
func (n *Network) Entry(batch []byte) ledger.Entry {
	c := n.Acknowledge(batch, n.Genesis.Validators.Quorum(), n.Genesis.Validators.Quorum())
	return ledger.Entry{Digest: c.Head.Digest(n.Suite), Certificate: codec.MustMarshal(c)}
}

// Request returns the ordering request of a certificate.
func Request(c *ledger.BatchCertificate) []byte {
	return codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: codec.MustMarshal(c)})
}

// Bodies returns the batches that a block orders, as far as the network made them.
func (n *Network) Bodies(t testing.TB, b *ledger.Block) [][]byte {
	t.Helper()
	p, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		t.Fatal(err)
	}
	out := [][]byte{}
	for i := range p.Entries {
		if body, ok := n.batches[p.Entries[i].Digest]; ok {
			out = append(out, body)
		}
	}
	return out
}

// Known returns a batch that the network made a certificate of.
func (n *Network) Known(digest suite.Hash) ([]byte, bool) {
	body, ok := n.batches[digest]
	return body, ok
}

// Hold has a chain hold the batches that a block orders, as if their origin had sent them.
func (n *Network) Hold(t testing.TB, c *chain.Chain, b *ledger.Block) {
	t.Helper()
	for _, body := range n.Bodies(t, b) {
		head, _, err := ledger.ReadBatch(n.Suite, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Hold(body, head.Origin); err != nil {
			t.Fatal(err)
		}
	}
}

// Import has a chain import a block with the batches that it orders.
func (n *Network) Import(t testing.TB, c *chain.Chain, b *ledger.Block) error {
	t.Helper()
	return c.Import(b, n.Bodies(t, b))
}

// TickRequest returns the ordering request of a tick.
func TickRequest(t ledger.Tick) []byte {
	return codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestTick, Body: codec.MustMarshal(&t)})
}

// Certify replaces b's certificate by votes of the validators with the given indexes, or of the first quorum.
func (n *Network) Certify(t testing.TB, b *ledger.Block, validators ...int) {
	t.Helper()
	if len(validators) == 0 {
		for i := range n.Genesis.Validators.Quorum() {
			validators = append(validators, i)
		}
	}
	b.Certificate = ledger.Certificate{}
	for _, i := range validators {
		sig, err := n.validators[i].Sign(ledger.DomainVote, b.Header.VoteBytes(n.Suite))
		if err != nil {
			t.Fatal(err)
		}
		b.Certificate.Votes = append(b.Certificate.Votes, ledger.Vote{Validator: uint16(i), Sig: sig})
	}
}

// Assemble makes the next block of the requests, has the chain judge it, and certifies it.
func (n *Network) Assemble(t testing.TB, c *chain.Chain, requests ...[]byte) *ledger.Block {
	t.Helper()
	b, err := c.Assemble(t.Context(), []byte{1}, 2, requests)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	n.Certify(t, b)
	return b
}

// Commit makes and commits the next block of the requests and returns it once it is executed.
func (n *Network) Commit(t testing.TB, c *chain.Chain, requests ...[]byte) *ledger.Block {
	t.Helper()
	b := n.Assemble(t, c, requests...)
	n.Hold(t, c, b)
	if err := c.Commit(b); err != nil {
		t.Fatal(err)
	}
	n.Wait(t, c, b.Header.Height)
	return b
}

// Wait returns once a height is executed.
func (n *Network) Wait(t testing.TB, c *chain.Chain, height ledger.Height) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.WaitExecuted(ctx, height); err != nil {
		t.Fatalf("height %d: %v", height, err)
	}
}

// Rest commits ticks while the chain asks for them and returns how many.
func (n *Network) Rest(t testing.TB, c *chain.Chain) int {
	t.Helper()
	for blocks := 0; ; blocks++ {
		tick, need, err := c.NeedTick()
		if err != nil {
			t.Fatal(err)
		}
		if !need {
			return blocks
		}
		if blocks > 1000 {
			t.Fatal("the chain never rests")
		}
		n.Commit(t, c, TickRequest(tick))
	}
}

// Submit commits a block of one transaction and returns its receipt.
func (n *Network) Submit(t testing.TB, c *chain.Chain, tx []byte) *ledger.Receipt {
	t.Helper()
	b := n.Commit(t, c, n.BatchRequest(tx))
	receipts, err := c.Receipts(b.Header.Height)
	if err != nil {
		t.Fatal(err)
	}
	signed := n.Suite.Hash(ledger.DomainSignedTx, tx)
	i := slices.IndexFunc(receipts, func(r ledger.Receipt) bool { return r.Signed == signed })
	if i < 0 {
		t.Fatalf("block %d has no receipt of the transaction", b.Header.Height)
	}
	return &receipts[i]
}

// stream is an endless deterministic source of bytes.
type stream struct {
	suite suite.Suite
	seed  string
	n     uint64
	rest  []byte
}

var _ io.Reader = (*stream)(nil)

// Read fills b.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) < len(b) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], s.n)
		s.n++
		h := s.suite.Hash("test stream", []byte(s.seed), n[:])
		s.rest = append(s.rest, h[:]...)
	}
	copy(b, s.rest)
	s.rest = s.rest[len(b):]
	return len(b), nil
}
