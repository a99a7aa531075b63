package chain_test

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// TestAuditProvesFalseAttestation lets a quorum attest a batch with an invalid signature, which takes more liars than the
// ledger tolerates, and has a node that audits prove it.
func TestAuditProvesFalseAttestation(t *testing.T) {
	for _, name := range []string{"sm", "intl"} {
		n := chaintest.New(t, chaintest.Options{Suite: name, Validators: 4})
		forged := n.NewTx(n.OpenScope("/b"))
		n.Sign(t, forged, "authority.a")
		forged.Sigs[0].Sig[5] ^= 1
		honest, lie := n.BatchRequest(n.Scope(t, "/a")), n.BatchRequest(n.Scope(t, "/c"), codec.MustMarshal(forged), n.Scope(t, "/d"))

		cfg := n.Config(t, kv.NewMemory(), kv.NewMemory())
		var proofs []*ledger.FalseAttestation
		cfg.Audit, cfg.OnFalseAttestation = true, func(_ suite.Hash, p *ledger.FalseAttestation) { proofs = append(proofs, p) }
		c, err := chain.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		n.Commit(t, c, honest)
		if len(proofs) != 0 {
			t.Fatalf("%s: an honest batch: %d proofs", name, len(proofs))
		}
		n.Commit(t, c, lie)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if len(proofs) != 1 {
			t.Fatalf("%s: %d proofs", name, len(proofs))
		}
		raw := codec.MustMarshal(proofs[0])
		proof, err := ledger.DecodeFalseAttestation(raw)
		if err != nil {
			t.Fatal(err)
		}
		a, err := proof.Verify(n.Suite, n.ID, n.Genesis.Validators)
		if err != nil {
			t.Fatal(err)
		}
		if a.Tx != forged.Tx.ID(n.Suite) || !bytes.Equal(a.Key, forged.Sigs[0].Key) || len(a.Validators) != n.Genesis.Validators.Quorum() {
			t.Errorf("%s: the proof accuses %+v", name, a)
		}
		everyByteCounts(t, n, raw)
	}
}

// everyByteCounts changes every byte of a proof: none may leave it proving what it did, and none may make it prove more.
func everyByteCounts(t *testing.T, n *chaintest.Network, raw []byte) {
	t.Helper()
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		proof, err := ledger.DecodeFalseAttestation(changed)
		if err != nil {
			continue
		}
		if a, err := proof.Verify(n.Suite, n.ID, n.Genesis.Validators); err == nil {
			t.Fatalf("byte %d of %d changed, and it proves %+v", i, len(raw), a)
		}
	}
}

// TestNobodyIsAccusedOfATruth makes the same proof about a transaction whose signatures are valid.
func TestNobodyIsAccusedOfATruth(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	tx := n.Scope(t, "/a")
	cert := n.Acknowledge(n.Batch(tx), 3, 3)
	signed := []suite.Hash{n.Suite.Hash(ledger.DomainSignedTx, tx)}
	proof, err := ledger.NewFalseAttestation(n.Suite, n.ID, cert, tx, signed, 0)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := proof.Verify(n.Suite, n.ID, n.Genesis.Validators); err == nil {
		t.Fatalf("%+v is accused of a valid signature", a)
	}
	other := n.Scope(t, "/b")
	proof.Tx = other
	if a, err := proof.Verify(n.Suite, n.ID, n.Genesis.Validators); err == nil {
		t.Fatalf("%+v is accused of a transaction that is not in the batch", a)
	}
	if _, err := ledger.NewFalseAttestation(n.Suite, n.ID, cert, tx, signed, 1); err == nil {
		t.Error("a proof about no transaction")
	}
}
