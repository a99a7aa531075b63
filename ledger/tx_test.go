package ledger_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// codeOf returns the code of a *Failure, CodeOK for nil, and 65535 for any other error.
func codeOf(err error) ledger.Code {
	var f *ledger.Failure
	switch {
	case err == nil:
		return ledger.CodeOK
	case errors.As(err, &f):
		return f.Code
	default:
		return 65535
	}
}

// signedTx is a good transaction of w's network by three of its keys.
func (w *world) signedTx(t testing.TB) *ledger.SignedTx {
	t.Helper()
	tx := &ledger.SignedTx{Tx: ledger.Tx{
		Version: ledger.TxVersion, Network: w.genesis.NetworkID(w.s), ValidUntil: 60_000, Salt: [16]byte{15: 7},
		Ops: []ledger.Op{
			ledger.NewOp("91310000775785552L", &ledger.MoneyTransfer{
				Bank: "91350100M000100Y43", To: "5493001KJTIIGC8Y1R12", ToBank: "91350100M000100Y43", Amount: 1_200_000_000, Ref: "INV-7",
			}),
			ledger.NewOp("", &ledger.ClockAdvance{To: 1_800_000_000_000}),
		},
	}}
	for _, v := range w.epochs[0][:3] {
		if err := tx.Sign(w.s, w.signers[string(v.Key)]); err != nil {
			t.Fatal(err)
		}
	}
	return tx
}

func TestTransaction(t *testing.T) {
	for _, s := range suite.All() {
		t.Run(s.Name(), func(t *testing.T) {
			w := newWorld(t, s.Name(), ledger.ClockLab)
			network := w.genesis.NetworkID(s)
			good := codec.MustMarshal(w.signedTx(t))
			for name, test := range map[string]struct {
				change func(tx *ledger.SignedTx)
				want   ledger.Code
			}{
				"good":              {func(*ledger.SignedTx) {}, ledger.CodeOK},
				"version":           {func(tx *ledger.SignedTx) { tx.Tx.Version = 2 }, ledger.CodeEncoding},
				"another network":   {func(tx *ledger.SignedTx) { tx.Tx.Network[0] ^= 1 }, ledger.CodeNetwork},
				"no operation":      {func(tx *ledger.SignedTx) { tx.Tx.Ops = nil }, ledger.CodeEncoding},
				"33 operations":     {func(tx *ledger.SignedTx) { tx.Tx.Ops = slices.Repeat(tx.Tx.Ops[:1], 33) }, ledger.CodeEncoding},
				"unknown kind":      {func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Kind = 9999 }, ledger.CodeEncoding},
				"body of zeros":     {func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Body = []byte{0} }, ledger.CodeEncoding},
				"body of another":   {func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Kind = ledger.KindMoneyHold }, ledger.CodeEncoding},
				"no signature":      {func(tx *ledger.SignedTx) { tx.Sigs = nil }, ledger.CodeSignature},
				"too many":          {func(tx *ledger.SignedTx) { tx.Sigs = slices.Repeat(tx.Sigs[:1], 33) }, ledger.CodeSignature},
				"signed twice":      {func(tx *ledger.SignedTx) { tx.Sigs = append(tx.Sigs, tx.Sigs[2]) }, ledger.CodeEncoding},
				"not sorted":        {func(tx *ledger.SignedTx) { tx.Sigs[0], tx.Sigs[1] = tx.Sigs[1], tx.Sigs[0] }, ledger.CodeEncoding},
				"wrong signature":   {func(tx *ledger.SignedTx) { tx.Sigs[1].Sig[3] ^= 1 }, ledger.CodeSignature},
				"another's":         {func(tx *ledger.SignedTx) { tx.Sigs[1].Sig = tx.Sigs[0].Sig }, ledger.CodeSignature},
				"changed after":     {func(tx *ledger.SignedTx) { tx.Tx.ValidUntil++ }, ledger.CodeSignature},
				"salted after":      {func(tx *ledger.SignedTx) { tx.Tx.Salt[0]++ }, ledger.CodeSignature},
				"in another's name": {func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Party = "x" }, ledger.CodeSignature},
				"short signature":   {func(tx *ledger.SignedTx) { tx.Sigs[0].Sig = tx.Sigs[0].Sig[:60] }, ledger.CodeSignature},
				"no key":            {func(tx *ledger.SignedTx) { tx.Sigs[0].Key = nil }, ledger.CodeSignature},
			} {
				tx, err := ledger.DecodeSignedTx(good)
				if err != nil {
					t.Fatal(err)
				}
				test.change(tx)
				got := codeOf(tx.CheckForm(network))
				if got == ledger.CodeOK {
					got = codeOf(tx.VerifySignatures(s))
				}
				if got != test.want {
					t.Errorf("%s: %s, want %s", name, got, test.want)
				}
			}
		})
	}
}

