package intake

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/internal/chain/chaintest"
	"aval/ledger"
	"aval/suite"
)

// A certificate is made with the very acknowledgement that completes a quorum of holders with enough who verified, and it is
// one that everybody accepts, as small as it may be.
func TestGatheringMakesACertificateExactlyWhenThereIsEnough(t *testing.T) {
	networks := map[int]*chaintest.Network{}
	for _, n := range []int{1, 4, 5, 7, 10} {
		networks[n] = chaintest.New(t, chaintest.Options{Validators: n})
	}
	rapid.Check(t, func(t *rapid.T) {
		n := networks[rapid.SampledFrom([]int{1, 4, 5, 7, 10}).Draw(t, "validators")]
		set := n.Genesis.Validators
		verifyQuorum := uint16(rapid.IntRange(set.Faulty()+1, len(set)).Draw(t, "verify quorum"))
		head := &ledger.BatchHead{Origin: set[0].Key, Wall: chaintest.Start, Bytes: 1, Guarded: rapid.Bool().Draw(t, "guarded")}
		g := &gathering{head: head, digest: head.Digest(n.Suite), set: set, need: head.VerifiersNeeded(set, verifyQuorum),
			acks: map[uint16]ledger.BatchAck{}, enough: make(chan struct{})}
		twin := map[uint16]bool{} // who acknowledged, and whether that says verified
		for range rapid.IntRange(0, 3*len(set)).Draw(t, "acknowledgements") {
			a := &ledger.BatchAck{Validator: uint16(rapid.IntRange(0, len(set)-1).Draw(t, "by")), Verified: rapid.Bool().Draw(t, "verified")}
			a.Sig = acknowledge(t, n, a, g.digest)
			g.add(a)
			twin[a.Validator] = twin[a.Validator] || a.Verified
			verified := 0
			for i, v := range twin {
				if v {
					verified++
				}
				if !g.has(i, v) || g.has(i, true) != v {
					t.Fatalf("of validator %d it remembers other than verified: %t", i, v)
				}
			}
			checkCertificate(t, n, g, verifyQuorum, len(twin) >= max(set.Quorum(), g.need) && verified >= g.need)
		}
	})
}

func acknowledge(t *rapid.T, n *chaintest.Network, a *ledger.BatchAck, digest suite.Hash) suite.Signature {
	sig, err := n.Signer(n.Genesis.Validators[a.Validator].Name).Sign(ledger.DomainBatchAck, ledger.AckBytes(n.ID, 0, digest, a.Verified))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// checkCertificate fails unless there is a certificate exactly if there should be, and one that is good and minimal.
func checkCertificate(t *rapid.T, n *chaintest.Network, g *gathering, verifyQuorum uint16, want bool) {
	told := false
	select {
	case <-g.enough:
		told = true
	default:
	}
	if told != want || (g.certificate != nil) != want {
		t.Fatalf("acknowledged by %v, %d needed to verify: a certificate %t, told so %t", g.acks, g.need, g.certificate != nil, told)
	}
	if !want {
		return
	}
	c, err := ledger.DecodeBatchCertificate(g.certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(n.Suite, n.ID, g.set, verifyQuorum); err != nil {
		t.Fatal(err)
	}
	sorted := slices.IsSortedFunc(c.Acks, func(a, b ledger.BatchAck) int { return int(a.Validator) - int(b.Validator) })
	if len(c.Acks) != max(g.set.Quorum(), g.need) || !sorted {
		t.Fatalf("the certificate has %d acknowledgements, sorted %t", len(c.Acks), sorted)
	}
}
