package keyfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Version is the version of key files.
const Version = 1

// The bounds of a key file.
const (
	// BytesMax bounds an encoded file.
	BytesMax = 4096
	// SaltBytes is the length of a salt.
	SaltBytes = 16
	// LabelBytesMax bounds a label.
	LabelBytesMax = 128
	// IterationsMax bounds what opening a file may cost; 20 million take about half a minute.
	IterationsMax = 20_000_000
	// sealedBytesMax bounds the sealed private key.
	sealedBytesMax = 256
)

// The default cost of opening a key, in iterations: about half a second on one core of a server of 2024. PBKDF2 over SM3
// takes twice as long for each as over SHA-256, which processors help with.
const (
	IterationsIntl = 600_000
	IterationsSM   = 300_000
)

// Errors of opening.
var (
	// ErrPassphrase reports a wrong passphrase, or a file that was tampered with: the two cannot be told apart.
	ErrPassphrase = errors.New("wrong passphrase, or the key file was altered")
	// ErrFormat reports bytes that are not a key file.
	ErrFormat = errors.New("not a key file")
)

// File is a private key encrypted at rest, with what can be said of it without the passphrase.
type File struct {
	Version uint8           `cbor:"1,keyasint" json:"version"`
	Suite   suite.ID        `cbor:"2,keyasint" json:"suite"`
	Public  suite.PublicKey `cbor:"3,keyasint" json:"public"`
	// Label is free text, such as whose key it is.
	Label string `cbor:"4,keyasint" json:"label"`
	// Salt and Iterations are the parameters of PBKDF2.
	Salt       []byte `cbor:"5,keyasint" json:"-"`
	Iterations uint32 `cbor:"6,keyasint" json:"iterations"`
	// Sealed is the private key under the stretched passphrase.
	Sealed []byte `cbor:"7,keyasint" json:"-"`
}

// Config says how to seal a key.
type Config struct {
	// Label is free text of at most LabelBytesMax bytes.
	Label string
	// Passphrase must not be empty.
	Passphrase []byte
	// Iterations of PBKDF2; 0 means DefaultIterations of the suite.
	Iterations uint32
	// Rand is the source of the salt; nil means crypto/rand.
	Rand io.Reader
}

// DefaultIterations returns the default cost for keys of s.
func DefaultIterations(s suite.Suite) uint32 {
	if s.ID() == suite.SM {
		return IterationsSM
	}
	return IterationsIntl
}

// Seal encrypts signer's private key.
func Seal(s suite.Suite, signer suite.Signer, c Config) (*File, error) {
	if c.Iterations == 0 {
		c.Iterations = DefaultIterations(s)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if len(c.Passphrase) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	f := &File{Version: Version, Suite: s.ID(), Public: signer.Public(), Label: c.Label, Salt: make([]byte, SaltBytes),
		Iterations: c.Iterations}
	if _, err := io.ReadFull(c.Rand, f.Salt); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	sealed, err := s.Seal(f.stretch(s, c.Passphrase), signer.Private(), f.additional())
	if err != nil {
		return nil, err
	}
	f.Sealed = sealed
	return f, nil
}

// Open decrypts the private key. A wrong passphrase is ErrPassphrase.
func (f *File) Open(passphrase []byte) (suite.Signer, error) {
	s, err := suite.ByID(f.Suite)
	if err != nil {
		return nil, err
	}
	private, err := s.Open(f.stretch(s, passphrase), f.Sealed, f.additional())
	if err != nil {
		return nil, ErrPassphrase
	}
	signer, err := s.ParsePrivate(private)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !bytes.Equal(signer.Public(), f.Public) {
		return nil, fmt.Errorf("%w: the private key is not that of the public key", ErrFormat)
	}
	return signer, nil
}

// Encode returns the file's bytes.
func (f *File) Encode() ([]byte, error) { return codec.Marshal(f) }

// Decode reads a key file strictly.
func Decode(b []byte) (*File, error) {
	if len(b) > BytesMax {
		return nil, fmt.Errorf("%w: %d bytes, the most is %d", ErrFormat, len(b), BytesMax)
	}
	var f File
	if err := codec.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if len(f.Sealed) == 0 || len(f.Sealed) > sealedBytesMax {
		return nil, fmt.Errorf("%w: %d sealed bytes", ErrFormat, len(f.Sealed))
	}
	return &f, nil
}

// check refuses fields out of bounds.
func (f *File) check() error {
	if f.Version != Version {
		return fmt.Errorf("%w: version %d is not %d", ErrFormat, f.Version, Version)
	}
	s, err := suite.ByID(f.Suite)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := s.CheckPublicKey(f.Public); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(f.Label) > LabelBytesMax || !utf8.ValidString(f.Label) {
		return fmt.Errorf("%w: a label is text of at most %d bytes", ErrFormat, LabelBytesMax)
	}
	if len(f.Salt) != SaltBytes {
		return fmt.Errorf("%w: a salt has %d bytes, not %d", ErrFormat, SaltBytes, len(f.Salt))
	}
	if f.Iterations < 1 || f.Iterations > IterationsMax {
		return fmt.Errorf("%w: 1 to %d iterations are allowed, not %d", ErrFormat, IterationsMax, f.Iterations)
	}
	return nil
}

func (f *File) stretch(s suite.Suite, passphrase []byte) []byte {
	return s.DeriveKey(passphrase, f.Salt, int(f.Iterations), s.KeySize())
}

// additional is what the seal binds beside the private key: the purpose and every other field.
func (f *File) additional() []byte {
	bound := *f
	bound.Sealed = nil
	return append([]byte(ledger.DomainKeyFile), codec.MustMarshal(&bound)...)
}
