package suite

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// intlBatchSize is how many signatures are checked by one equation: enough to gain most of what a batch gains,
// few enough that one bad signature costs little and all processors have work.
const intlBatchSize = 64

// intlKeyGeneration bounds the cache of decoded Ed25519 keys: twice this many entries of about 1.6 KB.
const intlKeyGeneration = 1024

// ed25519Rule says which signatures are valid: see the package comment. It is written out rather than taken
// from the library's defaults, so that an update cannot change it. CofactorlessVerify stays off because a
// batch is checked with the cofactored equation; AllowSmallOrderR is harmless, since R is not a key, and keeps
// the rule that of RFC 8032 and FIPS 186-5 except for keys of small order.
var ed25519Rule = &ed25519.Options{Verify: &ed25519.VerifyOptions{
	AllowSmallOrderA:   false,
	AllowSmallOrderR:   true,
	AllowNonCanonicalA: false,
	AllowNonCanonicalR: false,
	CofactorlessVerify: false,
}}

// intl implements Suite with Ed25519, SHA-256 and AES-256-GCM.
type intl struct {
	hashing
	sealing
	keys *keyCache[[ed25519.PublicKeySize]byte, *ed25519.ExpandedPublicKey]
}

func newIntl() *intl {
	return &intl{
		hashing: hashing{prefix: "aval/intl/", newHash: sha256.New, sum: sha256.Sum256},
		sealing: sealing{keySize: 32, newBlock: aes.NewCipher},
		keys:    newKeyCache[[ed25519.PublicKeySize]byte, *ed25519.ExpandedPublicKey](intlKeyGeneration),
	}
}

// ID implements Suite.
func (s *intl) ID() ID { return Intl }

// Name implements Suite.
func (s *intl) Name() string { return "intl" }

// PublicKeySize implements Suite.
func (s *intl) PublicKeySize() int { return ed25519.PublicKeySize }

// SignatureSize implements Suite.
func (s *intl) SignatureSize() int { return ed25519.SignatureSize }

// GenerateKey implements Suite.
func (s *intl) GenerateKey(random io.Reader) (Signer, error) {
	if random == nil {
		random = rand.Reader
	}
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("suite: randomness for a key: %w", err)
	}
	return s.ParsePrivate(seed[:])
}

// ParsePrivate implements Suite. Every seed of 32 bytes is a private key.
func (s *intl) ParsePrivate(b []byte) (Signer, error) {
	if len(b) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrPrivateKey, len(b), ed25519.SeedSize)
	}
	return &intlSigner{frame: &s.hashing, private: ed25519.NewKeyFromSeed(b)}, nil
}

// CheckPublicKey implements Suite.
func (s *intl) CheckPublicKey(k PublicKey) error {
	_, err := s.key(k)
	return err
}

// Verify implements Suite.
func (s *intl) Verify(k PublicKey, domain Domain, message []byte, sig Signature) (ok bool) {
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	key, err := s.key(k)
	if err != nil {
		return false
	}
	s.signed(domain, message, func(m []byte) {
		ok = verifyEd25519(key, m, sig)
	})
	return ok
}

// VerifyBatch implements Suite. One equation over random 128-bit multipliers stands for a range of signatures;
// if it fails, each of them is checked alone.
func (s *intl) VerifyBatch(items []Signed) []bool {
	out := make([]bool, len(items))
	inParallel(len(items), intlBatchSize, func(low, high int) { s.verifyRange(items[low:high], out[low:high]) })
	return out
}

// verifyRange sets out[i] to whether items[i] is valid.
func (s *intl) verifyRange(items []Signed, out []bool) {
	batch := ed25519.NewBatchVerifierWithCapacity(len(items))
	at := make([]int, 0, len(items)) // at[j] is the index in items of the batch's entry j
	for i, item := range items {
		key, err := s.key(item.Key)
		if err != nil || len(item.Sig) != ed25519.SignatureSize {
			continue // out[i] stays false
		}
		s.signed(item.Domain, item.Message, func(m []byte) {
			batch.AddExpandedWithOptions(key, m, item.Sig, ed25519Rule)
		})
		at = append(at, i)
	}
	if len(at) == 0 {
		return
	}
	_, valid := batch.Verify(nil)
	for j, i := range at {
		out[i] = valid[j]
	}
}

// key decodes k, or finds it decoded.
func (s *intl) key(k PublicKey) (*ed25519.ExpandedPublicKey, error) {
	if len(k) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrPublicKey, len(k), ed25519.PublicKeySize)
	}
	at := [ed25519.PublicKeySize]byte(k)
	if key, ok := s.keys.get(at); ok {
		return key, nil
	}
	if err := checkEd25519Key(at); err != nil {
		return nil, err
	}
	key, err := ed25519.NewExpandedPublicKey(ed25519.PublicKey(k))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	s.keys.put(at, key)
	return key, nil
}

// checkEd25519Key refuses what ed25519Rule would refuse, once, with a reason.
func checkEd25519Key(k [ed25519.PublicKeySize]byte) error {
	compressed := curve.CompressedEdwardsY(k)
	if !compressed.IsCanonicalVartime() {
		return fmt.Errorf("%w: not the canonical encoding of its point", ErrPublicKey)
	}
	var point curve.EdwardsPoint
	if _, err := point.SetCompressedY(&compressed); err != nil {
		return fmt.Errorf("%w: not on the curve", ErrPublicKey)
	}
	if point.IsSmallOrder() {
		return fmt.Errorf("%w: point of small order", ErrPublicKey)
	}
	return nil
}

// intlSigner implements Signer.
type intlSigner struct {
	frame   *hashing
	private ed25519.PrivateKey
}

// Public implements Signer.
func (s *intlSigner) Public() PublicKey { return bytes.Clone(PublicKey(s.private[ed25519.SeedSize:])) }

// Private implements Signer.
func (s *intlSigner) Private() []byte { return s.private.Seed() }

// Sign implements Signer.
func (s *intlSigner) Sign(domain Domain, message []byte) (sig Signature, err error) {
	s.frame.signed(domain, message, func(m []byte) {
		sig, err = s.raw(m)
	})
	return sig, err
}

// raw signs m without a domain.
func (s *intlSigner) raw(m []byte) (Signature, error) { return s.private.Sign(nil, m, ed25519Rule) }

// verifyEd25519 reports whether sig is a valid signature of m, without a domain.
func verifyEd25519(key *ed25519.ExpandedPublicKey, m []byte, sig Signature) bool {
	return ed25519.VerifyExpandedWithOptions(key, m, sig, ed25519Rule)
}
