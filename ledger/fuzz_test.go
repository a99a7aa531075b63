package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/ledger"
	"aval/suite"
)

// again fails unless v, which was decoded from b, encodes to exactly b.
func again(t *testing.T, b []byte, v any) {
	t.Helper()
	if got, err := codec.Marshal(v); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("%x was decoded as %+v, which encodes as %x, %v", b, v, got, err)
	}
}

// FuzzDecodeSignedTx: whatever is accepted encodes back, and judging it never panics; every refusal has a code.
func FuzzDecodeSignedTx(f *testing.F) {
	w := newWorld(f, "intl", ledger.ClockLab)
	f.Add(codec.MustMarshal(w.signedTx(f)))
	f.Add(codec.MustMarshal(&ledger.SignedTx{}))
	f.Add(make([]byte, 64))
	network := w.genesis.NetworkID(w.s)
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeSignedTx(b) })
		tx, err := ledger.DecodeSignedTx(b)
		if err != nil {
			if codeOf(err) != ledger.CodeEncoding && codeOf(err) != ledger.CodeTooLarge {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		again(t, b, tx)
		for _, err := range []error{tx.CheckForm(network), tx.CheckForm(tx.Tx.Network), tx.VerifySignatures(w.s)} {
			if f := new(ledger.Failure); err != nil && !errors.As(err, &f) {
				t.Fatalf("refused without a code: %v", err)
			}
		}
	})
}

// FuzzDecodeOp reads one body as every kind of operation.
func FuzzDecodeOp(f *testing.F) {
	for _, info := range ledger.Kinds() {
		f.Add(codec.MustMarshal(info.New()))
	}
	f.Add(codec.MustMarshal(&ledger.VoucherOffer{Parts: []ledger.OfferPart{{Amount: 5, To: "x", Evidence: []ledger.EvidenceUse{{}}}}}))
	f.Add(codec.MustMarshal(&ledger.ProposalCreate{Ops: []ledger.Op{ledger.NewOp("p", &ledger.MemberAdd{})}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, info := range ledger.Kinds() {
			op := ledger.Op{Kind: info.Kind, Body: b}
			if body, err := op.Decode(); err == nil {
				again(t, b, body)
			}
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(codec.MustMarshal(&ledger.Batch{Origin: suite.PublicKey{1}, Txs: [][]byte{{1}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeBatch(b) })
		if batch, err := ledger.DecodeBatch(b); err == nil {
			again(t, b, batch)
		}
	})
}

func FuzzDecodePayload(f *testing.F) {
	f.Add(codec.MustMarshal(&ledger.Payload{Entries: []ledger.Entry{{Digest: suite.Hash{1}, Certificate: []byte{1}}}, Ticks: []ledger.Tick{{Height: 3}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodePayload(b) })
		if p, err := ledger.DecodePayload(b); err == nil {
			again(t, b, p)
		}
	})
}

// FuzzDecodeBlock also asks every question a certificate must answer.
func FuzzDecodeBlock(f *testing.F) {
	w := newWorld(f, "intl", ledger.ClockReal)
	h := w.header(0, 5)
	f.Add(codec.MustMarshal(&ledger.Block{Header: h, Payload: []byte{1}, Certificate: w.certify(f, &h, 3)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeBlock(b) })
		block, err := ledger.DecodeBlock(b)
		if err != nil {
			return
		}
		again(t, b, block)
		if ledger.VerifyCertificate(w.s, w.epochs[0], &block.Header, &block.Certificate) == nil && block.Header != h {
			t.Fatalf("a header that nobody signed is certified: %+v", block.Header)
		}
	})
}

func FuzzDecodeOrderingRequest(f *testing.F) {
	f.Add(codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestTick, Body: []byte{1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeOrderingRequest(b) })
		if r, err := ledger.DecodeOrderingRequest(b); err == nil {
			again(t, b, r)
		}
	})
}

func FuzzDecodeGenesis(f *testing.F) {
	for _, name := range []string{"sm", "intl"} {
		f.Add(codec.MustMarshal(&newWorld(f, name, ledger.ClockLab).genesis))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _, _ = ledger.DecodeGenesis(b) })
		if g, s, err := ledger.DecodeGenesis(b); err == nil {
			again(t, b, g)
			g.NetworkID(s)
		}
	})
}

