package suite

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/emmansun/gmsm/sm3"
	"pgregory.net/rapid"
)

// stream is an endless source of bytes that its label determines, so that keys in tests and vectors repeat.
type stream struct {
	label string
	count uint32
	left  []byte
}

func (s *stream) Read(p []byte) (int, error) {
	for i := range p {
		if len(s.left) == 0 {
			block := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(s.label), s.count))
			s.left, s.count = block[:], s.count+1
		}
		p[i], s.left = s.left[0], s.left[1:]
	}
	return len(p), nil
}

func testSigner(t testing.TB, s Suite, label string) Signer {
	t.Helper()
	signer, err := s.GenerateKey(&stream{label: label})
	if err != nil {
		t.Fatal(err)
	}
	return Deterministic(signer)
}

func mustSign(t testing.TB, signer Signer, domain Domain, message []byte) Signature {
	t.Helper()
	sig, err := signer.Sign(domain, message)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// forEach runs test for every suite.
func forEach(t *testing.T, test func(t *testing.T, s Suite)) {
	for _, s := range All() {
		t.Run(s.Name(), func(t *testing.T) { test(t, s) })
	}
}

func TestSelfTest(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		if err := s.SelfTest(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSelfTestCanFail(t *testing.T) {
	for _, s := range []Suite{
		&sm{hashing: newIntl().hashing, sealing: newSM().sealing, keys: newSM().keys},
		&sm{hashing: newSM().hashing, sealing: newIntl().sealing, keys: newSM().keys},
		&intl{hashing: newSM().hashing, sealing: newIntl().sealing, keys: newIntl().keys},
		&intl{hashing: newIntl().hashing, sealing: newSM().sealing, keys: newIntl().keys},
	} {
		if s.SelfTest() == nil {
			t.Errorf("%s with the wrong parts passes its self test", s.Name())
		}
	}
}

func TestRegistry(t *testing.T) {
	if len(All()) != 2 {
		t.Fatalf("%d suites", len(All()))
	}
	for _, s := range All() {
		byID, err := ByID(s.ID())
		if err != nil || byID != s {
			t.Errorf("ByID(%d): %v, %v", s.ID(), byID, err)
		}
		byName, err := ByName(s.Name())
		if err != nil || byName != s {
			t.Errorf("ByName(%q): %v, %v", s.Name(), byName, err)
		}
	}
	for _, id := range []ID{0, 3, 255} {
		if _, err := ByID(id); !errors.Is(err, ErrUnknown) {
			t.Errorf("ByID(%d): %v", id, err)
		}
	}
	for _, name := range []string{"", "SM", "sm ", "int"} {
		if _, err := ByName(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("ByName(%q): %v", name, err)
		}
	}
	All()[0] = nil
	if All()[0] == nil {
		t.Error("a caller can change the registry")
	}
}

func TestSignVerify(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		signer, err := s.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		public := signer.Public()
		if len(public) != s.PublicKeySize() || s.CheckPublicKey(public) != nil {
			t.Fatalf("public key %s: %v", public, s.CheckPublicKey(public))
		}
		for _, size := range []int{0, 1, 32, 1000, gatherMax, gatherMax + 1} {
			message := make([]byte, size)
			sig := mustSign(t, signer, "d", message)
			if len(sig) != s.SignatureSize() {
				t.Fatalf("signature of %d bytes", len(sig))
			}
			if !s.Verify(public, "d", message, sig) {
				t.Fatalf("message of %d bytes: not valid", size)
			}
			if s.Verify(public, "d", append(message, 0), sig) || s.Verify(public, "e", message, sig) || s.Verify(public, "", message, sig) {
				t.Fatalf("message of %d bytes: valid for another message or domain", size)
			}
		}
		other := testSigner(t, s, "other").Public()
		if s.Verify(other, "d", nil, mustSign(t, signer, "d", nil)) {
			t.Fatal("valid for another key")
		}
	})
}

// TestDomainMessageBoundary moves bytes between domain and message: the length prefix keeps them apart.
func TestDomainMessageBoundary(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		signer := testSigner(t, s, "a")
		sig := mustSign(t, signer, "ab", []byte("c"))
		if s.Verify(signer.Public(), "a", []byte("bc"), sig) || s.Verify(signer.Public(), "abc", nil, sig) {
			t.Fatal("the boundary between domain and message moved")
		}
	})
}

func TestEveryBitOfASignatureCounts(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		signer := testSigner(t, s, "a")
		sig := mustSign(t, signer, "d", []byte("m"))
		for i := range 8 * len(sig) {
			sig[i/8] ^= 1 << (i % 8)
			if s.Verify(signer.Public(), "d", []byte("m"), sig) {
				t.Errorf("valid with bit %d changed", i)
			}
			sig[i/8] ^= 1 << (i % 8)
		}
		for _, bad := range []Signature{nil, {}, sig[:len(sig)-1], append(bytes.Clone(sig), 0)} {
			if s.Verify(signer.Public(), "d", []byte("m"), bad) {
				t.Errorf("valid with %d bytes", len(bad))
			}
		}
	})
}

