package ledger_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/ledger"
	"aval/suite"
)

// digestOf returns the digest of a batch whose transactions need not decode and are not guarded.
func digestOf(s suite.Suite, b *ledger.Batch) suite.Hash {
	signed := make([]suite.Hash, len(b.Txs))
	for i, raw := range b.Txs {
		signed[i] = s.Hash(ledger.DomainSignedTx, raw)
	}
	head := b.Head(s, signed, len(codec.MustMarshal(b)), false)
	return head.Digest(s)
}

// batchHead is of a batch by the first validator in epoch 0.
func (w *world) batchHead(guarded bool) ledger.BatchHead {
	return ledger.BatchHead{Origin: w.epochs[0][0].Key, Wall: 5000, TxRoot: suite.Hash(bytes.Repeat([]byte{1}, 32)), Bytes: 700, Guarded: guarded}
}

// acks returns acknowledgements of h by the validators 0 to 3 of its epoch: "v" for one that verified, "s" for one that only
// stored the batch, "-" for none.
func (w *world) acks(t testing.TB, h *ledger.BatchHead, who string) []ledger.BatchAck {
	t.Helper()
	out := []ledger.BatchAck{}
	for i, c := range who {
		if c != '-' {
			out = append(out, w.ack(t, uint16(i), ledger.DomainBatchAck, w.genesis.NetworkID(w.s), h.Epoch, h.Digest(w.s), c == 'v'))
		}
	}
	return out
}

func (w *world) ack(t testing.TB, i uint16, domain suite.Domain, network suite.Hash, epoch uint64, digest suite.Hash, verified bool) ledger.BatchAck {
	t.Helper()
	sig, err := w.signers[string(w.epochs[0][i].Key)].Sign(domain, ledger.AckBytes(network, epoch, digest, verified))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.BatchAck{Validator: i, Verified: verified, Sig: sig}
}

// certificateCase is a certificate and what is wrong with it, if anything.
type certificateCase struct {
	name  string
	bytes []byte
	why   string
}

