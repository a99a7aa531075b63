package suite

import (
	"fmt"
	"sync/atomic"

	"aval/internal/invariant"
	"aval/suite/internal/sm3lanes"
)

// lanesRecheckEvery is how many digests of the lanes one is computed again with the library for.
const lanesRecheckEvery = 1024

// lanes hashes many messages at once, with suite/internal/sm3lanes. The digests are those of the suite's hash function.
type lanes struct {
	// off says that messages are hashed one by one, by the library. It may change at any time.
	off atomic.Bool
	// digests is how many digests the lanes made.
	digests atomic.Uint64
}

// newLanes returns lanes, or none if the processor cannot hash several messages at once.
func newLanes() *lanes {
	if !sm3lanes.Available() {
		return nil
	}
	return &lanes{}
}

// SetFastSM3 turns hashing of several messages at once with SM3 on or off for the whole program; it is on unless this is called, if
// the processor has what it takes. Off, the library hashes every message, several times slower. Hashes are the same: this is
// for operators who distrust the fast code, and may be called at any time.
func SetFastSM3(on bool) {
	for _, s := range registry {
		if sm, ok := s.(*sm); ok && sm.lanes != nil {
			sm.lanes.off.Store(!on)
		}
	}
}

// manyHasher is a suite of this package. One of another package is asked for each hash.
type manyHasher interface{ frame() *hashing }

func (h *hashing) frame() *hashing { return h }

// many returns how s hashes if it is worth while to hash n messages at once, nil if not.
func many(s Suite, n int) *hashing {
	m, ok := s.(manyHasher)
	if !ok || n < 2 {
		return nil
	}
	if h := m.frame(); h.lanes != nil && !h.lanes.off.Load() {
		return h
	}
	return nil
}

// HashMany sets out[i] to s.Hash(domain, messages[i]), faster than one by one if suite and processor allow. It panics if the
// lengths differ. It uses the calling goroutine only.
func HashMany(s Suite, domain Domain, messages [][]byte, out []Hash) {
	checkMany(len(messages), len(out))
	h := many(s, len(out))
	if h == nil {
		var part [1][]byte
		for i := range out {
			part[0] = messages[i]
			out[i] = s.Hash(domain, part[:]...)
		}
		return
	}
	for _, m := range messages {
		length32(len(m))
	}
	buf := scratch.Get().(*[]byte)
	sm3lanes.Sum(sm3lanes.Frame{Prefix: h.appendTag((*buf)[:0], domain), Sized: true}, messages, out)
	scratch.Put(buf)
	h.lanes.recheck(len(out), func(i int) (got, want Hash, message []byte) {
		return out[i], h.Hash(domain, messages[i]), messages[i]
	})
}

// SumMany sets out[i] to s.Sum(prefix, messages[i]), as HashMany.
func SumMany(s Suite, prefix []byte, messages [][]byte, out []Hash) {
	checkMany(len(messages), len(out))
	h := many(s, len(out))
	if h == nil {
		var parts [2][]byte
		parts[0] = prefix
		for i := range out {
			parts[1] = messages[i]
			out[i] = s.Sum(parts[:]...)
		}
		return
	}
	sm3lanes.Sum(sm3lanes.Frame{Prefix: prefix}, messages, out)
	h.lanes.recheck(len(out), func(i int) (got, want Hash, message []byte) {
		return out[i], h.Sum(prefix, messages[i]), messages[i]
	})
}

// SumPacked sets out[i] to s.Sum of the size bytes of packed from i·size on: messages of one size that lie one after another. It
// panics if packed is shorter than they are together; for the rest it is as HashMany.
func SumPacked(s Suite, size int, packed []byte, out []Hash) {
	if size < 0 || len(packed) < size*len(out) {
		panic(fmt.Sprintf("suite: %d messages of %d bytes are not in %d bytes", len(out), size, len(packed)))
	}
	h := many(s, len(out))
	if h == nil {
		var part [1][]byte
		for i := range out {
			part[0] = packed[i*size : (i+1)*size]
			out[i] = s.Sum(part[:]...)
		}
		return
	}
	sm3lanes.SumPacked(size, packed, out)
	h.lanes.recheck(len(out), func(i int) (got, want Hash, message []byte) {
		m := packed[i*size : (i+1)*size]
		return out[i], h.sum(m), m
	})
}

func checkMany(messages, digests int) {
	if messages != digests {
		panic(fmt.Sprintf("suite: %d messages, room for %d digests", messages, digests))
	}
}

// recheck stops the node if the library does not give the same digest for one of n that were made: to go on with a hash
// function that is wrong would be worse. It asks for each digest whose number lanesRecheckEvery divides.
func (l *lanes) recheck(n int, again func(i int) (got, want Hash, message []byte)) {
	after := l.digests.Add(uint64(n))
	for k := after % lanesRecheckEvery; k < uint64(n); k += lanesRecheckEvery {
		got, want, message := again(n - 1 - int(k))
		if got != want { // before the arguments are made
			invariant.Check(false, "SM3: the lanes say %s, the library %s: message %x", got, want, message)
		}
	}
}