func TestKeysRepeat(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		a, b := testSigner(t, s, "same"), testSigner(t, s, "same")
		if !bytes.Equal(a.Private(), b.Private()) || !bytes.Equal(a.Public(), b.Public()) {
			t.Fatal("the same randomness made two keys")
		}
		if !bytes.Equal(mustSign(t, a, "d", []byte("m")), mustSign(t, b, "d", []byte("m"))) {
			t.Fatal("deterministic signatures differ")
		}
		parsed, err := s.ParsePrivate(a.Private())
		if err != nil || !bytes.Equal(parsed.Public(), a.Public()) {
			t.Fatalf("private key does not survive: %v", err)
		}
		if bytes.Equal(testSigner(t, s, "different").Public(), a.Public()) {
			t.Fatal("different randomness made one key")
		}
		public, private := a.Public(), a.Private()
		public[1] ^= 1
		private[1] ^= 1
		if bytes.Equal(public, a.Public()) || bytes.Equal(private, a.Private()) {
			t.Fatal("a caller can change the signer")
		}
	})
}

func TestGenerateKeyNeedsRandomness(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		if _, err := s.GenerateKey(strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("short reader: %v", err)
		}
	})
	s := newSM()
	for _, b := range []byte{0, 0xff} {
		if _, err := s.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{b}, 1<<12))); err == nil {
			t.Errorf("a reader of %#x alone made a key", b)
		}
	}
}

func TestPrivateKeyLength(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		private := testSigner(t, s, "a").Private()
		for _, bad := range [][]byte{nil, private[1:], append([]byte{0}, private...), append(private, 0)} {
			if _, err := s.ParsePrivate(bad); !errors.Is(err, ErrPrivateKey) {
				t.Errorf("%d bytes: %v", len(bad), err)
			}
		}
	})
}

// TestBatchEqualsSingle mixes valid and damaged signatures of several keys: each item gets the same answer.
func TestBatchEqualsSingle(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		for _, n := range []int{0, 1, 2, 9, 65, 200} {
			items := mixedItems(t, s, n)
			got := s.VerifyBatch(items)
			if len(got) != n {
				t.Fatalf("%d answers for %d items", len(got), n)
			}
			valid := 0
			for i, item := range items {
				want := s.Verify(item.Key, item.Domain, item.Message, item.Sig)
				if got[i] != want {
					t.Errorf("item %d of %d: batch %v, single %v", i, n, got[i], want)
				}
				if want {
					valid++
				}
			}
			if n >= 9 && (valid == 0 || valid == n) {
				t.Fatalf("%d of %d valid: the mix tests nothing", valid, n)
			}
		}
	})
}

// mixedItems returns n items, of which every seventh is damaged, each time in another way.
func mixedItems(t testing.TB, s Suite, n int) []Signed {
	items := make([]Signed, n)
	for i := range items {
		signer := testSigner(t, s, fmt.Sprint("batch", i%5))
		message := fmt.Append(nil, "message ", i)
		items[i] = Signed{signer.Public(), "d", message, mustSign(t, signer, "d", message)}
		if i%7 != 3 {
			continue
		}
		switch i / 7 % 7 {
		case 0:
			items[i].Domain = "e"
		case 1:
			items[i].Sig = items[i].Sig[:10]
		case 2:
			items[i].Key = items[i].Key[:10]
		case 3:
			items[i].Sig[5] ^= 1
		case 4:
			items[i].Key = testSigner(t, s, "another").Public()
		case 5:
			items[i].Key = make(PublicKey, s.PublicKeySize())
		case 6:
			items[i].Sig[len(items[i].Sig)-1] ^= 1
		}
	}
	return items
}

func TestConcurrentUse(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		signer := testSigner(t, s, "shared")
		var done sync.WaitGroup
		for g := range 4 {
			done.Go(func() {
				for i := range 5 {
					message := fmt.Append(nil, g, i)
					sig, err := signer.Sign("d", message)
					if err != nil || !s.Verify(signer.Public(), "d", message, sig) {
						t.Errorf("goroutine %d, message %d: %v", g, i, err)
					}
				}
			})
		}
		done.Wait()
	})
}

// naiveHash is the framing of the package comment, written the obvious way.
func naiveHash(s Suite, domain Domain, parts ...[]byte) Hash {
	state := sm3.New()
	if s.ID() == Intl {
		state = sha256.New()
	}
	for _, p := range append([][]byte{[]byte("aval/" + s.Name() + "/" + string(domain))}, parts...) {
		if err := binary.Write(state, binary.BigEndian, uint32(len(p))); err != nil {
			panic(err)
		}
		state.Write(p)
	}
	return Hash(state.Sum(nil))
}