// batchCertificates returns certificates of a batch in epoch 0 that four validators may acknowledge, two of which must have
// verified it, or three if it is guarded. The valid ones come first.
func (w *world) batchCertificates(t testing.TB) []certificateCase {
	t.Helper()
	plain, guarded := w.batchHead(false), w.batchHead(true)
	network := w.genesis.NetworkID(w.s)
	var out []certificateCase
	add := func(name string, h ledger.BatchHead, acks []ledger.BatchAck, why string) {
		out = append(out, certificateCase{name, codec.MustMarshal(&ledger.BatchCertificate{Head: h, Acks: acks}), why})
	}
	changed := func(h ledger.BatchHead, who string, change func(acks []ledger.BatchAck)) []ledger.BatchAck {
		acks := w.acks(t, &h, who)
		change(acks)
		return acks
	}
	signed := func(domain suite.Domain, network suite.Hash, epoch uint64, digest suite.Hash, verified bool) []ledger.BatchAck {
		acks := w.acks(t, &plain, "vvv")
		acks[1] = w.ack(t, 1, domain, network, epoch, digest, verified)
		acks[1].Verified = true
		return acks
	}
	add("three hold, two verified", plain, w.acks(t, &plain, "vvs"), "")
	add("another three", plain, w.acks(t, &plain, "-svv"), "")
	add("all hold, two verified", plain, w.acks(t, &plain, "svsv"), "")
	add("guarded, three verified", guarded, w.acks(t, &guarded, "v-vv"), "")
	add("guarded, all hold, three verified", guarded, w.acks(t, &guarded, "vvsv"), "")

	add("nobody holds", plain, w.acks(t, &plain, ""), "a quorum is 3 of 4")
	add("two hold", plain, w.acks(t, &plain, "vv"), "a quorum is 3 of 4")
	add("five hold", plain, append(w.acks(t, &plain, "vvvv"), w.acks(t, &plain, "---v")...), "a quorum is 3 of 4")
	add("one verified", plain, w.acks(t, &plain, "vsss"), "verified by 1 validators, 2 are needed")
	add("guarded, two verified", guarded, w.acks(t, &guarded, "vvss"), "verified by 2 validators, 3 are needed")
	add("not sorted", plain, changed(plain, "vvv", slices.Reverse[[]ledger.BatchAck]), "not sorted")
	add("one twice", plain, changed(plain, "vvv", func(a []ledger.BatchAck) { a[2] = a[1] }), "not sorted")
	add("stored and verified by the same", plain, append(w.acks(t, &plain, "vv"), w.acks(t, &plain, "-s")...), "not sorted")
	add("a validator that does not exist", plain, changed(plain, "vvv", func(a []ledger.BatchAck) { a[2].Validator = 4 }), "validator 4 does not exist")
	add("under another's name", plain, changed(plain, "vvv", func(a []ledger.BatchAck) { a[2].Validator = 3 }), "validator 3 (v3) is not valid")
	add("a false one beside enough", plain, changed(plain, "vvvv", func(a []ledger.BatchAck) { a[3].Sig[1] ^= 1 }), "validator 3 (v3) is not valid")
	add("an empty signature", plain, changed(plain, "vvv", func(a []ledger.BatchAck) { a[0].Sig = nil }), "validator 0 (v0) is not valid")
	add("says verified, signed stored", plain, signed(ledger.DomainBatchAck, network, 0, plain.Digest(w.s), false), "validator 1 (v1) is not valid")
	add("says stored, signed verified", plain, changed(plain, "vvv", func(a []ledger.BatchAck) { a[2].Verified = false }), "validator 2 (v2) is not valid")
	add("of another network", plain, signed(ledger.DomainBatchAck, suite.Hash{1}, 0, plain.Digest(w.s), true), "validator 1 (v1) is not valid")
	add("of another epoch", plain, signed(ledger.DomainBatchAck, network, 1, plain.Digest(w.s), true), "validator 1 (v1) is not valid")
	add("of another batch", plain, signed(ledger.DomainBatchAck, network, 0, guarded.Digest(w.s), true), "validator 1 (v1) is not valid")
	add("signed as a vote", plain, signed(ledger.DomainVote, network, 0, plain.Digest(w.s), true), "validator 1 (v1) is not valid")
	for _, c := range []struct {
		name   string
		change func(h *ledger.BatchHead)
	}{
		{"origin", func(h *ledger.BatchHead) { h.Origin = w.epochs[0][1].Key }}, {"epoch", func(h *ledger.BatchHead) { h.Epoch = 1 }},
		{"wall", func(h *ledger.BatchHead) { h.Wall++ }}, {"transactions", func(h *ledger.BatchHead) { h.TxRoot[0] ^= 1 }},
		{"size", func(h *ledger.BatchHead) { h.Bytes-- }}, {"guard", func(h *ledger.BatchHead) { h.Guarded = true }},
	} {
		h := plain
		c.change(&h)
		add("with another "+c.name, h, w.acks(t, &plain, "vvv"), "is not valid")
	}
	empty, large, nobodys := plain, plain, plain
	empty.Bytes, large.Bytes, nobodys.Origin = 0, ledger.BatchBytesMax+1, suite.PublicKey{}
	add("of a batch without bytes", empty, w.acks(t, &empty, "vvv"), "impossible size")
	add("of a batch too large", large, w.acks(t, &large, "vvv"), "impossible size")
	add("of a batch without origin", nobodys, w.acks(t, &nobodys, "vvv"), "no origin")
	good := out[0].bytes
	long := changed(plain, "vvv", func(a []ledger.BatchAck) { a[2].Sig = make([]byte, ledger.BatchCertificateBytesMax) })
	add("too long", plain, long, "the most is")
	return append(out, certificateCase{"a byte too many", append(slices.Clone(good), 0), "codec"},
		certificateCase{"a byte too few", good[:len(good)-1], "codec"}, certificateCase{"nothing", []byte{}, "codec"})
}

// judgeBatchCertificate does what a node in epoch 0 does with a certificate that somebody sends.
func judgeBatchCertificate(w *world, b []byte) (*ledger.BatchCertificate, error) {
	c, err := ledger.DecodeBatchCertificate(b)
	if err != nil {
		return nil, err
	}
	return c, c.Verify(w.s, w.genesis.NetworkID(w.s), w.genesis.Validators, w.genesis.Params.VerifyQuorum)
}

func TestBatchCertificate(t *testing.T) {
	for _, s := range suite.All() {
		w := newWorld(t, s.Name(), ledger.ClockReal)
		for _, tc := range w.batchCertificates(t) {
			_, err := judgeBatchCertificate(w, tc.bytes)
			if tc.why == "" && err != nil || tc.why != "" && (err == nil || !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("%s: a certificate, %s: %v; want %q", s.Name(), tc.name, err, tc.why)
			}
		}
	}
}

