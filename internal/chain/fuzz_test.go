package chain_test

import (
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
	f.Add(chaintest.Request([]byte("junk")))
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
	f.Add(codec.MustMarshal(&ledger.Payload{Entries: []ledger.Entry{{Body: []byte{1}}}, Ticks: []ledger.Tick{{Height: 9}}}))
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
