package suite

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"

	"aval/internal/invariant"

	"pgregory.net/rapid"
)

// withLibrary returns an sm that verifies with the library.
func withLibrary() *sm {
	s := newSM()
	s.verifier.library.Store(true)
	return s
}

// TestFastAgreesWithLibrary draws batches of valid and changed signatures: fast and library, alone and in a batch, for one and
// for several goroutines, give the same answers.
func TestFastAgreesWithLibrary(t *testing.T) {
	fast, library := newSM(), withLibrary()
	rapid.Check(t, func(t *rapid.T) {
		items := make([]Signed, rapid.IntRange(0, 30).Draw(t, "n"))
		for i := range items {
			signer, err := fast.ParsePrivate(scalar32(big.NewInt(rapid.Int64Range(1, 9).Draw(t, "key"))))
			if err != nil {
				t.Fatal(err)
			}
			item := Signed{signer.Public(), "d", []byte{byte(i)}, nil}
			if item.Sig, err = signer.Sign(item.Domain, item.Message); err != nil {
				t.Fatal(err)
			}
			switch rapid.IntRange(0, 15).Draw(t, "wrong") {
			case 0:
				item.Sig[rapid.IntRange(0, 64).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				item.Key[rapid.IntRange(0, 32).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 2:
				item.Message = append(item.Message, 0)
			case 3:
				item.Sig = item.Sig[:rapid.IntRange(0, 64).Draw(t, "length")]
			case 4:
				item.Key = item.Key[:rapid.IntRange(0, 32).Draw(t, "length")]
			}
			items[i] = item
		}
		want := library.VerifyBatch(items)
		if got := fast.VerifyBatch(items); !slices.Equal(got, want) {
			t.Fatalf("batch: %v, the library %v", got, want)
		}
		for i, item := range items {
			if got := fast.Verify(item.Key, item.Domain, item.Message, item.Sig); got != want[i] {
				t.Fatalf("item %d: %v, the library %v", i, got, want[i])
			}
		}
	})
}

// TestLargeBatch has several equations, and liars in each.
func TestLargeBatch(t *testing.T) {
	s := newSM()
	items, want := make([]Signed, 4*smEquationMin+3), make([]bool, 4*smEquationMin+3)
	signers := make([]Signer, 7)
	for i := range signers {
		signers[i] = testSigner(t, s, fmt.Sprint("large", i))
	}
	for i := range items {
		signer := signers[i%len(signers)]
		m := fmt.Append(nil, "message ", i)
		items[i], want[i] = Signed{signer.Public(), "d", m, mustSign(t, signer, "d", m)}, i%500 != 17
		if !want[i] {
			items[i].Message = nil
		}
	}
	before := s.verifier.answers.Load()
	if got := s.VerifyBatch(items); !slices.Equal(got, want) {
		t.Fatal("a wrong answer")
	}
	if n := s.verifier.answers.Load() - before; n != uint64(len(items)) {
		t.Errorf("%d answers counted", n)
	}
}

// foreignKey returns a key that the library cannot read on some machines: x has the low limb 2^63.
func foreignKey(t testing.TB) PublicKey {
	t.Helper()
	x := new(big.Int).Lsh(big.NewInt(1), 63)
	for range 256 {
		x.Add(x, new(big.Int).Lsh(big.NewInt(1), 64))
		k := append(PublicKey{2}, scalar32(x)...)
		if _, err := parseSM2Key(k); err == nil {
			return k
		}
	}
	t.Fatal("no point")
	return nil
}

// TestForeignKey: such a key is a key on every machine, with its own coordinates, and verifies nothing by chance.
func TestForeignKey(t *testing.T) {
	k := foreignKey(t)
	key, err := parseSM2Key(k)
	if err != nil || !bytes.Equal(key.compress(), k) {
		t.Fatalf("%v, %x", err, key.compress())
	}
	y2 := new(big.Int).Exp(key.x, big.NewInt(3), sm2Params.P)
	y2.Sub(y2, new(big.Int).Mul(big.NewInt(3), key.x)).Add(y2, sm2Params.B).Mod(y2, sm2Params.P)
	if new(big.Int).Exp(key.y, big.NewInt(2), sm2Params.P).Cmp(y2) != 0 {
		t.Fatal("not on the curve")
	}
	sig := mustSign(t, testSigner(t, newSM(), "foreign"), "d", nil)
	for _, s := range []*sm{newSM(), withLibrary()} {
		if err := s.CheckPublicKey(k); err != nil {
			t.Error(err)
		}
		if s.Verify(k, "d", nil, sig) || slices.Contains(s.VerifyBatch([]Signed{{k, "d", nil, sig}, {k, "d", nil, sig}}), true) {
			t.Error("valid")
		}
		s.recheck(&Signed{k, "d", nil, sig}, false)
	}
	if _, err := SM2AddFlag(k, Hash{1}, sig[:64]); err == nil {
		t.Error("a flag")
	}
}

// TestRecheck: the answer is computed again once in smRecheckEvery, alone or in batches, and a wrong one is a violation.
func TestRecheck(t *testing.T) {
	s := newSM()
	signer := testSigner(t, s, "recheck")
	good := Signed{signer.Public(), "d", nil, mustSign(t, signer, "d", nil)}
	for fast, want := range map[bool]bool{true: false, false: true} {
		var err error
		func() {
			defer invariant.Recover(&err)
			s.recheck(&good, fast)
		}()
		if violation := new(invariant.Violation); errors.As(err, &violation) != want {
			t.Errorf("the fast verifier says %v: %v", fast, err)
		}
	}
	// The library has decoded the key if and only if it was asked.
	for name, ask := range map[string]func(s *sm){
		"one":   func(s *sm) { s.Verify(good.Key, good.Domain, good.Message, good.Sig) },
		"batch": func(s *sm) { s.VerifyBatch([]Signed{good, good, good}) },
	} {
		s := newSM()
		for _, start := range []uint64{0, smRecheckEvery - 1} {
			s.verifier.answers.Store(start)
			ask(s)
			if _, asked := s.keys.get([sm2PublicKeySize]byte(good.Key)); asked != (start > 0) {
				t.Errorf("%s after %d answers: asked %v", name, start, asked)
			}
		}
	}
}

// TestSetFastSM2 turns the switch while signatures are verified.
func TestSetFastSM2(t *testing.T) {
	s, err := ByID(SM)
	if err != nil {
		t.Fatal(err)
	}
	defer SetFastSM2(true)
	signer := testSigner(t, s, "switch")
	good := Signed{signer.Public(), "d", nil, mustSign(t, signer, "d", nil)}
	bad := good
	bad.Domain = "e"
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 40 {
				if got := s.VerifyBatch([]Signed{good, bad}); !got[0] || got[1] || !s.Verify(good.Key, "d", nil, good.Sig) {
					t.Error("a wrong answer")
				}
			}
		})
	}
	for i := range 20 {
		SetFastSM2(i%2 == 1)
	}
	group.Wait()
	for _, on := range []bool{false, true} {
		SetFastSM2(on)
		before := s.(*sm).verifier.answers.Load()
		s.Verify(good.Key, "d", nil, good.Sig)
		if fast := s.(*sm).verifier.answers.Load() > before; fast != on {
			t.Errorf("on %v: the fast verifier answered: %v", on, fast)
		}
	}
}
