package suite

import (
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"

	"aval/suite/internal/sm2verify"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm2/sm2ec"
	"github.com/emmansun/gmsm/sm3"
)

// Sizes of SM2 in bytes.
const (
	sm2ScalarSize    = 32
	sm2PublicKeySize = 1 + sm2ScalarSize
	sm2SignatureSize = 2*sm2ScalarSize + 1
)

// The bits of the last byte of a signature.
const (
	sm2FlagOdd      = 1 // y1 is odd
	sm2FlagOverflow = 2 // x1 >= n
)

// sm2UserID is the user id in every ZA (GB/T 32918.5 uses it in its examples, GM/T 0009 makes it the default).
const sm2UserID = "1234567812345678"

// sm2Curve is what is needed of the library's curve beyond its parameters.
type sm2Curve interface {
	// CombinedMult returns s1·G + s2·P, (0, 0) for the identity. It panics unless IsOnCurve(px, py).
	CombinedMult(px, py *big.Int, s1, s2 []byte) (x, y *big.Int)
	// IsOnCurve reports whether the library can read the point.
	IsOnCurve(x, y *big.Int) bool
}

var (
	sm2Params = sm2ec.P256().Params()
	sm2Point  = sm2ec.P256().(sm2Curve)
	// sm2ZAHead is the part of ZA's input before the public key: ENTL ‖ ID ‖ a ‖ b ‖ xG ‖ yG (GB/T 32918.2
	// section 5.5), where a = p − 3.
	sm2ZAHead = func() []byte {
		out := []byte{0, 8 * byte(len(sm2UserID))}
		out = append(out, sm2UserID...)
		a := new(big.Int).Sub(sm2Params.P, big.NewInt(3))
		for _, v := range []*big.Int{a, sm2Params.B, sm2Params.Gx, sm2Params.Gy} {
			out = append(out, v.FillBytes(make([]byte, sm2ScalarSize))...)
		}
		return out
	}()
)

// sm2Key is a decoded public key. It is shared and never changed.
type sm2Key struct {
	x, y *big.Int
	za   Hash
	// foreign says that the library cannot read the key, although it is one: in v0.44.0, on amd64 with BMI2, a product of
	// field elements is wrong where the product of their low limbs is 2^63 mod 2^64, as it is when the library takes in a
	// coordinate with that low limb. Nobody has such a key by chance, but anybody can send one.
	foreign bool
}

// parseSM2Key decodes a compressed point. The identity has no compressed encoding. The library's own decoding is not used,
// because it reads some points wrongly (see foreign), which then would be keys on some machines and not on others.
func parseSM2Key(k PublicKey) (*sm2Key, error) {
	if len(k) != sm2PublicKeySize {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrPublicKey, len(k), sm2PublicKeySize)
	}
	if k[0] != 2 && k[0] != 3 {
		return nil, fmt.Errorf("%w: not a compressed point", ErrPublicKey)
	}
	x, y, ok := sm2verify.Decode((*[sm2PublicKeySize]byte)(k))
	if !ok {
		if new(big.Int).SetBytes(k[1:]).Cmp(sm2Params.P) >= 0 {
			return nil, fmt.Errorf("%w: x is not below p", ErrPublicKey)
		}
		return nil, fmt.Errorf("%w: not on the curve", ErrPublicKey)
	}
	return newSM2Key(new(big.Int).SetBytes(x[:]), new(big.Int).SetBytes(y[:])), nil
}

func newSM2Key(x, y *big.Int) *sm2Key {
	xBytes, yBytes := [32]byte(x.FillBytes(make([]byte, sm2ScalarSize))), [32]byte(y.FillBytes(make([]byte, sm2ScalarSize)))
	return &sm2Key{x: x, y: y, za: sm2ZA(&xBytes, &yBytes), foreign: !sm2Point.IsOnCurve(x, y)}
}

// sm2ZA returns ZA of the public key (x, y).
func sm2ZA(x, y *[sm2ScalarSize]byte) [HashSize]byte {
	input := make([]byte, 0, len(sm2ZAHead)+2*sm2ScalarSize)
	input = append(append(append(input, sm2ZAHead...), x[:]...), y[:]...)
	return sm3.Sum(input)
}

// compress returns the key's one encoding.
func (k *sm2Key) compress() PublicKey {
	out := make(PublicKey, sm2PublicKeySize)
	out[0] = 2 + byte(k.y.Bit(0))
	k.x.FillBytes(out[1:])
	return out
}

// digest returns e = SM3(ZA ‖ m) (GB/T 32918.2 section 6.1, steps A1 and A2).
func (k *sm2Key) digest(m []byte) Hash { return sm2Digest((*[HashSize]byte)(&k.za), m) }

