package chain_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/ledger"
	"aval/suite"
)

// refused reports an error unless the chain finds b invalid; why must stand in its reason.
func refused(t *testing.T, c *chain.Chain, what string, b *ledger.Block, why string) {
	t.Helper()
	err := c.Validate(t.Context(), b)
	if !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %v; want a refusal that says %q", what, err, why)
	}
}

func TestEveryFieldOfAHeaderIsRecomputed(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	c := n.Open(t)
	for _, path := range []string{"/a", "/b", "/c"} {
		n.Clock.Advance(time.Second)
		n.Commit(t, c, n.BatchRequest(n.Scope(t, path)))
	}
	good := n.Assemble(t, c, n.BatchRequest(n.Scope(t, "/d")))
	typ := reflect.TypeFor[ledger.Header]()
	for i := range typ.NumField() {
		b := *good
		f := reflect.ValueOf(&b.Header).Elem().Field(i)
		switch f.Kind() {
		case reflect.Array:
			f.Index(31).SetUint(f.Index(31).Uint() ^ 1)
		case reflect.Int64:
			f.SetInt(f.Int() + 1)
		default:
			f.SetUint(f.Uint() + 1)
		}
		refused(t, c, typ.Field(i).Name, &b, "")
	}
	for what, change := range map[string]func(b *ledger.Block){
		"metadata":      func(b *ledger.Block) { b.Metadata = []byte{9} },
		"sequence":      func(b *ledger.Block) { b.Sequence++ },
		"payload":       func(b *ledger.Block) { b.Payload = codec.MustMarshal(&ledger.Payload{}) },
		"long metadata": func(b *ledger.Block) { b.Metadata = make([]byte, ledger.MetadataBytesMax+1) },
		"earlier wall":  func(b *ledger.Block) { b.Header.Wall, b.Header.Time = c.Head().Header.Wall-1, c.Head().Header.Wall-1 },
	} {
		b := *good
		change(&b)
		refused(t, c, what, &b, "")
	}
	if err := c.Validate(t.Context(), good); err != nil {
		t.Errorf("the block itself: %v", err)
	}
}

// rebuilt returns b with another payload and the header that goes with it.
func rebuilt(n *chaintest.Network, b *ledger.Block, payload []byte, root suite.Hash) *ledger.Block {
	out := *b
	out.Payload, out.Header.PayloadRoot = payload, root
	out.Header.PayloadHash = n.Suite.Hash(ledger.DomainPayload, payload)
	return &out
}

func withPayload(n *chaintest.Network, b *ledger.Block, p *ledger.Payload) *ledger.Block {
	return rebuilt(n, b, codec.MustMarshal(p), p.Root(n.Suite))
}

// batchAt returns a batch that the first validator closed at wall.
func batchAt(n *chaintest.Network, wall ledger.Time, txs ...[]byte) []byte {
	return codec.MustMarshal(&ledger.Batch{Origin: n.Genesis.Validators[0].Key, Wall: wall, Txs: txs})
}

func entry(n *chaintest.Network, c *ledger.BatchCertificate) ledger.Entry {
	return ledger.Entry{Digest: c.Head.Digest(n.Suite), Certificate: codec.MustMarshal(c)}
}

