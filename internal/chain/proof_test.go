package chain_test

import (
	"bytes"
	"errors"
	"testing"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/ledger"
)

// verified decodes and verifies a proof file.
func verified(n *chaintest.Network, b []byte) (*ledger.Verdict, error) {
	p, err := ledger.DecodeProof(b)
	if err != nil {
		return nil, err
	}
	return ledger.VerifyProof(n.Suite, n.Genesis, p, ledger.VerifyOptions{})
}

// proofs returns a receipt's proof, a value's and an absence's.
func proofs(t *testing.T, n *chaintest.Network, c *chain.Chain) map[string][]byte {
	t.Helper()
	var txs [][]byte
	for _, path := range []string{"/a", "/b", "/c"} {
		txs = append(txs, n.Scope(t, path))
	}
	b := n.Commit(t, c, n.BatchRequest(txs...))
	n.Rest(t, c)
	receipt, err := c.ProveReceipt(chain.Position{Height: b.Header.Height, Index: 1})
	if err != nil {
		t.Fatal(err)
	}
	value, err := c.ProveState(ledger.ScopeKey("/b"))
	if err != nil {
		t.Fatal(err)
	}
	absence, err := c.ProveState(ledger.ScopeKey("/z"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"receipt": codec.MustMarshal(receipt), "value": codec.MustMarshal(value), "absence": codec.MustMarshal(absence)}
}

func TestProofsVerifyAndBearNoChange(t *testing.T) {
	for _, name := range []string{"intl", "sm"} {
		n := chaintest.New(t, chaintest.Options{Suite: name, Validators: 4})
		c := n.Open(t)
		for kind, b := range proofs(t, n, c) {
			v, err := verified(n, b)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, kind, err)
			}
			switch kind {
			case "receipt":
				if v.Receipt == nil || v.Receipt.Index != 1 || v.Height != 1 {
					t.Errorf("the receipt's proof shows %+v", v)
				}
			default:
				if v.Present != (kind == "value") || v.Height != 1 {
					t.Errorf("the %s's proof shows present %t at %d", kind, v.Present, v.Height)
				}
			}
			if len(v.Signers) != 3 {
				t.Errorf("signed by %v", v.Signers)
			}
			for i := range b {
				bad := bytes.Clone(b)
				bad[i] ^= 1 << (i % 8)
				changed, err := verified(n, bad)
				if err == nil && kind == "absence" && !bytes.Equal(changed.Key, v.Key) {
					continue // it shows that another key, which ends at the same empty place, is absent too
				}
				if err == nil {
					t.Fatalf("%s, %s: byte %d of %d changed is not noticed", name, kind, i, len(b))
				}
			}
		}
	}
}

func TestOldReceiptsStayProvable(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	for range 40 {
		n.Submit(t, c, n.Tx(t, []string{"authority.m"}, n.OpenScope("/never")))
	}
	n.Rest(t, c)
	for h := ledger.Height(1); h <= 40; h++ {
		p, err := c.ProveReceipt(chain.Position{Height: h})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verified(n, codec.MustMarshal(p)); err != nil {
			t.Fatalf("height %d: %v", h, err)
		}
	}
	if _, err := c.ProveReceipt(chain.Position{Height: 41}); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a receipt that does not exist: %v", err)
	}
}

// The value proven is that of the newest certified height, not of the executed head.
func TestStateIsProvenAsOfTheNewestCertifiedHeight(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	key := ledger.ScopeKey("/a")
	n.Commit(t, c)
	n.Commit(t, c)
	n.Submit(t, c, n.Scope(t, "/a"))
	for height, present := range []bool{1: false, 2: false, 3: true} {
		if height == 0 {
			continue
		}
		p, err := c.ProveState(key)
		if err != nil {
			t.Fatal(err)
		}
		v, err := verified(n, codec.MustMarshal(p))
		if err != nil || v.Height != ledger.Height(height) || v.Present != present {
			t.Fatalf("at %d: %+v, %v", height, v, err)
		}
		n.Commit(t, c)
	}
}