// TestVerifiersNeeded: at least f + 1 always, a quorum if the batch is guarded, more if the genesis wants it, never more than there
// are.
func TestVerifiersNeeded(t *testing.T) {
	for n := 1; n <= ledger.ValidatorsMax; n++ {
		set := make(ledger.ValidatorSet, n)
		for q := set.Faulty() + 1; q <= n; q++ {
			plain, guarded := (&ledger.BatchHead{}).VerifiersNeeded(set, uint16(q)), (&ledger.BatchHead{Guarded: true}).VerifiersNeeded(set, uint16(q))
			if plain != q || guarded != max(q, set.Quorum()) || guarded > n {
				t.Fatalf("of %d, with a verify quorum of %d: %d and, if guarded, %d", n, q, plain, guarded)
			}
		}
	}
}

// A verify quorum above the quorum is asked for too.
func TestBatchCertificateOfMoreThanAQuorum(t *testing.T) {
	w := newWorld(t, "intl", ledger.ClockReal)
	h := w.batchHead(false)
	for who, ok := range map[string]bool{"vvv": false, "vvvs": false, "vvvv": true} {
		c := ledger.BatchCertificate{Head: h, Acks: w.acks(t, &h, who)}
		if err := c.Verify(w.s, w.genesis.NetworkID(w.s), w.genesis.Validators, 4); (err == nil) != ok {
			t.Errorf("%s: %v", who, err)
		}
	}
}

// TestGuardedKinds lists what needs a quorum of verifications. A kind joins or leaves the list with a decision, not by its class.
func TestGuardedKinds(t *testing.T) {
	want := []string{
		"clock.advance", "party.onboard", "role.grant", "role.revoke", "member.add", "member.revoke", "member.rotate", "policy.set", "scope.open",
		"money.mint", "lot.freeze", "lot.unfreeze", "proposal.create", "proposal.approve", "proposal.withdraw",
	}
	var got []string
	for _, info := range ledger.Kinds() {
		if info.Kind.Guarded() {
			got = append(got, info.Name)
		}
		tx := ledger.Tx{Ops: []ledger.Op{ledger.NewOp("p", &ledger.MoneyBurn{}), {Kind: info.Kind}}}
		if tx.Guarded() != info.Kind.Guarded() {
			t.Errorf("a transaction whose second operation is %s is guarded: %t", info.Name, tx.Guarded())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("guarded are %q\nexpected  %q", got, want)
	}
	if (&ledger.Tx{}).Guarded() {
		t.Error("a transaction without operations is guarded")
	}
}

// TestReadBatch: the head is what the bytes say, and nothing else; every transaction must decode.
func TestReadBatch(t *testing.T) {
	w := newWorld(t, "sm", ledger.ClockLab)
	guarded := codec.MustMarshal(w.signedTx(t)) // it moves the clock
	plain := w.signedTx(t)
	plain.Tx.Ops = plain.Tx.Ops[:1]
	other := codec.MustMarshal(plain)
	for i, txs := range [][][]byte{{other}, {guarded}, {other, guarded}, {other, other}} {
		b := ledger.Batch{Origin: w.epochs[0][2].Key, Epoch: 3, Wall: 4000, Txs: txs}
		raw := codec.MustMarshal(&b)
		head, read, err := ledger.ReadBatch(w.s, raw)
		if err != nil || len(read) != len(txs) || head.Guarded != (i == 1 || i == 2) || int(head.Bytes) != len(raw) ||
			!bytes.Equal(head.Origin, b.Origin) || head.Epoch != 3 || head.Wall != 4000 {
			t.Fatalf("batch %d: %+v, %v", i, head, err)
		}
		if !head.Guarded && head.Digest(w.s) != digestOf(w.s, &b) {
			t.Errorf("batch %d has another digest", i)
		}
		for k := range read {
			if !bytes.Equal(codec.MustMarshal(read[k]), txs[k]) {
				t.Errorf("batch %d: transaction %d is another", i, k)
			}
		}
	}
	for name, b := range map[string]ledger.Batch{
		"no transactions": {Origin: w.epochs[0][2].Key}, "no origin": {Txs: [][]byte{other}},
		"junk": {Origin: w.epochs[0][2].Key, Txs: [][]byte{other, []byte("junk")}},
	} {
		if _, _, err := ledger.ReadBatch(w.s, codec.MustMarshal(&b)); err == nil {
			t.Errorf("a batch of %s is read", name)
		}
	}
}

// TestLargestCertificatesFit: all validators can acknowledge a batch, and a block can order as much as its counts say.
func TestLargestCertificatesFit(t *testing.T) {
	for _, s := range suite.All() {
		w := newWorld(t, s.Name(), ledger.ClockReal)
		h := w.batchHead(true)
		h.Epoch, h.Wall, h.Bytes = 1<<63, 1<<62, ledger.BatchBytesMax
		c := ledger.BatchCertificate{Head: h}
		for i := range ledger.ValidatorsMax {
			ack := w.ack(t, 0, ledger.DomainBatchAck, suite.Hash{}, h.Epoch, h.Digest(s), true)
			ack.Validator = uint16(i)
			c.Acks = append(c.Acks, ack)
			if raw := codec.MustMarshal(&ack); len(raw) > 256 {
				t.Errorf("%s: an acknowledgement has %d bytes", s.Name(), len(raw))
			} else if _, err := ledger.DecodeBatchAck(raw); err != nil {
				t.Error(err)
			}
		}
		raw := codec.MustMarshal(&c)
		if _, err := ledger.DecodeBatchCertificate(raw); err != nil {
			t.Errorf("%s: the largest certificate: %v", s.Name(), err)
		}
		if _, err := ledger.DecodeOrderingRequest(codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: raw})); err != nil {
			t.Errorf("%s: its ordering request: %v", s.Name(), err)
		}
		c.Acks = append(c.Acks, c.Acks[0])
		if _, err := ledger.DecodeBatchCertificate(codec.MustMarshal(&c)); err == nil {
			t.Errorf("%s: a certificate of more acknowledgements than there can be validators is read", s.Name())
		}
	}
	var p ledger.Payload
	for range ledger.BlockBatchesMax {
		p.Entries = append(p.Entries, ledger.Entry{Digest: suite.Hash{1}, Certificate: make([]byte, ledger.BatchCertificateBytesMax)})
	}
	for range ledger.BlockTicksMax {
		p.Ticks = append(p.Ticks, ledger.Tick{Epoch: 1 << 63, Height: 1 << 63})
	}
	raw := codec.MustMarshal(&p)
	if _, err := ledger.DecodePayload(raw); err != nil {
		t.Errorf("the largest payload: %v", err)
	}
	votes := make([]ledger.Vote, ledger.ValidatorsMax)
	for i := range votes {
		votes[i] = ledger.Vote{Validator: uint16(i), Sig: make([]byte, 65)}
	}
	block := ledger.Block{Header: newWorld(t, "sm", ledger.ClockReal).header(0, 1<<63), Payload: raw, Metadata: make([]byte, ledger.MetadataBytesMax),
		Sequence: 1 << 63, Certificate: ledger.Certificate{Votes: votes}}
	if _, err := ledger.DecodeBlock(codec.MustMarshal(&block)); err != nil {
		t.Errorf("the largest block: %v", err)
	}
}

