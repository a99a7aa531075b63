package chain_test

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/chain/chaintest"
	"aval/ledger"
)

// FuzzRequestID reads whatever a peer may forward. What is taken has an id that it keeps, and can be put into a block.
func FuzzRequestID(f *testing.F) {
	n := chaintest.New(f, chaintest.Options{})
	c := n.Open(f)
	f.Add(n.BatchRequest(n.Scope(f, "/a")))
	f.Add(n.BatchRequest(n.Scope(f, "/a"), n.Tx(f, []string{"authority.m", "authority.c"}, n.OpenScope("/b"), n.OpenScope("/c"))))
	f.Add(chaintest.TickRequest(ledger.Tick{Height: 1}))
	f.Add(chaintest.TickRequest(ledger.Tick{Epoch: 1, Height: 1 << 63}))
	f.Add(n.Request([]byte("junk")))
	cert := n.Acknowledge(n.Batch(n.Scope(f, "/a")), 1, 1)
	cert.Acks[0].Sig[3] ^= 1
	f.Add(chaintest.Request(cert))
	f.Add(chaintest.Request(n.Acknowledge(n.Batch(n.Scope(f, "/a")), 1, 0)))
	f.Add(chaintest.Request(&ledger.BatchCertificate{}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := c.RequestID(raw)
		if err != nil {
			return
		}
		again, err := c.RequestID(raw)
		if err != nil || again != id {
			t.Fatalf("%q, then %q, %v", id, again, err)
		}
		b, err := c.Assemble(t.Context(), nil, 0, [][]byte{raw})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(t.Context(), b); err != nil {
			t.Fatalf("a block of a request that was taken: %v", err)
		}
	})
}

// FuzzValidate judges whatever a leader may propose as a payload.
func FuzzValidate(f *testing.F) {
	n := chaintest.New(f, chaintest.Options{})
	c := n.Open(f)
	empty := n.Assemble(f, c)
	f.Add(empty.Payload)
	f.Add(n.Assemble(f, c, n.BatchRequest(n.Scope(f, "/a")), chaintest.TickRequest(ledger.Tick{Height: 1})).Payload)
	f.Add(codec.MustMarshal(&ledger.Payload{Entries: []ledger.Entry{{Certificate: []byte{1}}}, Ticks: []ledger.Tick{{Height: 9}}}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := ledger.DecodePayload(payload)
		if err != nil {
			p = &ledger.Payload{}
		}
		b := rebuilt(n, empty, payload, p.Root(n.Suite))
		invalid := c.Validate(t.Context(), b)
		if err != nil && invalid == nil {
			t.Fatalf("a payload that does not decode is valid: %v", err)
		}
		if _, err := c.Requests(payload); err != nil && invalid == nil {
			t.Fatalf("a valid payload has no requests: %v", err)
		}
	})
}

// FuzzHold reads whatever a peer may push. What is taken is held under its digest, as it came, and its head is what anybody else
// reads of it.
func FuzzHold(f *testing.F) {
	n := chaintest.New(f, chaintest.Options{})
	c := n.Open(f)
	origin := n.Genesis.Validators[0].Key
	forged := n.NewTx(n.OpenScope("/c"))
	n.Sign(f, forged, "authority.a")
	forged.Sigs[0].Sig[5] ^= 1
	f.Add(n.Batch(n.Scope(f, "/a")))
	f.Add(n.Batch(n.Scope(f, "/a"), n.Tx(f, []string{"authority.m", "authority.c"}, n.OpenScope("/b"), n.OpenScope("/c"))))
	f.Add(n.Batch(codec.MustMarshal(forged)))
	f.Add(n.Batch())
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, body []byte) {
		digest, head, err := c.Hold(body, origin)
		if err != nil {
			return
		}
		read, _, err := ledger.ReadBatch(n.Suite, body)
		if err != nil || read.Digest(n.Suite) != digest || head.Digest(n.Suite) != digest {
			t.Fatalf("the batch is %s, read again %+v, %v", digest, read, err)
		}
		if have, err := c.BatchBytes(digest); err != nil || !bytes.Equal(have, body) {
			t.Fatalf("batch %s is held as %x, %v", digest, have, err)
		}
		if first, again := c.VerifyHeld(digest), c.VerifyHeld(digest); (first == nil) != (again == nil) {
			t.Fatalf("batch %s is verified with %v, then with %v", digest, first, again)
		}
	})
}
