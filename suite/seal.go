package suite

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
)

// The sizes in bytes of the nonce before and the tag behind a ciphertext, in both suites.
const (
	sealNonceSize = 12
	sealTagSize   = 16
)

// sealing is the part of a suite that its block cipher determines.
type sealing struct {
	keySize  int
	newBlock func(key []byte) (cipher.Block, error)
}

// KeySize implements Suite.
func (s *sealing) KeySize() int { return s.keySize }

// Seal implements Suite: nonce ‖ ciphertext ‖ tag.
func (s *sealing) Seal(key, plaintext, additional []byte) ([]byte, error) {
	var nonce [sealNonceSize]byte
	rand.Read(nonce[:]) // never fails: the runtime stops the program if the system has no randomness
	return s.sealWith(nonce, key, plaintext, additional)
}

// Open implements Suite.
func (s *sealing) Open(key, sealed, additional []byte) ([]byte, error) {
	aead, err := s.aead(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < sealNonceSize+sealTagSize {
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrSealed, len(sealed))
	}
	plaintext, err := aead.Open(nil, sealed[:sealNonceSize], sealed[sealNonceSize:], additional)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return plaintext, nil
}

// sealWith seals under a nonce that must never be used again with this key.
func (s *sealing) sealWith(nonce [sealNonceSize]byte, key, plaintext, additional []byte) ([]byte, error) {
	aead, err := s.aead(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, sealNonceSize, sealNonceSize+len(plaintext)+sealTagSize)
	copy(out, nonce[:])
	return aead.Seal(out, nonce[:], plaintext, additional), nil
}

func (s *sealing) aead(key []byte) (cipher.AEAD, error) {
	if len(key) != s.keySize {
		return nil, fmt.Errorf("suite: a sealing key has %d bytes, not %d", s.keySize, len(key))
	}
	block, err := s.newBlock(key)
	if err != nil {
		return nil, fmt.Errorf("suite: block cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("suite: GCM: %w", err)
	}
	return aead, nil
}
