package node

import (
	"sync"

	"aval/internal/chain"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// knownMax bounds the keys that are remembered; a network with more looks some up again.
const knownMax = 1 << 16

// known remembers which keys were found on the ledger. Keys are never taken from it again (a revoked one stays, and may not sign), so what
// is remembered stays true; what was not found may come. Its methods are safe for concurrent use.
type known struct {
	chain *chain.Chain
	mu    sync.RWMutex
	keys  map[string]struct{}
}

func newKnown(c *chain.Chain) *known {
	k := &known{chain: c, keys: map[string]struct{}{}}
	if clock := c.Genesis().ClockKey; len(clock) > 0 {
		k.keys[string(clock)] = struct{}{}
	}
	return k
}

// is reports whether a key is a member's. A store that fails is no reason to turn anybody away.
func (k *known) is(key suite.PublicKey) bool {
	k.mu.RLock()
	_, ok := k.keys[string(key)]
	k.mu.RUnlock()
	if ok {
		return true
	}
	err := k.chain.Read(func(j *vm.Journal, _ chain.At) error {
		ok = j.Get(ledger.MemberKey(key)) != nil
		return nil
	})
	if err != nil {
		return true
	}
	if ok {
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.keys) == knownMax {
			clear(k.keys)
		}
		k.keys[string(key)] = struct{}{}
	}
	return ok
}