func FuzzDecodeBatchCertificate(f *testing.F) {
	w := newWorld(f, "intl", ledger.ClockReal)
	for _, c := range w.batchCertificates(f) {
		f.Add(c.bytes)
	}
	plain, guarded := w.batchHead(false), w.batchHead(true)
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeBatchCertificate(b) })
		c, err := judgeBatchCertificate(w, b)
		if c != nil {
			again(t, b, c)
		}
		if err != nil {
			return
		}
		if digest := c.Head.Digest(w.s); digest != plain.Digest(w.s) && digest != guarded.Digest(w.s) {
			t.Fatalf("what nobody signed is certified: %+v", c)
		}
	})
}

func FuzzDecodeBatchAck(f *testing.F) {
	w := newWorld(f, "sm", ledger.ClockReal)
	h := w.batchHead(false)
	network, digest := w.genesis.NetworkID(w.s), h.Digest(w.s)
	var signed []ledger.BatchAck
	for _, who := range []string{"vvvv", "ssss"} {
		signed = append(signed, w.acks(f, &h, who)...)
	}
	for i := range signed {
		f.Add(codec.MustMarshal(&signed[i]))
	}
	f.Add(codec.MustMarshal(&ledger.BatchAck{Validator: 1 << 15}))
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeBatchAck(b) })
		a, err := ledger.DecodeBatchAck(b)
		if err != nil {
			return
		}
		again(t, b, a)
		if a.Verify(w.s, network, w.epochs[0], 0, digest) == nil && !slices.ContainsFunc(signed, func(s ledger.BatchAck) bool {
			return s.Validator == a.Validator && s.Verified == a.Verified
		}) {
			t.Fatalf("nobody signed %+v", a)
		}
	})
}