func TestHashFraming(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		rapid.Check(t, func(t *rapid.T) {
			domain := Domain(rapid.String().Draw(t, "domain"))
			parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 80), 0, 6).Draw(t, "parts")
			if big := rapid.SampledFrom([]int{0, 0, gatherMax - 100, gatherMax, gatherMax + 1}).Draw(t, "big"); big > 0 {
				parts = append(parts, make([]byte, big))
			}
			if got, want := s.Hash(domain, parts...), naiveHash(s, domain, parts...); got != want {
				t.Fatalf("Hash: got %s, want %s", got, want)
			}
			state := s.NewHash()
			for _, p := range parts {
				state.Write(p)
			}
			if got, want := s.Sum(parts...), Hash(state.Sum(nil)); got != want {
				t.Fatalf("Sum: got %s, want %s", got, want)
			}
		})
	})
}

func TestHashSeparates(t *testing.T) {
	seen := map[Hash]string{}
	for _, s := range All() {
		for name, h := range map[string]Hash{
			"no part":          s.Hash("d"),
			"one empty part":   s.Hash("d", nil),
			"two empty parts":  s.Hash("d", nil, nil),
			"ab":               s.Hash("d", []byte("ab")),
			"a, b":             s.Hash("d", []byte("a"), []byte("b")),
			"empty, ab":        s.Hash("d", nil, []byte("ab")),
			"other domain":     s.Hash("da", []byte("b")),
			"part like length": s.Hash("d", []byte{0, 0, 0, 0}),
		} {
			name = s.Name() + ": " + name
			if other, ok := seen[h]; ok {
				t.Errorf("%s and %s have one hash", name, other)
			}
			seen[h] = name
		}
	}
}

func TestHashAllocatesLittle(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		parts := [][]byte{make([]byte, 32), make([]byte, 32)}
		if n := testing.AllocsPerRun(1000, func() { s.Hash("d", parts...) }); n >= 1 {
			t.Errorf("Hash: %v allocations", n)
		}
		if n := testing.AllocsPerRun(1000, func() { s.Sum(parts...) }); n >= 1 {
			t.Errorf("Sum: %v allocations", n)
		}
	})
}

func TestSealOpen(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		key := make([]byte, s.KeySize())
		for _, size := range []int{0, 1, 16, 1000} {
			plain := bytes.Repeat([]byte{7}, size)
			sealed, err := s.Seal(key, plain, []byte("context"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Open(key, sealed, []byte("context")); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes: got %x, %v", size, got, err)
			}
			again, err := s.Seal(key, plain, []byte("context"))
			if err != nil || bytes.Equal(again, sealed) {
				t.Fatalf("the nonce repeats: %v", err)
			}
			if _, err := s.Open(key, sealed, []byte("other")); !errors.Is(err, ErrSealed) {
				t.Fatalf("other context: %v", err)
			}
			for i := range sealed {
				sealed[i] ^= 0x80
				if _, err := s.Open(key, sealed, []byte("context")); !errors.Is(err, ErrSealed) {
					t.Fatalf("byte %d changed: %v", i, err)
				}
				sealed[i] ^= 0x80
				if _, err := s.Open(key, sealed[:i], []byte("context")); !errors.Is(err, ErrSealed) {
					t.Fatalf("cut to %d bytes: %v", i, err)
				}
			}
		}
		for _, bad := range [][]byte{nil, key[1:], append(bytes.Clone(key), 0)} {
			if _, err := s.Seal(bad, nil, nil); err == nil {
				t.Errorf("sealed under a key of %d bytes", len(bad))
			}
			if _, err := s.Open(bad, make([]byte, 100), nil); err == nil {
				t.Errorf("opened under a key of %d bytes", len(bad))
			}
		}
	})
}

// naivePBKDF2 is RFC 8018 section 5.2 for one block.
func naivePBKDF2(h func() hash.Hash, passphrase, salt []byte, iterations int) []byte {
	prf := func(m []byte) []byte {
		mac := hmac.New(h, passphrase)
		mac.Write(m)
		return mac.Sum(nil)
	}
	u := prf(append(bytes.Clone(salt), 0, 0, 0, 1))
	out := bytes.Clone(u)
	for range iterations - 1 {
		u = prf(u)
		for i := range out {
			out[i] ^= u[i]
		}
	}
	return out
}

func TestDeriveKey(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		for _, iterations := range []int{1, 2, 100} {
			got := s.DeriveKey([]byte("password"), []byte("salt"), iterations, 32)
			if want := naivePBKDF2(s.NewHash, []byte("password"), []byte("salt"), iterations); !bytes.Equal(got, want) {
				t.Errorf("%d iterations: got %x, want %x", iterations, got, want)
			}
		}
		for _, bad := range [][2]int{{0, 32}, {-1, 32}, {1, 0}, {1, -1}} {
			if !panics(func() { s.DeriveKey([]byte("p"), []byte("s"), bad[0], bad[1]) }) {
				t.Errorf("%d iterations, length %d: no panic", bad[0], bad[1])
			}
		}
	})
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
