package vm

import (
	"encoding/binary"

	"aval/ledger"
	"aval/suite"
)

// Authorizer says whether the keys that signed satisfy a party's policy. Its errors are *ledger.Failure with a code
// that does not spend the transaction's id.
type Authorizer interface {
	// Require fails unless the signers meet party's policy for class, now, by distinct persons.
	Require(party ledger.PartyID, class ledger.Class) error
	// RequireAny fails unless at least one signer is a valid maker, checker or admin key of party, and returns the
	// signing keys of party that are valid now.
	RequireAny(party ledger.PartyID) ([]suite.PublicKey, error)
	// HasKey reports whether the holder of key has signed, registered or not: a proof of possession.
	HasKey(key suite.PublicKey) bool
}

// Context is what one operation sees: the journal, time as data, who acts and who signed.
type Context struct {
	*Journal
	Suite   suite.Suite
	Network suite.Hash
	// Params are the network's parameters.
	Params *ledger.Params
	Height ledger.Height
	// Time is ledger time; nothing in execution reads wall time but the transaction window.
	Time ledger.Time
	// Tx is the id of the transaction, or of the proposal whose operations run; Op the operation's index in it.
	Tx suite.Hash
	Op int
	// Acting is the party in whose name the operation is done; its policy for the operation's class has been met.
	Acting ledger.PartyID
	Auth   Authorizer
}

// Today returns the date of Time at UTC+8.
func (c *Context) Today() ledger.Date { return c.Time.Date() }

// NewID derives the id of the n-th thing that this operation makes. It depends on the transaction's id alone, so the
// client can compute it beforehand: see ledger.DerivedID.
func (c *Context) NewID(n int) suite.Hash { return ledger.DerivedID(c.Suite, c.Tx, c.Op, n) }

// BoundaryID derives the n-th id made by due-date work at this height.
func (c *Context) BoundaryID(n int) suite.Hash {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(c.Height))
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	return c.Suite.Hash(ledger.DomainDerivedID, c.Network[:], []byte("boundary"), b[:])
}
