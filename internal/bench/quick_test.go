package bench

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
	"aval/suite"
)

// TestQuickSignaturesAreValid: what is signed ahead passes the verification that nodes use, and no other message does.
func TestQuickSignaturesAreValid(t *testing.T) {
	for _, s := range suite.All() {
		t.Run(s.Name(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				slow, err := s.GenerateKey(nil)
				if err != nil {
					t.Fatal(err)
				}
				signer, err := quick(s, slow)
				if err != nil {
					t.Fatal(err)
				}
				message := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "message")
				sig, err := signer.Sign(ledger.DomainTxSignature, message)
				if err != nil {
					t.Fatal(err)
				}
				if string(signer.Public()) != string(slow.Public()) || !s.Verify(slow.Public(), ledger.DomainTxSignature, message, sig) {
					t.Fatalf("private key %x: signature %x is not valid", slow.Private(), []byte(sig))
				}
				if message[0] ^= 1; s.Verify(slow.Public(), ledger.DomainTxSignature, message, sig) {
					t.Fatalf("private key %x: signature %x is valid for another message", slow.Private(), []byte(sig))
				}
			})
		})
	}
}

// TestQuickRefusesNonces: what the standard rejects is drawn again.
func TestQuickRefusesNonces(t *testing.T) {
	s, err := suite.ByID(suite.SM)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := s.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := quick(s, slow)
	if err != nil {
		t.Fatal(err)
	}
	q := signer.(*quickSM2)
	one := big.NewInt(1)
	x, _ := sm2Curve.ScalarBaseMult(one.Bytes())
	minus := func(v *big.Int) *big.Int { return new(big.Int).Mod(new(big.Int).Sub(sm2Order, v), sm2Order) }
	for _, tc := range []struct {
		name string
		k, e *big.Int
		good bool
	}{
		{"k = 0", new(big.Int), big.NewInt(7), false},
		{"r = 0", one, minus(x), false},
		{"r + k = n", one, minus(new(big.Int).Add(x, one)), false},
		{"any other", one, big.NewInt(7), true},
	} {
		if sig := q.with(new(big.Int).Set(tc.k), new(big.Int).Set(tc.e)); (sig != nil) != tc.good {
			t.Errorf("%s: %x", tc.name, []byte(sig))
		}
	}
}