func TestPayloadRules(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	other := chaintest.New(t, chaintest.Options{Validators: 4, Name: " other"})
	c := n.Open(t)
	done := n.Batch(n.Scope(t, "/a"))
	n.Commit(t, c, n.Request(done), chaintest.TickRequest(ledger.Tick{Height: 1}))
	n.Clock.Advance(time.Second)
	empty := n.Assemble(t, c)
	now, tx := n.Now(), n.Scope(t, "/b")

	good := n.Entry(n.Batch(tx))
	misnamed, longer := good, good
	misnamed.Digest[0] ^= 1
	longer.Certificate = append(slices.Clone(good.Certificate), 0)
	epoch := codec.MustMarshal(&ledger.Batch{Origin: n.Genesis.Validators[0].Key, Epoch: 1, Wall: now, Txs: [][]byte{tx}})
	forged := n.Acknowledge(n.Batch(tx), 4, 3) // one false acknowledgement beside enough
	forged.Acks[3].Sig[5] ^= 1
	guarded := n.Acknowledge(n.Batch(tx), 3, 2)
	honest := n.Acknowledge(n.Batch(n.Tx(t, []string{"authority.m"}, ledger.NewOp(n.Authority, &ledger.MoneyBurn{}))), 3, 2)
	doubted := n.Acknowledge(n.Batch(n.Tx(t, []string{"authority.m"}, ledger.NewOp(n.Authority, &ledger.MoneyBurn{}))), 4, 1)
	single := func(c *ledger.BatchCertificate) []ledger.Entry { return []ledger.Entry{entry(n, c)} }
	wide := make([]ledger.Entry, 5) // batches of 2 MiB, as they say
	for i := range wide {
		head := ledger.BatchHead{Origin: n.Genesis.Validators[0].Key, Wall: now, TxRoot: suite.Hash{byte(i)}, Bytes: ledger.BatchBytesMax}
		wide[i] = entry(n, n.AcknowledgeHead(&head, 3, 3))
	}

	for _, tc := range []struct {
		what    string
		payload ledger.Payload
		why     string // empty if it is valid
	}{
		{"nothing", ledger.Payload{}, ""},
		{"one batch", ledger.Payload{Entries: []ledger.Entry{good}}, ""},
		{"the oldest batch", ledger.Payload{Entries: []ledger.Entry{n.Entry(batchAt(n, now-ledger.BatchAgeMax, tx))}}, ""},
		{"too old a batch", ledger.Payload{Entries: []ledger.Entry{n.Entry(batchAt(n, now-ledger.BatchAgeMax-1, tx))}}, "cannot be in a block"},
		{"a batch a little ahead", ledger.Payload{Entries: []ledger.Entry{n.Entry(batchAt(n, now+ledger.Minute, tx))}}, ""},
		{"a batch too far ahead", ledger.Payload{Entries: []ledger.Entry{n.Entry(batchAt(n, now+ledger.Minute+1, tx))}}, "cannot be in a block"},
		{"a batch twice", ledger.Payload{Entries: []ledger.Entry{good, good}}, "ordered twice"},
		{"a batch again", ledger.Payload{Entries: []ledger.Entry{n.Entry(done)}}, "ordered twice"},
		{"another digest", ledger.Payload{Entries: []ledger.Entry{misnamed}}, "does not match its digest"},
		{"another epoch", ledger.Payload{Entries: []ledger.Entry{n.Entry(epoch)}}, "the request is for epoch 1"},
		{"another network's batch", ledger.Payload{Entries: []ledger.Entry{other.Entry(other.Batch(other.Scope(t, "/b")))}}, "is not valid"},
		{"a batch that two hold", ledger.Payload{Entries: single(n.Acknowledge(n.Batch(tx), 2, 2))}, "a quorum is 3 of 4"},
		{"a batch that all hold", ledger.Payload{Entries: single(n.Acknowledge(n.Batch(tx), 4, 4))}, ""},
		{"keys verified by two", ledger.Payload{Entries: single(guarded)}, "verified by 2 validators, 3 are needed"},
		{"money verified by two", ledger.Payload{Entries: single(honest)}, ""},
		{"money verified by one", ledger.Payload{Entries: single(doubted)}, "verified by 1 validators, 2 are needed"},
		{"a forged acknowledgement", ledger.Payload{Entries: single(forged)}, "acknowledgement of validator 3"},
		{"no certificate", ledger.Payload{Entries: []ledger.Entry{{Digest: good.Digest}}}, "batch 0"},
		{"a certificate and a byte", ledger.Payload{Entries: []ledger.Entry{longer}}, "batch 0"},
		{"a batch in place of its certificate", ledger.Payload{Entries: []ledger.Entry{{Digest: good.Digest, Certificate: n.Batch(tx)}}}, "batch 0"},
		{"as many bytes as a block may order", ledger.Payload{Entries: wide[:4]}, ""},
		{"more bytes than a block may order", ledger.Payload{Entries: wide}, "more than 8388608 bytes"},
		{"a tick", ledger.Payload{Ticks: []ledger.Tick{{Height: 2}}}, ""},
		{"a stale tick", ledger.Payload{Ticks: []ledger.Tick{{Height: 0}, {Height: 2}}}, ""},
		{"a tick of the future", ledger.Payload{Ticks: []ledger.Tick{{Height: 3}}}, "tick of epoch 0 for height 3"},
		{"a tick of another epoch", ledger.Payload{Ticks: []ledger.Tick{{Epoch: 1, Height: 2}}}, "tick of epoch 1"},
		{"a tick twice", ledger.Payload{Ticks: []ledger.Tick{{Height: 2}, {Height: 2}}}, "ordered twice"},
		{"a tick again", ledger.Payload{Ticks: []ledger.Tick{{Height: 1}}}, "ordered twice"},
		{"many ticks", ledger.Payload{Ticks: make([]ledger.Tick, ledger.BlockTicksMax+1)}, "at most"},
		{"many batches", ledger.Payload{Entries: make([]ledger.Entry, ledger.BlockBatchesMax+1)}, "at most"},
	} {
		b := withPayload(n, empty, &tc.payload)
		if tc.why != "" {
			refused(t, c, tc.what, b, tc.why)
		} else if err := c.Validate(t.Context(), b); err != nil {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
	refused(t, c, "bytes behind the payload", rebuilt(n, empty, append(slices.Clone(empty.Payload), 0), empty.Header.PayloadRoot), "payload")
	refused(t, c, "a payload over the limit", rebuilt(n, empty, make([]byte, ledger.PayloadBytesMax+1), empty.Header.PayloadRoot), "the most is")
}

func TestAssembleLeavesOutWhatCannotBeOrdered(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	done := n.BatchRequest(n.Scope(t, "/a"))
	n.Commit(t, c, done)
	n.Clock.Advance(time.Hour)
	old := n.Request(batchAt(n, n.Now()-ledger.BatchAgeMax-1, n.Scope(t, "/b")))
	good := n.BatchRequest(n.Scope(t, "/c"))
	tick := chaintest.TickRequest(ledger.Tick{Height: 2})
	requests := [][]byte{
		[]byte("junk"), done, old, good, good, tick, tick,
		chaintest.TickRequest(ledger.Tick{Height: 3}), chaintest.TickRequest(ledger.Tick{Epoch: 1, Height: 2}),
	}
	b := n.Assemble(t, c, requests...)
	ids, err := c.Requests(b.Payload)
	if err != nil || len(ids) != 2 {
		t.Fatalf("the block orders %v, %v", ids, err)
	}
	for i, raw := range [][]byte{good, tick} {
		if id, err := c.RequestID(raw); err != nil || id != ids[i] || c.Ordered(id) {
			t.Errorf("request %d: %s, %v, ordered %t", i, id, err, c.Ordered(id))
		}
	}
	n.Hold(t, c, b)
	if err := c.Commit(b); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !c.Ordered(id) {
			t.Errorf("request %s was ordered and is not known", id)
		}
	}
	if _, err := c.RequestID(chaintest.TickRequest(ledger.Tick{Height: 4})); err == nil {
		t.Error("a tick for a height that is not next is taken")
	}
	if _, err := c.RequestID(chaintest.TickRequest(ledger.Tick{Height: 3})); err != nil {
		t.Errorf("a tick for the next height: %v", err)
	}
	if _, err := c.Requests([]byte("junk")); err == nil {
		t.Error("junk is a payload")
	}
}

func TestAssembleKeepsToTheLimits(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	// Five batches of nearly 2 MiB: four fit.
	note := strings.Repeat("x", ledger.TextBytesMax)
	var requests [][]byte
	for range 5 {
		var txs [][]byte
		for bytes := 0; bytes < ledger.BatchBytesMax-ledger.TxBytesMax; bytes += len(txs[len(txs)-1]) {
			ops := make([]ledger.Op, ledger.TxOpsMax)
			for i := range ops {
				ops[i] = ledger.NewOp(n.Authority, &ledger.MemberRevoke{Key: make([]byte, 32), Reason: note})
			}
			txs = append(txs, n.Tx(t, []string{"authority.a"}, ops...))
		}
		requests = append(requests, n.BatchRequest(txs...))
	}
	for i := range 2 * ledger.BlockTicksMax {
		requests = append(requests, chaintest.TickRequest(ledger.Tick{Height: ledger.Height(i % 2)}))
	}
	b := n.Assemble(t, c, requests...)
	p, err := ledger.DecodePayload(b.Payload)
	if err != nil || len(p.Entries) != 4 || len(p.Ticks) != 2 {
		t.Fatalf("%d batches and %d ticks in %d bytes, %v", len(p.Entries), len(p.Ticks), len(b.Payload), err)
	}
	// As many batches as are allowed and one more.
	requests = nil
	for range ledger.BlockBatchesMax + 1 {
		requests = append(requests, n.BatchRequest(n.Scope(t, "/a")))
	}
	b = n.Assemble(t, c, requests...)
	if p, err = ledger.DecodePayload(b.Payload); err != nil || len(p.Entries) != ledger.BlockBatchesMax {
		t.Fatalf("%d batches, %v", len(p.Entries), err)
	}
}

func TestForgedCertificateIsNotARequest(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Suite: "sm", Validators: 4})
	c := n.Open(t)
	batch := n.Batch(n.Scope(t, "/a"))
	request := n.Request(batch)
	for range 2 { // the second time it is known
		if _, err := c.RequestID(request); err != nil {
			t.Fatal(err)
		}
	}
	forged := n.Acknowledge(batch, 3, 3)
	forged.Acks[1].Sig[64] ^= 1 // the flag of the nonce point
	for _, junk := range [][]byte{nil, {0}, []byte("junk"), chaintest.Request(forged), append(bytes.Clone(request), 0),
		chaintest.Request(&ledger.BatchCertificate{}), bytes.Repeat([]byte{0xff}, ledger.BatchCertificateBytesMax+2048),
		codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: batch}),
		codec.MustMarshal(&ledger.OrderingRequest{Kind: 3, Body: batch}),
		codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestTick, Body: []byte{1}})} {
		if _, err := c.RequestID(junk); err == nil {
			t.Errorf("junk of %d bytes is a request", len(junk))
		}
	}
}
