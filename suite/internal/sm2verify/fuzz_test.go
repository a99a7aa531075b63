package sm2verify

import (
	"math/big"
	"testing"
)

// FuzzVerify compares with the library. raw is a key, a digest and a signature as they are; the numbers make valid signatures
// with a chosen key, nonce and digest, by nonce points R and −R, one of which is repeated with a bit changed. Each bit of pick
// takes one of these into the batch, the high four twice. The caches hold one key and one table. Nothing is left to chance, so
// that an input always takes the same way.
func FuzzVerify(f *testing.F) {
	one := big.NewInt(1).Bytes()
	for _, c := range specials(f) {
		raw := append(append(c.key[:], c.digest[:]...), c.sig[:]...)
		f.Add(raw, one, []byte{5}, []byte{7}, uint16(0), uint8(0x11))
	}
	f.Add([]byte(nil), bigN.Bytes(), bigP.Bytes(), bigP.Bytes(), uint16(600), uint8(0x66))
	f.Add([]byte{2}, new(big.Int).Sub(bigN, big.NewInt(2)).Bytes(), new(big.Int).Sub(bigN, big.NewInt(1)).Bytes(), bigN.Bytes(), uint16(519), uint8(0x8f))
	f.Fuzz(func(t *testing.T, raw, private, nonce, digest []byte, bit uint16, pick uint8) {
		if len(private) > 32 || len(nonce) > 32 || len(digest) > 32 {
			return
		}
		v := newTestVerifier(Config{KeyBytesMax: 1, TableBytesMax: 1, TableAfter: 1, Random: &countingReader{}})
		pool := make([]testCase, 0, 4)
		if len(raw) == KeySize+32+SignatureSize {
			pool = append(pool, testCase{[KeySize]byte(raw), [32]byte(raw[KeySize:]), [SignatureSize]byte(raw[KeySize+32:])})
		}
		d, k := modN(number(private)), modN(number(nonce))
		if pick&0xee != 0 && d.Sign() != 0 && k.Sign() != 0 {
			key := newTestKey(d)
			for _, k := range []*big.Int{k, new(big.Int).Sub(bigN, k)} {
				c := testCase{key: key.public, digest: bytes32(number(digest))}
				var ok bool
				if c.sig, ok = key.sign(k, c.digest); ok {
					pool = append(pool, c)
				}
			}
			if len(pool) == 0 {
				return
			}
			c := pool[len(pool)-1]
			c.sig[int(bit)/8%SignatureSize] ^= 1 << (bit % 8)
			pool = append(pool, c)
		}
		var cases []testCase
		for i, c := range pool {
			if pick>>i&1 == 1 {
				cases = append(cases, c)
			}
			if pick>>(i+4)&1 == 1 {
				cases = append(cases, c, c)
			}
		}
		agree(t, v, cases...)
	})
}

// FuzzField compares the arithmetic in Go and the one for this machine with math/big.
func FuzzField(f *testing.F) {
	for _, x := range edges(bigP) {
		for _, y := range edges(bigP) {
			f.Add(x.Bytes(), y.Bytes())
		}
	}
	rInverse := new(big.Int).ModInverse(bigR, bigP)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > 32 || len(b) > 32 {
			return
		}
		bx, by := new(big.Int).Mod(number(a), bigP), new(big.Int).Mod(number(b), bigP)
		x, y := fe(limbsOf(bx)), fe(limbsOf(by))
		product := new(big.Int).Mul(bx, by)
		product.Mul(product, rInverse).Mod(product, bigP)
		square := new(big.Int).Mul(bx, bx)
		square.Mul(square, rInverse).Mod(square, bigP)
		var z [4]fe
		z[0].mul(&x, &y)
		z[1].mulGo(&x, &y)
		z[2].sqr(&x)
		z[3].sqrGo(&x)
		for i, want := range []*big.Int{product, product, square, square} {
			if numberOf(z[i]).Cmp(want) != 0 {
				t.Fatalf("%x, %x: operation %d gives %x, want %x", bx, by, i, z[i], want)
			}
		}
	})
}
