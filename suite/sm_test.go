package suite

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"pgregory.net/rapid"
)

func scalar32(v *big.Int) []byte { return v.FillBytes(make([]byte, sm2ScalarSize)) }

// baseMult returns k·G.
func baseMult(k *big.Int) (x, y *big.Int) {
	return sm2Point.CombinedMult(sm2Params.Gx, sm2Params.Gy, scalar32(k), make([]byte, sm2ScalarSize))
}

// libraryVerify is the slow twin: the library's own verification of r ‖ s, which knows no flag.
func libraryVerify(t testing.TB, k PublicKey, e Hash, rs []byte) bool {
	t.Helper()
	key, err := parseSM2Key(k)
	if err != nil {
		t.Fatal(err)
	}
	public, err := sm2.NewPublicKey(append(append([]byte{4}, scalar32(key.x)...), scalar32(key.y)...))
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(rs[:32]), new(big.Int).SetBytes(rs[32:64])})
	if err != nil {
		t.Fatal(err)
	}
	return sm2.VerifyASN1(public, e[:], der)
}

// TestSM2MatchesLibrary draws keys and digests: both accept the signature, and agree about a changed one.
func TestSM2MatchesLibrary(t *testing.T) {
	s := newSM()
	rapid.Check(t, func(rt *rapid.T) {
		signer := testSigner(t, s, rapid.String().Draw(rt, "key")).(*smSigner)
		e := Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "digest"))
		sig, err := sm2Sign(signer.private, nil, e, signer.flag)
		if err != nil {
			rt.Fatal(err)
		}
		if !signer.key.verify(e, sig) || !libraryVerify(t, signer.compressed, e, sig) {
			rt.Fatalf("signature %x of %s by %s: not accepted by both", sig, e, signer.compressed)
		}
		bit := rapid.IntRange(0, 511).Draw(rt, "bit")
		sig[bit/8] ^= 1 << (bit % 8)
		_, ours := signer.key.flag(e, sig[:64])
		if theirs := libraryVerify(t, signer.compressed, e, sig); ours != theirs {
			rt.Fatalf("signature %x of %s by %s: ours %v, library %v", sig, e, signer.compressed, ours, theirs)
		}
	})
}

// TestSM2ZAMatchesLibrary compares the hand-built ZA and digest with the library's.
func TestSM2ZAMatchesLibrary(t *testing.T) {
	signer := testSigner(t, newSM(), "za").(*smSigner)
	za, err := sm2.CalculateZA(&signer.private.PublicKey, nil)
	if err != nil || !bytes.Equal(za, signer.key.za[:]) {
		t.Fatalf("ZA: %x, library %x, %v", signer.key.za, za, err)
	}
	for _, m := range [][]byte{nil, []byte("m"), make([]byte, gatherMax)} {
		want, err := sm2.CalculateSM2Hash(&signer.private.PublicKey, m, []byte(sm2UserID))
		if err != nil {
			t.Fatal(err)
		}
		if got := signer.key.digest(m); !bytes.Equal(got[:], want) {
			t.Fatalf("digest of %d bytes: %s, library %x", len(m), got, want)
		}
	}
}

// TestSM2StandardDevice signs as a device that knows the standard only, and adds the flag.
func TestSM2StandardDevice(t *testing.T) {
	s := newSM()
	signer := testSigner(t, s, "device").(*smSigner)
	m := SignedBytes(s, "d", []byte("message"))
	der, err := signer.private.Sign(&stream{label: "nonce"}, m, sm2.NewSM2SignerOption(true, []byte(sm2UserID)))
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	rs := append(scalar32(v.R), scalar32(v.S)...)
	e, err := SM2Digest(signer.Public(), m)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := SM2AddFlag(signer.Public(), e, rs)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Verify(signer.Public(), "d", []byte("message"), sig) {
		t.Fatal("not valid")
	}
	for flag := range 256 {
		other := append(bytes.Clone(rs), byte(flag))
		if s.Verify(signer.Public(), "d", []byte("message"), other) != (byte(flag) == sig[64]) {
			t.Errorf("flag %d: the right one is %d", flag, sig[64])
		}
	}
	rs[0] ^= 1
	if _, err := SM2AddFlag(signer.Public(), e, rs); err == nil {
		t.Error("a flag for an invalid signature")
	}
	if _, err := SM2AddFlag(signer.Public(), e, rs[1:]); err == nil {
		t.Error("a flag for 63 bytes")
	}
}

