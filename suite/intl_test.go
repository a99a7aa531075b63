package suite

import (
	stded25519 "crypto/ed25519"
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"pgregory.net/rapid"
)

// ed25519L is the order of the prime-order subgroup (RFC 8032 section 5.1).
var ed25519L, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// edCase is a crafted key and signature of the bytes m.
type edCase struct {
	name   string
	key    PublicKey
	sig    Signature
	valid  bool
	reason string
}

func mustScalar(s *scalar.Scalar, err error) *scalar.Scalar {
	if err != nil {
		panic(err)
	}
	return s
}

// edScalar returns a fixed non-zero scalar for a label.
func edScalar(label string) *scalar.Scalar {
	h := sha512.Sum512([]byte(label))
	return mustScalar(scalar.NewFromBytesModOrderWide(h[:]))
}

func edPoint(s *scalar.Scalar) *curve.EdwardsPoint {
	return new(curve.EdwardsPoint).MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s)
}

func edBytes(p *curve.EdwardsPoint) []byte {
	var c curve.CompressedEdwardsY
	c.SetEdwardsPoint(p)
	return slices.Clone(c[:])
}

// edSign returns R ‖ r + H(R ‖ A ‖ m)·a for encodings R and A that the caller may have bent.
func edSign(encodedR, encodedA, m []byte, r, a *scalar.Scalar) Signature {
	h := sha512.Sum512(slices.Concat(encodedR, encodedA, m))
	k := mustScalar(scalar.NewFromBytesModOrderWide(h[:]))
	s := scalar.New().Mul(k, a)
	s.Add(s, r)
	out := make([]byte, 32)
	if err := s.ToBytes(out); err != nil {
		panic(err)
	}
	return slices.Concat(encodedR, out)
}

// littleEndian returns v as 32 bytes.
func littleEndian(v *big.Int) []byte {
	out := v.FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out
}

// edCases crafts, for the signed bytes m, what separates the rules of Ed25519 that are in use.
func edCases(m []byte) []edCase {
	a, r, zero := edScalar("a"), edScalar("r"), scalar.New()
	A, R := edBytes(edPoint(a)), edBytes(edPoint(r))
	torsion := curve.EIGHT_TORSION[1]
	mixedA := edBytes(new(curve.EdwardsPoint).Add(edPoint(a), torsion))
	mixedR := edBytes(new(curve.EdwardsPoint).Add(edPoint(r), torsion))
	identity := edBytes(new(curve.EdwardsPoint).Identity())
	signBit := slices.Clone(identity)
	signBit[31] |= 0x80
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	aboveP := littleEndian(new(big.Int).Add(p, big.NewInt(1)))  // encodes y = 1 again
	aboveP3 := littleEndian(new(big.Int).Add(p, big.NewInt(3))) // y = 3 is on the curve, not of small order
	offCurve := littleEndian(big.NewInt(2))                     // no x for y = 2
	good := edSign(R, A, m, r, a)
	s := slices.Clone(good[32:])
	slices.Reverse(s)
	plusL := slices.Concat(good[:32], littleEndian(new(big.Int).Add(new(big.Int).SetBytes(s), ed25519L)))
	return []edCase{
		{"honest", A, good, true, ""},
		{"key with a torsion part", mixedA, edSign(R, mixedA, m, r, a), true, ""},
		{"R with a torsion part", A, edSign(mixedR, A, m, r, a), true, ""},
		{"R is the identity", A, edSign(identity, A, m, zero, a), true, ""},
		{"key is the identity", identity, edSign(R, identity, m, r, zero), false, "key of small order"},
		{"key of order 8", edBytes(torsion), edSign(R, edBytes(torsion), m, r, zero), false, "key of small order"},
		{"key encoded with y + p", aboveP, edSign(R, aboveP, m, r, zero), false, "non-canonical key"},
		{"key not of small order encoded with y + p", aboveP3, good, false, "non-canonical key"},
		{"key with a sign bit on x = 0", signBit, edSign(R, signBit, m, r, zero), false, "non-canonical key"},
		{"key off the curve", offCurve, good, false, "key off the curve"},
		{"R encoded with y + p", A, edSign(aboveP, A, m, zero, a), false, "non-canonical R"},
		{"R with a sign bit on x = 0", A, edSign(signBit, A, m, zero, a), false, "non-canonical R"},
		{"R off the curve", A, edSign(offCurve, A, m, r, a), false, "R off the curve"},
		{"s + L", A, plusL, false, "s not below L"},
		{"s = L", A, slices.Concat(good[:32], littleEndian(ed25519L)), false, "s not below L"},
		{"s = 2^256-1", A, slices.Concat(good[:32], slices.Repeat([]byte{0xff}, 32)), false, "s not below L"},
	}
}

// TestEd25519Rule checks the crafted cases by every path: alone, in a batch of itself, in a batch with others.
func TestEd25519Rule(t *testing.T) {
	s := newIntl()
	message := []byte("rule")
	cases := edCases(SignedBytes(s, "d", message))
	items := make([]Signed, len(cases))
	for i, c := range cases {
		items[i] = Signed{c.key, "d", message, c.sig}
		if got := s.Verify(c.key, "d", message, c.sig); got != c.valid {
			t.Errorf("%s: alone %v, want %v", c.name, got, c.valid)
		}
		for _, n := range []int{1, 2, intlBatchSize} {
			for j, got := range s.VerifyBatch(slices.Repeat(items[i:i+1], n)) {
				if got != c.valid {
					t.Errorf("%s: %d of a batch of %d: %v, want %v", c.name, j, n, got, c.valid)
				}
			}
		}
		if c.valid && s.CheckPublicKey(c.key) != nil {
			t.Errorf("%s: valid, but the key is refused: %v", c.name, s.CheckPublicKey(c.key))
		}
	}
	for i, got := range s.VerifyBatch(items) {
		if got != cases[i].valid {
			t.Errorf("%s: in a batch with all others %v, want %v", cases[i].name, got, cases[i].valid)
		}
	}
}

func TestEd25519SmallOrderKeys(t *testing.T) {
	s := newIntl()
	for i, p := range curve.EIGHT_TORSION {
		if err := s.CheckPublicKey(edBytes(p)); !errors.Is(err, ErrPublicKey) {
			t.Errorf("torsion point %d: %v", i, err)
		}
	}
}

// TestEd25519MatchesStandardLibrary holds for honest keys: the same signatures, byte for byte.
func TestEd25519MatchesStandardLibrary(t *testing.T) {
	s := newIntl()
	rapid.Check(t, func(rt *rapid.T) {
		signer := testSigner(t, s, rapid.String().Draw(rt, "key"))
		message := rapid.SliceOf(rapid.Byte()).Draw(rt, "message")
		m := SignedBytes(s, "d", message)
		sig := mustSign(t, signer, "d", message)
		if want := stded25519.Sign(stded25519.NewKeyFromSeed(signer.Private()), m); !slices.Equal(sig, want) {
			rt.Fatalf("got %x, want %x", sig, want)
		}
		bit := rapid.IntRange(0, 511).Draw(rt, "bit")
		sig[bit/8] ^= 1 << (bit % 8)
		if ours, theirs := s.Verify(signer.Public(), "d", message, sig), stded25519.Verify(stded25519.PublicKey(signer.Public()), m, sig); ours != theirs {
			rt.Fatalf("bit %d changed: ours %v, theirs %v", bit, ours, theirs)
		}
	})
}
