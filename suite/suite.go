package suite

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// ID names a crypto suite on the wire. Numbers are appended and never reused.
type ID uint8

// The suites of this version of the protocol.
const (
	// SM is SM2 (GB/T 32918), SM3 (GB/T 32905) and SM4-GCM (GB/T 32907).
	SM ID = 1
	// Intl is Ed25519 (RFC 8032), SHA-256 (FIPS 180-4) and AES-256-GCM (SP 800-38D).
	Intl ID = 2
)

// HashSize is the length in bytes of every suite's hash.
const HashSize = 32

// Hash is a digest made by the network's suite.
type Hash [HashSize]byte

// What the parsers of this package refuse. Errors wrap one of these and say why.
var (
	// ErrPublicKey reports bytes that are not a public key of the suite.
	ErrPublicKey = errors.New("suite: not a public key")
	// ErrPrivateKey reports bytes that are not a private key of the suite.
	ErrPrivateKey = errors.New("suite: not a private key")
	// ErrSealed reports a sealed box that is damaged, forged, or under another key or context.
	ErrSealed = errors.New("suite: cannot open")
	// ErrUnknown reports a suite this version does not have.
	ErrUnknown = errors.New("suite: unknown suite")
)

// IsZero reports whether h is all zero bytes, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns h as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns h as 64 lower-case hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != HashSize || len(text)%2 != 0 {
		return fmt.Errorf("suite: a hash is %d hexadecimal digits, not %d", 2*HashSize, len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// MarshalCBOR encodes h as a byte string of 32 bytes.
func (h Hash) MarshalCBOR() ([]byte, error) {
	out := make([]byte, 2+HashSize)
	out[0], out[1] = 0x58, HashSize
	copy(out[2:], h[:])
	return out, nil
}

// UnmarshalCBOR decodes a byte string of exactly 32 bytes.
func (h *Hash) UnmarshalCBOR(b []byte) error {
	if len(b) != 2+HashSize || b[0] != 0x58 || b[1] != HashSize {
		return errors.New("suite: a hash is a byte string of 32 bytes")
	}
	copy(h[:], b[2:])
	return nil
}

// PublicKey is a public key in the suite's one encoding: 33 bytes compressed in sm, 32 bytes in intl.
type PublicKey []byte

// String returns the key in hexadecimal.
func (k PublicKey) String() string { return hex.EncodeToString(k) }

// MarshalText returns the key in hexadecimal.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads hexadecimal digits; whether they are a key of the suite is for CheckPublicKey to say.
func (k *PublicKey) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("suite: a public key in hexadecimal: %w", err)
	}
	*k = b
	return nil
}

// Signature is a signature in the suite's one encoding: 65 bytes r ‖ s ‖ flag in sm, 64 bytes in intl.
type Signature []byte

// Signed is one signature to check: Message was signed under Domain by the holder of Key.
type Signed struct {
	Key     PublicKey
	Domain  Domain
	Message []byte
	Sig     Signature
}

// Domain is what a hash or a signature is for. The suite's name is hashed into every domain tag, so nothing
// made for one purpose or suite can be taken for another. See the package comment for the exact bytes.
type Domain string

// Signer holds a private key. Its methods are safe for concurrent use.
type Signer interface {
	// Public returns the public key.
	Public() PublicKey
	// Sign signs message under domain.
	Sign(domain Domain, message []byte) (Signature, error)
	// Private returns the private key's bytes, to be stored sealed and nowhere else.
	Private() []byte
}

// Suite is one set of algorithms. Its methods are safe for concurrent use. No algorithm outside the suite
// touches a vote, a block hash, a state root or a signature.
type Suite interface {
	// ID returns the suite's number.
	ID() ID
	// Name returns "sm" or "intl".
	Name() string
	// PublicKeySize and SignatureSize are the exact lengths in bytes.
	PublicKeySize() int
	SignatureSize() int

	// NewHash returns a fresh hash state without a domain; only merkle and Hash use it directly.
	NewHash() hash.Hash
	// Sum hashes parts, one after another, without a domain or lengths: for callers that frame their own input.
	Sum(parts ...[]byte) Hash
	// Hash hashes parts under domain. The tag and every part are length-prefixed, so that no two different
	// lists of parts collide.
	Hash(domain Domain, parts ...[]byte) Hash

	// GenerateKey makes a key pair from rand (crypto/rand.Reader if nil). The same bytes make the same key.
	GenerateKey(rand io.Reader) (Signer, error)
	// ParsePrivate reads what Signer.Private returned; its errors wrap ErrPrivateKey.
	ParsePrivate(b []byte) (Signer, error)
	// CheckPublicKey refuses wrong lengths, off-curve points, the identity, points of small order and
	// non-canonical encodings; its errors wrap ErrPublicKey. A key that it refuses verifies nothing.
	CheckPublicKey(k PublicKey) error
	// Verify reports whether sig is a valid signature of message under domain by k.
	Verify(k PublicKey, domain Domain, message []byte, sig Signature) bool
	// VerifyBatch reports for each item what Verify would.
	VerifyBatch(items []Signed) []bool

	// Seal encrypts plaintext under a key of KeySize bytes with a fresh random nonce, bound to additional.
	Seal(key, plaintext, additional []byte) ([]byte, error)
	// Open undoes Seal; any change to its input is an error that wraps ErrSealed.
	Open(key, sealed, additional []byte) ([]byte, error)
	// KeySize is the length in bytes of a key for Seal.
	KeySize() int
	// DeriveKey stretches a passphrase with PBKDF2-HMAC over the suite's hash (RFC 8018 section 5.2).
	// It panics unless iterations and length are at least 1; a caller that reads them from a file bounds them.
	DeriveKey(passphrase, salt []byte, iterations, length int) []byte
	// SelfTest runs the suite's known-answer tests; a node that fails them must not start.
	SelfTest() error
}