// sm2Digest returns SM3(ZA ‖ m).
func sm2Digest(za *[HashSize]byte, m []byte) Hash {
	if len(m) > gatherMax-HashSize {
		state := sm3.New()
		state.Write(za[:])
		state.Write(m)
		return Hash(state.Sum(nil))
	}
	buf := scratch.Get().(*[]byte)
	b := (*buf)[:0]
	b = append(b, za[:]...)
	b = append(b, m...)
	out := sm3.Sum(b)
	scratch.Put(buf)
	return out
}

// flag computes the nonce point (x1, y1) = s·G + (r+s)·P of a standard signature r ‖ s of digest e, which is
// the verification of GB/T 32918.2 section 7.1 too: the signature is valid if and only if r = e + x1 mod n.
// It returns the flag that belongs to it, and whether it is valid. Nothing is valid under a key that the library cannot read.
func (k *sm2Key) flag(e Hash, rs []byte) (flag byte, ok bool) {
	if len(rs) != 2*sm2ScalarSize || k.foreign {
		return 0, false
	}
	n := sm2Params.N
	r, s := new(big.Int).SetBytes(rs[:sm2ScalarSize]), new(big.Int).SetBytes(rs[sm2ScalarSize:])
	if r.Sign() == 0 || r.Cmp(n) >= 0 || s.Sign() == 0 || s.Cmp(n) >= 0 {
		return 0, false
	}
	t := new(big.Int).Add(r, s)
	if t.Cmp(n) >= 0 {
		t.Sub(t, n)
	}
	if t.Sign() == 0 {
		return 0, false
	}
	var scalar [sm2ScalarSize]byte
	x1, y1 := sm2Point.CombinedMult(k.x, k.y, rs[sm2ScalarSize:], t.FillBytes(scalar[:]))
	if x1.Sign() == 0 && y1.Sign() == 0 {
		return 0, false
	}
	flag = sm2FlagOdd * byte(y1.Bit(0))
	if x1.Cmp(n) >= 0 {
		flag |= sm2FlagOverflow
	}
	v := new(big.Int).SetBytes(e[:])
	v.Add(v, x1).Mod(v, n)
	return flag, v.Cmp(r) == 0
}

// verify reports whether sig is a valid signature of digest e, with the library.
func (k *sm2Key) verify(e Hash, sig Signature) bool {
	if len(sig) != sm2SignatureSize {
		return false
	}
	flag, ok := k.flag(e, sig[:2*sm2ScalarSize])
	return ok && flag == sig[2*sm2ScalarSize]
}

// sm2Sign signs digest e; nonce is where the library takes randomness for its hedged nonce from, and nil makes it deterministic
// (RFC 6979). flagOf is sm2Key.flag or does the same. The result was verified, so that a fault while signing cannot leak the key.
func sm2Sign(private *sm2.PrivateKey, nonce io.Reader, e Hash, flagOf func(e Hash, rs []byte) (byte, bool)) (Signature, error) {
	der, err := private.Sign(nonce, e[:], nil)
	if err != nil {
		return nil, fmt.Errorf("suite: sign with SM2: %w", err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("suite: the library returned a malformed SM2 signature: %w", err)
	}
	sig := make(Signature, sm2SignatureSize)
	rs.R.FillBytes(sig[:sm2ScalarSize])
	rs.S.FillBytes(sig[sm2ScalarSize : 2*sm2ScalarSize])
	flag, ok := flagOf(e, sig[:2*sm2ScalarSize])
	if !ok {
		return nil, fmt.Errorf("suite: the SM2 signature just made does not verify")
	}
	sig[2*sm2ScalarSize] = flag
	return sig, nil
}

// SM2ZA returns ZA of a public key under the fixed user id (GB/T 32918.2 section 5.5), for clients that hold
// their keys elsewhere, and for test vectors.
func SM2ZA(k PublicKey) (Hash, error) {
	key, err := parseSM2Key(k)
	if err != nil {
		return Hash{}, err
	}
	return key.za, nil
}

// SM2Digest returns e = SM3(ZA ‖ m), the number that SM2 signs; m is what SignedBytes returned.
func SM2Digest(k PublicKey, m []byte) (Hash, error) {
	key, err := parseSM2Key(k)
	if err != nil {
		return Hash{}, err
	}
	return key.digest(m), nil
}

// SM2AddFlag appends to a standard signature r ‖ s of digest e (64 bytes, as an external device returns it) the
// flag that the ledger asks for. It fails if the signature is not valid.
func SM2AddFlag(k PublicKey, e Hash, rs []byte) (Signature, error) {
	key, err := parseSM2Key(k)
	if err != nil {
		return nil, err
	}
	flag, ok := key.flag(e, rs)
	if !ok {
		return nil, fmt.Errorf("suite: not a valid SM2 signature r ‖ s of this digest")
	}
	return append(append(make(Signature, 0, sm2SignatureSize), rs...), flag), nil
}
