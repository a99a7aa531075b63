package ledger_test

import (
	"testing"

	"aval/ledger"
	"aval/suite"
)

// TestQuorum: any two quorums share an honest validator, and the honest alone make one.
func TestQuorum(t *testing.T) {
	for n := 1; n <= ledger.ValidatorsMax; n++ {
		set := make(ledger.ValidatorSet, n)
		f, q := set.Faulty(), set.Quorum()
		if f != (n-1)/3 || 2*q-n <= f || q > n-f || 2*(q-1)-n > f {
			t.Errorf("n=%d f=%d quorum=%d", n, f, q)
		}
	}
}

func TestVerifyCertificate(t *testing.T) {
	for _, s := range suite.All() {
		t.Run(s.Name(), func(t *testing.T) {
			w := newWorld(t, s.Name(), ledger.ClockReal)
			h := w.header(0, 5)
			full := w.certify(t, &h, 4)
			votes := func(index ...int) ledger.Certificate {
				var c ledger.Certificate
				for _, i := range index {
					c.Votes = append(c.Votes, full.Votes[i])
				}
				return c
			}
			forged := votes(0, 1, 2)
			forged.Votes[1].Sig = forged.Votes[0].Sig
			spare := votes(0, 1, 2, 3)
			spare.Votes[3].Sig = spare.Votes[0].Sig
			outside := votes(0, 1, 2)
			outside.Votes[2].Validator = 4
			other := w.header(0, 6)
			later := h
			later.Epoch = 1
			elsewhere := h
			elsewhere.Network[0] ^= 1
			foreign := h
			foreign.Validators[0] ^= 1
			for _, test := range []struct {
				name string
				h    ledger.Header
				c    ledger.Certificate
				ok   bool
			}{
				{"three", h, votes(0, 1, 2), true}, {"other three", h, votes(0, 2, 3), true}, {"all", h, full, true},
				{"two", h, votes(0, 1), false}, {"none", h, ledger.Certificate{}, false}, {"repeated", h, votes(0, 1, 1), false},
				{"not sorted", h, votes(1, 0, 2), false}, {"one too many", h, votes(0, 1, 2, 3, 3), false}, {"forged", h, forged, false},
				{"a false vote beside a quorum", h, spare, false}, {"no such validator", h, outside, false},
				{"of another header", other, votes(0, 1, 2), false}, {"of another epoch", later, votes(0, 1, 2), false},
				{"of another network", elsewhere, votes(0, 1, 2), false}, {"of another set", foreign, votes(0, 1, 2), false},
			} {
				if err := ledger.VerifyCertificate(s, w.epochs[0], &test.h, &test.c); (err == nil) != test.ok {
					t.Errorf("%s: %v", test.name, err)
				}
			}
		})
	}
}

// TestHeaderHashCoversEverything: no field can change without the hash.
func TestHeaderHashCoversEverything(t *testing.T) {
	w := newWorld(t, "sm", ledger.ClockReal)
	base := w.header(0, 5)
	want := base.Hash(w.s)
	hashes := func(h *ledger.Header) []*suite.Hash {
		return []*suite.Hash{
			&h.Network, &h.Previous, &h.Proposal, &h.PayloadHash, &h.PayloadRoot, &h.StateRoot, &h.WriteRoot, &h.ReceiptsRoot, &h.Validators,
			&h.NextValidators,
		}
	}
	for i := range hashes(&base) {
		h := base
		hashes(&h)[i][31] ^= 1
		if h.Hash(w.s) == want {
			t.Errorf("hash field %d is not covered", i)
		}
	}
	for name, change := range map[string]func(h *ledger.Header){
		"version": func(h *ledger.Header) { h.Version++ }, "suite": func(h *ledger.Header) { h.Suite++ },
		"epoch": func(h *ledger.Header) { h.Epoch++ }, "height": func(h *ledger.Header) { h.Height++ },
		"wall": func(h *ledger.Header) { h.Wall++ }, "time": func(h *ledger.Header) { h.Time++ },
	} {
		h := base
		if change(&h); h.Hash(w.s) == want {
			t.Errorf("%s is not covered", name)
		}
	}
}

// TestProposalHash and the batch digest bind what they are made of.
func TestBoundTogether(t *testing.T) {
	w := newWorld(t, "intl", ledger.ClockReal)
	seen := map[suite.Hash]string{}
	add := func(name string, h suite.Hash) {
		if other, dup := seen[h]; dup {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[h] = name
	}
	add("metadata", ledger.ProposalHash(w.s, []byte("m"), 1))
	add("sequence", ledger.ProposalHash(w.s, []byte("m"), 2))
	add("high sequence", ledger.ProposalHash(w.s, []byte("m"), 1<<63))
	add("no metadata", ledger.ProposalHash(w.s, nil, 1))
	b := ledger.Batch{Origin: suite.PublicKey{1}, Epoch: 1, Wall: 1, Txs: [][]byte{{1}, {2}}}
	add("batch", digestOf(w.s, &b))
	for name, change := range map[string]func(b *ledger.Batch){
		"origin": func(b *ledger.Batch) { b.Origin = suite.PublicKey{2} }, "epoch": func(b *ledger.Batch) { b.Epoch++ },
		"wall": func(b *ledger.Batch) { b.Wall++ }, "order": func(b *ledger.Batch) { b.Txs = [][]byte{{2}, {1}} },
		"fewer": func(b *ledger.Batch) { b.Txs = b.Txs[:1] }, "joined": func(b *ledger.Batch) { b.Txs = [][]byte{{1, 2}} },
	} {
		other := b
		change(&other)
		add(name, digestOf(w.s, &other))
	}
	p := ledger.Payload{Entries: []ledger.Entry{{Digest: suite.Hash{1}}, {Digest: suite.Hash{2}}}}
	add("payload", p.Root(w.s))
	add("empty payload", (&ledger.Payload{}).Root(w.s))
	p.Entries = p.Entries[:1]
	add("one entry", p.Root(w.s))
}
