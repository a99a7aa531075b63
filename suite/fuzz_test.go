package suite

import (
	"bytes"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

// seeds returns the vectors of every suite, as seeds.
func seeds(f *testing.F) (out []vectorFile) {
	for _, s := range All() {
		b, err := os.ReadFile(vectorPath(s))
		if err != nil {
			f.Fatal(err)
		}
		var file vectorFile
		if err := json.Unmarshal(b, &file); err != nil {
			f.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// FuzzPublicKey: a key that is accepted has one encoding; a refusal wraps ErrPublicKey; the cache changes nothing.
func FuzzPublicKey(f *testing.F) {
	for _, file := range seeds(f) {
		for _, c := range file.PublicKeys {
			f.Add([]byte(c.Public))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range All() {
			first, again := s.CheckPublicKey(b), s.CheckPublicKey(b)
			if (first == nil) != (again == nil) {
				t.Fatalf("%s: %x: first %v, again %v", s.Name(), b, first, again)
			}
			if first != nil && !errors.Is(first, ErrPublicKey) {
				t.Fatalf("%s: %x: %v", s.Name(), b, first)
			}
			if s.Verify(b, "d", nil, make(Signature, s.SignatureSize())) && first != nil {
				t.Fatalf("%s: %x is refused and yet verifies", s.Name(), b)
			}
		}
		if key, err := parseSM2Key(b); err == nil && !bytes.Equal(key.compress(), b) {
			t.Fatalf("sm: %x has another encoding, %s", b, key.compress())
		}
	})
}

// FuzzPrivateKey: a key that is accepted survives a round trip and has a valid public key.
func FuzzPrivateKey(f *testing.F) {
	for _, file := range seeds(f) {
		for _, c := range file.PrivateKeys {
			f.Add([]byte(c.Private))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range All() {
			signer, err := s.ParsePrivate(b)
			if err != nil {
				if !errors.Is(err, ErrPrivateKey) {
					t.Fatalf("%s: %x: %v", s.Name(), b, err)
				}
				continue
			}
			if !bytes.Equal(signer.Private(), b) {
				t.Fatalf("%s: %x came back as %x", s.Name(), b, signer.Private())
			}
			if err := s.CheckPublicKey(signer.Public()); err != nil {
				t.Fatalf("%s: %x: %v", s.Name(), b, err)
			}
		}
	})
}

// FuzzSignature: one by one and in a batch agree, a refused key verifies nothing, and sm agrees with its
// library except for the flag.
func FuzzSignature(f *testing.F) {
	for _, file := range seeds(f) {
		for _, c := range file.Signatures {
			f.Add([]byte(c.Public), string(c.Domain), []byte(c.Message), []byte(c.Signature))
		}
	}
	f.Fuzz(func(t *testing.T, k []byte, domain string, message, sig []byte) {
		for _, s := range All() {
			item := Signed{k, Domain(domain), message, sig}
			single := s.Verify(k, Domain(domain), message, sig)
			for i, got := range s.VerifyBatch([]Signed{item, {}, item}) {
				if want := single && i != 1; got != want {
					t.Fatalf("%s: %x %q %x %x: single %v, %d of the batch %v", s.Name(), k, domain, message, sig, single, i, got)
				}
			}
			if single && s.CheckPublicKey(k) != nil {
				t.Fatalf("%s: %x is refused and yet verifies", s.Name(), k)
			}
		}
		key, err := parseSM2Key(k)
		if err != nil || len(sig) != sm2SignatureSize {
			return
		}
		e := key.digest(SignedBytes(newSM(), Domain(domain), message))
		flag, ours := key.flag(e, sig[:64])
		if theirs := libraryVerify(t, k, e, sig); ours != theirs {
			t.Fatalf("sm: %x %q %x %x: ours %v, library %v", k, domain, message, sig, ours, theirs)
		}
		if got := key.verify(e, sig); got != (ours && flag == sig[64]) {
			t.Fatalf("sm: %x %q %x %x: flag %d, verify %v", k, domain, message, sig, flag, got)
		}
	})
}

// FuzzSM2Digest signs any digest with any key and checks our verification against the library, with one bit
// of the signature changed at will.
func FuzzSM2Digest(f *testing.F) {
	f.Add(unhex(gbPrivate), unhex(gbDigest), uint16(0))
	f.Add(unhex(gbPrivate), make([]byte, 32), uint16(513))
	f.Fuzz(func(t *testing.T, private, digest []byte, bit uint16) {
		signer, err := newSM().ParsePrivate(private)
		if err != nil || len(digest) != HashSize {
			return
		}
		v, e := signer.(*smSigner), Hash(digest)
		der, err := sm2.SignDeterministic(v.private, e[:], nil)
		if err != nil {
			t.Fatal(err)
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			t.Fatal(err)
		}
		b := append(scalar32(rs.R), scalar32(rs.S)...)
		if bit < 512 {
			b[bit/8] ^= 1 << (bit % 8)
		}
		_, ours := v.key.flag(e, b)
		if theirs := libraryVerify(t, v.compressed, e, b); ours != theirs || ours != (bit >= 512) {
			t.Fatalf("private %x, digest %x, bit %d: ours %v, library %v", private, digest, bit, ours, theirs)
		}
	})
}

// FuzzOpen: nothing but what was sealed opens, and what opens can only have been sealed.
func FuzzOpen(f *testing.F) {
	for _, file := range seeds(f) {
		for _, c := range file.Sealed {
			f.Add([]byte(c.Sealed), []byte(c.Additional))
		}
	}
	f.Fuzz(func(t *testing.T, b, additional []byte) {
		for _, s := range []interface {
			Suite
			sealWith(nonce [sealNonceSize]byte, key, plaintext, additional []byte) ([]byte, error)
		}{newSM(), newIntl()} {
			key := bytes.Repeat([]byte{0x42}, s.KeySize())
			plain, err := s.Open(key, b, additional)
			if err != nil {
				if !errors.Is(err, ErrSealed) || plain != nil {
					t.Fatalf("%s: %x: %x, %v", s.Name(), b, plain, err)
				}
				continue
			}
			again, err := s.sealWith([sealNonceSize]byte(b), key, plain, additional)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%s: %x opens as %x, which seals as %x, %v", s.Name(), b, plain, again, err)
			}
		}
	})
}

// FuzzHashDecode: what a hash is read from is what it is written as, in CBOR and as text.
func FuzzHashDecode(f *testing.F) {
	f.Add(append([]byte{0x58, 0x20}, make([]byte, 32)...))
	f.Add([]byte("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"))
	f.Add([]byte{0xf6})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Hash
		if h.UnmarshalCBOR(b) == nil {
			if again, err := h.MarshalCBOR(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%x is read as %s, written as %x, %v", b, h, again, err)
			}
		}
		if h.UnmarshalText(b) == nil {
			if again, err := h.MarshalText(); err != nil || !bytes.EqualFold(again, b) {
				t.Fatalf("%q is read as %s, written as %q, %v", b, h, again, err)
			}
		}
		var k PublicKey
		if k.UnmarshalText(b) == nil {
			if again, err := k.MarshalText(); err != nil || !bytes.EqualFold(again, b) {
				t.Fatalf("%q is read as %s, written as %q, %v", b, k, again, err)
			}
		}
	})
}
