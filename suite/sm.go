package suite

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// keyTries is how often GenerateKey draws before it gives up: a draw fails with probability 2^-32, so the
// reader is broken long before that.
const keyTries = 16

// sm4KeySize is the length in bytes of an SM4 key.
const sm4KeySize = 16

// smBatchSize is how many signatures one goroutine checks at a time with the library.
const smBatchSize = 8

// smKeyGeneration bounds the cache of decoded SM2 keys: twice this many entries of about 400 bytes.
const smKeyGeneration = 4096

// sm implements Suite with SM2, SM3 and SM4-GCM.
type sm struct {
	hashing
	sealing
	keys     *keyCache[[sm2PublicKeySize]byte, *sm2Key]
	verifier *smVerifier
}

func newSM() *sm {
	return &sm{
		hashing: hashing{prefix: "aval/sm/", newHash: sm3.New, sum: sm3.Sum, lanes: newLanes()},
		sealing: sealing{keySize: sm4KeySize, newBlock: sm4.NewCipher},
		keys:    newKeyCache[[sm2PublicKeySize]byte, *sm2Key](smKeyGeneration),

		verifier: newSMVerifier(),
	}
}

// ID implements Suite.
func (s *sm) ID() ID { return SM }

// Name implements Suite.
func (s *sm) Name() string { return "sm" }

// PublicKeySize implements Suite.
func (s *sm) PublicKeySize() int { return sm2PublicKeySize }

// SignatureSize implements Suite.
func (s *sm) SignatureSize() int { return sm2SignatureSize }

// GenerateKey implements Suite.
func (s *sm) GenerateKey(random io.Reader) (Signer, error) {
	if random == nil {
		random = rand.Reader
	}
	var b [sm2ScalarSize]byte
	for range keyTries {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, fmt.Errorf("suite: randomness for a key: %w", err)
		}
		if signer, err := s.ParsePrivate(b[:]); err == nil {
			return signer, nil
		}
	}
	return nil, fmt.Errorf("suite: randomness for a key: %d draws gave no private key", keyTries)
}

// ParsePrivate implements Suite.
func (s *sm) ParsePrivate(b []byte) (Signer, error) {
	if len(b) != sm2ScalarSize {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrPrivateKey, len(b), sm2ScalarSize)
	}
	private, err := sm2.NewPrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: not in [1, n-2]", ErrPrivateKey)
	}
	key := newSM2Key(private.X, private.Y)
	return &smSigner{suite: s, private: private, key: key, compressed: key.compress(), nonce: rand.Reader}, nil
}

// CheckPublicKey implements Suite.
func (s *sm) CheckPublicKey(k PublicKey) error {
	_, err := s.key(k)
	return err
}

// Verify implements Suite.
func (s *sm) Verify(k PublicKey, domain Domain, message []byte, sig Signature) (ok bool) {
	signed := Signed{Key: k, Domain: domain, Message: message, Sig: sig}
	if s.verifier.library.Load() {
		return s.verifyLibrary(&signed)
	}
	return s.verifyFast(&signed)
}

// VerifyBatch implements Suite.
func (s *sm) VerifyBatch(items []Signed) []bool {
	out := make([]bool, len(items))
	if len(items) == 0 {
		return out
	}
	if !s.verifier.library.Load() {
		s.verifyBatchFast(items, out)
		return out
	}
	inParallel(len(items), smBatchSize, func(low, high int) {
		for i := low; i < high; i++ {
			out[i] = s.verifyLibrary(&items[i])
		}
	})
	return out
}

// key decodes k, or finds it decoded.
func (s *sm) key(k PublicKey) (*sm2Key, error) {
	if len(k) != sm2PublicKeySize {
		return parseSM2Key(k)
	}
	at := [sm2PublicKeySize]byte(k)
	if key, ok := s.keys.get(at); ok {
		return key, nil
	}
	key, err := parseSM2Key(k)
	if err != nil {
		return nil, err
	}
	s.keys.put(at, key)
	return key, nil
}

// smSigner implements Signer.
type smSigner struct {
	suite      *sm
	private    *sm2.PrivateKey
	key        *sm2Key
	compressed PublicKey
	nonce      io.Reader // randomness for hedged nonces; nil for deterministic ones
}

// Public implements Signer.
func (s *smSigner) Public() PublicKey { return bytes.Clone(s.compressed) }

// Private implements Signer.
func (s *smSigner) Private() []byte { return s.private.D.FillBytes(make([]byte, sm2ScalarSize)) }

// Sign implements Signer.
func (s *smSigner) Sign(domain Domain, message []byte) (sig Signature, err error) {
	s.suite.signed(domain, message, func(m []byte) {
		sig, err = sm2Sign(s.private, s.nonce, s.key.digest(m), s.flag)
	})
	return sig, err
}

// flag is sm2Key.flag, by the fast verifier unless the library decides.
func (s *smSigner) flag(e Hash, rs []byte) (byte, bool) {
	v := s.suite.verifier
	if v.library.Load() {
		return s.key.flag(e, rs)
	}
	key, ok := v.fast.Key((*[sm2PublicKeySize]byte)(s.compressed))
	if !ok {
		return 0, false
	}
	return v.fast.Flag(key, (*[HashSize]byte)(&e), (*[2 * sm2ScalarSize]byte)(rs))
}