// TestSignatureDomain: a vote or a credential over the same bytes is no signature of a transaction.
func TestSignatureDomain(t *testing.T) {
	w := newWorld(t, "intl", ledger.ClockReal)
	tx := w.signedTx(t)
	id := tx.Tx.ID(w.s)
	for _, domain := range []suite.Domain{ledger.DomainVote, ledger.DomainCredential, ledger.DomainTx, ""} {
		sig, err := w.signers[string(tx.Sigs[0].Key)].Sign(domain, id[:])
		if err != nil {
			t.Fatal(err)
		}
		tx.Sigs[0].Sig = sig
		if codeOf(tx.VerifySignatures(w.s)) != ledger.CodeSignature {
			t.Errorf("a signature under %q passes", domain)
		}
	}
}

// TestAddSignature: in whatever order signatures come, they end up sorted, once per key, the newest kept.
func TestAddSignature(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tx ledger.SignedTx
		want := map[string]string{}
		for i, k := range rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "keys") {
			key := string([]byte{k % 16, 1})
			want[key] = string([]byte{byte(i)})
			tx.AddSignature(ledger.TxSignature{Key: suite.PublicKey(key), Sig: suite.Signature(want[key])})
		}
		if len(tx.Sigs) != len(want) {
			t.Fatalf("%d signatures by %d keys", len(tx.Sigs), len(want))
		}
		for i, sig := range tx.Sigs {
			if i > 0 && bytes.Compare(tx.Sigs[i-1].Key, sig.Key) >= 0 {
				t.Fatalf("not sorted: %v", tx.Sigs)
			}
			if string(sig.Sig) != want[string(sig.Key)] {
				t.Fatalf("key %x has signature %x, want %x", sig.Key, sig.Sig, want[string(sig.Key)])
			}
		}
	})
}

// TestIDExcludesSignatures, and Signed lists what VerifySignatures checks.
func TestIDExcludesSignatures(t *testing.T) {
	w := newWorld(t, "sm", ledger.ClockReal)
	tx := w.signedTx(t)
	id := tx.Tx.ID(w.s)
	items := tx.Signed(id, nil)
	if len(items) != len(tx.Sigs) || slices.Contains(w.s.VerifyBatch(items), false) {
		t.Fatalf("Signed lists %d items, or they do not verify", len(items))
	}
	tx.Sigs = tx.Sigs[:1]
	if tx.Tx.ID(w.s) != id {
		t.Fatal("the id depends on signatures")
	}
	tx.Tx.Salt[3]++
	if tx.Tx.ID(w.s) == id {
		t.Fatal("the id does not depend on the salt")
	}
}

