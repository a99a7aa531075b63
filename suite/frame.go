package suite

import (
	"crypto/pbkdf2"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"sync"
)

// gatherMax is up to how many bytes a hash input is copied together and hashed at once, which costs less than
// many small writes; longer inputs are streamed.
const gatherMax = 16 << 10

// scratch holds buffers of gatherMax bytes for hash inputs and signed messages.
var scratch = sync.Pool{New: func() any {
	b := make([]byte, 0, gatherMax)
	return &b
}}

// hashing is the part of a suite that its hash function determines.
type hashing struct {
	prefix  string                        // "aval/" ‖ suite name ‖ "/"
	newHash func() hash.Hash              // a fresh state
	sum     func(b []byte) [HashSize]byte // the digest of b, without allocation
	lanes   *lanes                        // hashes many messages at once; nil if they are hashed one by one
}

// NewHash implements Suite.
func (h *hashing) NewHash() hash.Hash { return h.newHash() }

// Sum implements Suite.
func (h *hashing) Sum(parts ...[]byte) Hash {
	if len(parts) == 1 {
		return h.sum(parts[0])
	}
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if total > gatherMax {
		return h.stream(func(state hash.Hash) {
			for _, p := range parts {
				state.Write(p)
			}
		})
	}
	buf := scratch.Get().(*[]byte)
	b := (*buf)[:0]
	for _, p := range parts {
		b = append(b, p...)
	}
	out := h.sum(b)
	scratch.Put(buf)
	return out
}

// Hash implements Suite. The input of the hash function is the length-prefixed tag and then each part, length-
// prefixed: see the package comment.
func (h *hashing) Hash(domain Domain, parts ...[]byte) Hash {
	total := h.tagSize(domain)
	for _, p := range parts {
		total += 4 + len(p)
	}
	if total > gatherMax {
		return h.stream(func(state hash.Hash) {
			state.Write(h.appendTag(nil, domain))
			for _, p := range parts {
				var length [4]byte
				binary.BigEndian.PutUint32(length[:], length32(len(p)))
				state.Write(length[:])
				state.Write(p)
			}
		})
	}
	buf := scratch.Get().(*[]byte)
	b := h.appendTag((*buf)[:0], domain)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, length32(len(p)))
		b = append(b, p...)
	}
	out := h.sum(b)
	scratch.Put(buf)
	return out
}

// DeriveKey implements Suite.
func (h *hashing) DeriveKey(passphrase, salt []byte, iterations, length int) []byte {
	if iterations < 1 || length < 1 {
		panic(fmt.Sprintf("suite: DeriveKey with %d iterations and length %d", iterations, length))
	}
	key, err := pbkdf2.Key(h.newHash, string(passphrase), salt, iterations, length)
	if err != nil {
		panic(fmt.Sprintf("suite: PBKDF2: %v", err))
	}
	return key
}

// stream hashes what write writes.
func (h *hashing) stream(write func(state hash.Hash)) (out Hash) {
	state := h.newHash()
	write(state)
	state.Sum(out[:0])
	return out
}

func (h *hashing) tagSize(domain Domain) int { return 4 + len(h.prefix) + len(domain) }

// appendTag appends the length-prefixed domain tag to b.
func (h *hashing) appendTag(b []byte, domain Domain) []byte {
	b = binary.BigEndian.AppendUint32(b, length32(len(h.prefix)+len(domain)))
	b = append(b, h.prefix...)
	return append(b, domain...)
}

// signed calls use with M, the bytes that are signed for message under domain, which are valid until it returns.
func (h *hashing) signed(domain Domain, message []byte, use func(m []byte)) {
	if h.tagSize(domain)+len(message) > gatherMax {
		use(append(h.appendTag(make([]byte, 0, h.tagSize(domain)+len(message)), domain), message...))
		return
	}
	buf := scratch.Get().(*[]byte)
	use(append(h.appendTag((*buf)[:0], domain), message...))
	scratch.Put(buf)
}

// SignedBytes returns M, the bytes that a signature of message under domain covers: the length-prefixed tag and
// then the message. It is for devices that hold keys elsewhere, and for test vectors.
func SignedBytes(s Suite, domain Domain, message []byte) []byte {
	tag := "aval/" + s.Name() + "/" + string(domain)
	m := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(tag)+len(message)), length32(len(tag)))
	return append(append(m, tag...), message...)
}

// length32 refuses what no caller within the ledger's limits can pass, since a length that wraps around would
// let two lists of parts collide.
func length32(n int) uint32 {
	if uint64(n) > math.MaxUint32 {
		panic(fmt.Sprintf("suite: a part of %d bytes is too long to hash", n))
	}
	return uint32(n)
}