func FuzzDecodeProof(f *testing.F) {
	w := newWorld(f, "intl", ledger.ClockReal)
	f.Add(codec.MustMarshal(w.receiptProof(f, 1, 3)))
	f.Add(codec.MustMarshal(w.stateProof(f, 0, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeProof(b) })
		if p, err := ledger.DecodeProof(b); err == nil {
			again(t, b, p)
		}
	})
}

// FuzzDecodeFalseAttestation: what is accepted encodes back, and nobody is accused of what he did not sign.
func FuzzDecodeFalseAttestation(f *testing.F) {
	w := newWorld(f, "intl", ledger.ClockReal)
	network := w.genesis.NetworkID(w.s)
	h := w.batchHead(false)
	tx := w.signedTx(f)
	tx.Sigs[1].Sig[3] ^= 1
	raw := codec.MustMarshal(tx)
	signed := []suite.Hash{{1}, w.s.Hash(ledger.DomainSignedTx, raw), {2}}
	for _, inBatch := range []bool{true, false} {
		if inBatch {
			h.TxRoot = ledger.TxRoot(w.s, signed)
		} else {
			h.TxRoot = suite.Hash{9}
		}
		c := ledger.BatchCertificate{Head: h, Acks: w.acks(f, &h, "vsv")}
		proof, err := ledger.NewFalseAttestation(w.s, network, &c, raw, signed, 1)
		if err != nil {
			f.Fatal(err)
		}
		if a, err := proof.Verify(w.s, network, w.epochs[0]); inBatch != (err == nil) || err == nil && fmt.Sprint(a.Validators) != "[v0 v2]" {
			f.Fatalf("a proof accuses %+v, %v", a, err)
		}
		f.Add(codec.MustMarshal(proof))
	}
	f.Add(codec.MustMarshal(&ledger.FalseAttestation{Version: ledger.ProofVersion}))
	h.TxRoot = ledger.TxRoot(w.s, signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = ledger.DecodeFalseAttestation(b) })
		p, err := ledger.DecodeFalseAttestation(b)
		if err != nil {
			return
		}
		again(t, b, p)
		if a, err := p.Verify(w.s, network, w.epochs[0]); err == nil && a.Batch != h.Digest(w.s) {
			t.Fatalf("%v are accused of a batch that they never saw", a.Validators)
		}
	})
}

// FuzzText reads text as everything that is written as text: what is read prints and reads again as the same.
func FuzzText(f *testing.F) {
	for _, s := range []string{"12,000,000.00", "2026-09-15", "91310000775785552L", "5493001KJTIIGC8Y1R12", "/auto/huachen", "bank+core", "42", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ledger.ParseYuan(s); err == nil {
			if b, err := ledger.ParseYuan(a.String()); err != nil || a != b {
				t.Fatalf("%q: %s, %s, %v", s, a, b, err)
			}
		}
		if d, err := ledger.ParseDate(s); err == nil && d.String() != s {
			t.Fatalf("%q: %s", s, d)
		}
		if r, err := ledger.ParseRole(s); err == nil && !r.Known() {
			t.Fatalf("%q: %d", s, r)
		}
		if c, err := ledger.ParseCapability(s); err == nil && !c.Known() {
			t.Fatalf("%q: %d", s, c)
		}
		if ledger.PartyID(s).Check() == nil && len(s) > ledger.PartyIDBytesMax {
			t.Fatalf("%q is a legal id", s)
		}
		if scope := ledger.Scope(s); scope.Check() == nil && (scope.Parent().Check() != nil || len(scope.Parent()) > len(s)) {
			t.Fatalf("%q has the parent %q", s, scope.Parent())
		}
		text := []byte(s)
		for _, v := range []interface {
			UnmarshalText([]byte) error
			MarshalText() ([]byte, error)
		}{new(ledger.Fen), new(ledger.Time), new(ledger.Date), new(ledger.Height), new(ledger.Kind)} {
			if v.UnmarshalText(text) != nil {
				continue
			}
			if _, err := v.MarshalText(); err != nil {
				t.Fatalf("%T from %q: %v", v, s, err)
			}
		}
		ledger.CanonicalInvoiceNumber(s)
	})
}