func TestTooLarge(t *testing.T) {
	if _, err := ledger.DecodeSignedTx(make([]byte, ledger.TxBytesMax+1)); codeOf(err) != ledger.CodeTooLarge {
		t.Errorf("%v", err)
	}
	if _, err := ledger.DecodeSignedTx(make([]byte, ledger.TxBytesMax)); codeOf(err) != ledger.CodeEncoding {
		t.Errorf("%v", err)
	}
	for name, err := range map[string]error{
		"batch":    second(ledger.DecodeBatch(make([]byte, ledger.BatchBytesMax+1))),
		"payload":  second(ledger.DecodePayload(make([]byte, ledger.PayloadBytesMax+1))),
		"block":    second(ledger.DecodeBlock(make([]byte, ledger.PayloadBytesMax+ledger.MetadataBytesMax+65<<10))),
		"request":  second(ledger.DecodeOrderingRequest(make([]byte, ledger.BatchBytesMax+1025))),
		"proof":    second(ledger.DecodeProof(make([]byte, ledger.ProofBytesMax+1))),
		"no txs":   second(ledger.DecodeBatch(codec.MustMarshal(&ledger.Batch{Origin: suite.PublicKey{1}}))),
		"no owner": second(ledger.DecodeBatch(codec.MustMarshal(&ledger.Batch{Txs: [][]byte{{1}}}))),
		"many txs": second(ledger.DecodeBatch(codec.MustMarshal(&ledger.Batch{Origin: suite.PublicKey{1}, Txs: slices.Repeat([][]byte{make([]byte, 8)}, ledger.BatchTxsMax+1)}))),
		"batches":  second(ledger.DecodePayload(codec.MustMarshal(&ledger.Payload{Entries: make([]ledger.Entry, ledger.BlockBatchesMax+1)}))),
		"ticks":    second(ledger.DecodePayload(codec.MustMarshal(&ledger.Payload{Ticks: make([]ledger.Tick, ledger.BlockTicksMax+1)}))),
		"votes": second(ledger.DecodeBlock(codec.MustMarshal(&ledger.Block{
			Certificate: ledger.Certificate{Votes: make([]ledger.Vote, ledger.ValidatorsMax+1)},
		}))),
		"metadata": second(ledger.DecodeBlock(codec.MustMarshal(&ledger.Block{Metadata: make([]byte, ledger.MetadataBytesMax+1)}))),
		"kind":     second(ledger.DecodeOrderingRequest(codec.MustMarshal(&ledger.OrderingRequest{Kind: 3}))),
	} {
		if err == nil {
			t.Errorf("%s over the limit was decoded", name)
		}
	}
	if _, err := ledger.DecodeBatch(codec.MustMarshal(&ledger.Batch{Origin: suite.PublicKey{1}, Txs: [][]byte{{1}}})); err != nil {
		t.Errorf("a small batch: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestDerivedIDs: each thing that each operation makes has an id of its own.
func TestDerivedIDs(t *testing.T) {
	w := newWorld(t, "intl", ledger.ClockReal)
	seen := map[suite.Hash]bool{}
	for op := range 300 {
		for n := range 3 {
			id := ledger.DerivedID(w.s, suite.Hash{1}, op, n*200)
			if seen[id] {
				t.Fatalf("operation %d makes %d twice", op, n)
			}
			seen[id] = true
		}
	}
}

// TestTextThatIsNotSeen: nothing that a person reads before signing can be hidden or dressed up, wherever in an operation it stands.
func TestTextThatIsNotSeen(t *testing.T) {
	hold := func(text string) ledger.Op { return ledger.NewOp("P", &ledger.MoneyHold{Beneficiary: "Q", Ref: text}) }
	nested := func(text string) ledger.Op {
		return ledger.NewOp("P", &ledger.ProposalCreate{Ops: []ledger.Op{hold(text)}, Parties: []ledger.PartyID{"P"}})
	}
	for _, text := range []string{
		"", "INV-2026/0915", "华辰汽车 第三批货款", "Müller & Söhne — 3 %", "𠮷野家", "한국", "नमस्ते", "👍",
	} {
		for _, op := range []ledger.Op{hold(text), nested(text)} {
			if _, err := op.Decode(); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	for _, text := range []string{
		"a\nApproved by everybody", "a\x1b[2K\rVALID", "a\x00b", "a\tb", "\x7f", "\u0085", "paid\u202e000,1", "a\u2066b", "a\u200bb", "a\u2028b",
		"\ufeff", "a\u00adb", "\u3164", "x\U000e0041", "a\u200d",
	} {
		for _, op := range []ledger.Op{hold(text), nested(text)} {
			if _, err := op.Decode(); err == nil {
				t.Errorf("%q is accepted in %s", text, op.Kind)
			}
		}
	}
}
