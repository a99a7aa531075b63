package suite

import (
	"crypto/rand"
	"testing"
)

// TestFlagOfAgrees compares the flag by the fast code with that by the library, for valid signatures and for broken ones.
func TestFlagOfAgrees(t *testing.T) {
	s, err := ByName("sm")
	if err != nil {
		t.Fatal(err)
	}
	var odd, valid int
	for i := range 200 {
		signer, err := s.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sm := signer.(*smSigner)
		message := []byte{byte(i)}
		sig, err := signer.Sign("test", message)
		if err != nil {
			t.Fatal(err)
		}
		var e Hash
		sm.suite.signed("test", message, func(m []byte) { e = sm.key.digest(m) })
		rs := append([]byte(nil), sig[:2*sm2ScalarSize]...)
		for _, at := range []int{-1, 0, 31, 32, 63} {
			if at >= 0 {
				rs[at] ^= 1 << (i % 8)
			}
			flag, ok := sm.flag(e, rs)
			wantFlag, want := sm.key.flag(e, rs)
			if ok != want || ok && flag != wantFlag {
				t.Fatalf("signature %x of digest %s by %s: flag %d, %t; the library says %d, %t", rs, e, signer.Public(), flag, ok, wantFlag, want)
			}
			if ok {
				valid++
				odd += int(flag & sm2FlagOdd)
			}
		}
		clear(rs)
		if _, ok := sm.flag(e, rs); ok {
			t.Fatal("zeros are a signature")
		}
		rs[2*sm2ScalarSize-1] = 1
		for j := range sm2ScalarSize {
			rs[j] = 0xff
		}
		if _, ok := sm.flag(e, rs); ok {
			t.Fatal("an r over n is a signature")
		}
	}
	if valid < 200 || odd == 0 || odd == valid {
		t.Errorf("%d valid signatures, %d with an odd y", valid, odd)
	}
}