func TestSM2OtherUserID(t *testing.T) {
	s := newSM()
	signer := testSigner(t, s, "device").(*smSigner)
	m := SignedBytes(s, "d", nil)
	e, err := sm2.CalculateSM2Hash(&signer.private.PublicKey, m, []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sm2Sign(signer.private, nil, Hash(e), signer.flag)
	if err != nil {
		t.Fatal(err)
	}
	if s.Verify(signer.Public(), "d", nil, sig) {
		t.Fatal("a signature under another user id is valid")
	}
}

// overflowCase makes a key, digest and signature whose nonce point has x1 >= n, which no one meets by chance
// (once in 2^129): it takes a point R with such an x, any r and s, and solves P = (R − s·G)/(r+s) and
// e = r − x1. It can be had for a free digest only, since ZA binds the digest of a message to P.
func overflowCase(t testing.TB, odd uint) (k PublicKey, e Hash, sig Signature) {
	t.Helper()
	n, p := sm2Params.N, sm2Params.P
	compressed := make([]byte, sm2PublicKeySize)
	compressed[0] = 2 + byte(odd)
	x := new(big.Int).Set(n)
	for ; x.Cmp(p) < 0; x.Add(x, big.NewInt(1)) {
		x.FillBytes(compressed[1:])
		if _, err := parseSM2Key(compressed); err == nil {
			break
		}
	}
	point, err := parseSM2Key(compressed)
	if err != nil {
		t.Fatal(err)
	}
	rx, ry := point.x, point.y
	r, s := big.NewInt(0x1234567), big.NewInt(0x7654321)
	// −s·G + 1·R
	minusS := new(big.Int).Sub(n, s)
	zero := make([]byte, sm2ScalarSize)
	dx, dy := sm2Point.CombinedMult(rx, ry, scalar32(minusS), scalar32(big.NewInt(1)))
	inverse := new(big.Int).ModInverse(new(big.Int).Add(r, s), n)
	px, py := sm2Point.CombinedMult(dx, dy, zero, scalar32(inverse))
	v := new(big.Int).Sub(r, rx)
	sig = append(append(scalar32(r), scalar32(s)...), byte(sm2FlagOverflow|odd))
	return newSM2Key(px, py).compress(), Hash(scalar32(v.Mod(v, n))), sig
}

func TestSM2NoncePointBeyondOrder(t *testing.T) {
	for odd := range uint(2) {
		k, e, sig := overflowCase(t, odd)
		key, err := parseSM2Key(k)
		if err != nil {
			t.Fatal(err)
		}
		if !libraryVerify(t, k, e, sig) {
			t.Fatal("the library refuses the crafted signature")
		}
		for flag := range byte(8) {
			sig[64] = flag
			if want := flag == sm2FlagOverflow|byte(odd); key.verify(e, sig) != want {
				t.Errorf("odd %d, flag %d: want %v", odd, flag, want)
			}
		}
	}
}

// TestSM2Range tries r and s at the edges of [1, n−1].
func TestSM2Range(t *testing.T) {
	s := newSM()
	signer := testSigner(t, s, "range").(*smSigner)
	e := Hash{1}
	sig, err := sm2Sign(signer.private, nil, e, signer.flag)
	if err != nil {
		t.Fatal(err)
	}
	n := sm2Params.N
	r, v := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])
	all := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	zero := new(big.Int)
	for name, rs := range map[string][2]*big.Int{
		"r = 0": {zero, v}, "s = 0": {r, zero}, "both 0": {zero, zero}, "r = n": {n, v}, "s = n": {r, n},
		"r = n+1": {new(big.Int).Add(n, big.NewInt(1)), v}, "r = 2^256-1": {all, v}, "s = 2^256-1": {r, all},
		"r + s = n": {r, new(big.Int).Sub(n, r)},
	} {
		b := append(scalar32(rs[0]), scalar32(rs[1])...)
		if _, ok := signer.key.flag(e, b); ok {
			t.Errorf("%s is valid", name)
		}
		if libraryVerify(t, signer.compressed, e, b) {
			t.Errorf("%s is valid for the library", name)
		}
	}
}

// TestSM2ZeroT makes r + s = 0 mod n with a digest for which the equation would hold: e + x(s·G) = r.
func TestSM2ZeroT(t *testing.T) {
	n := sm2Params.N
	s := big.NewInt(99)
	r := new(big.Int).Sub(n, s)
	x, y := baseMult(s)
	v := new(big.Int).Sub(r, x)
	e := Hash(scalar32(v.Mod(v, n)))
	signer := testSigner(t, newSM(), "zero").(*smSigner)
	sig := append(append(scalar32(r), scalar32(s)...), byte(y.Bit(0)))
	if signer.key.verify(e, sig) || libraryVerify(t, signer.compressed, e, sig) {
		t.Fatal("r + s = n is valid")
	}
}

func TestSM2PrivateRange(t *testing.T) {
	s := newSM()
	n := sm2Params.N
	minus := func(k int64) []byte { return scalar32(new(big.Int).Sub(n, big.NewInt(k))) }
	for name, b := range map[string][]byte{
		"0": make([]byte, 32), "n-1": minus(1), "n": minus(0), "n+1": minus(-1), "2^256-1": bytes.Repeat([]byte{0xff}, 32),
	} {
		if _, err := s.ParsePrivate(b); !errors.Is(err, ErrPrivateKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"1": scalar32(big.NewInt(1)), "n-2": minus(2)} {
		signer, err := s.ParsePrivate(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !s.Verify(signer.Public(), "d", nil, mustSign(t, signer, "d", nil)) {
			t.Errorf("%s: does not verify", name)
		}
	}
}

// TestSM2HedgedSignaturesDiffer checks that a normal signer takes fresh randomness.
func TestSM2HedgedSignaturesDiffer(t *testing.T) {
	signer, err := newSM().ParsePrivate(unhex(gbPrivate))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(mustSign(t, signer, "d", nil), mustSign(t, signer, "d", nil)) {
		t.Fatal("two signatures are equal")
	}
}

// TestGBT32918Example recomputes r and s of GB/T 32918.5 appendix A.2 from the nonce printed there.
func TestGBT32918Example(t *testing.T) {
	n := sm2Params.N
	number := func(s string) *big.Int { return new(big.Int).SetBytes(unhex(s)) }
	k, d, e := number("59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21"), number(gbPrivate), number(gbDigest)
	x1, y1 := baseMult(k)
	r := new(big.Int).Add(e, x1)
	r.Mod(r, n)
	s := new(big.Int).Mul(r, d)
	s.Sub(k, s).Mul(s, new(big.Int).ModInverse(new(big.Int).Add(d, big.NewInt(1)), n)).Mod(s, n)
	if hex.EncodeToString(scalar32(r)) != gbR || hex.EncodeToString(scalar32(s)) != gbS || y1.Bit(0) != gbFlag {
		t.Fatalf("r %x, s %x, y1 %x", r, s, y1)
	}
}
