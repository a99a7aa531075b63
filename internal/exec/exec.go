package exec

import (
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Config fixes what execution depends on beside state and block.
type Config struct {
	Suite   suite.Suite
	Genesis *ledger.Genesis
}

// Input is one decided block, decoded. All signatures in it have been verified.
type Input struct {
	Header *ledger.Header
	Txs    []Tx
}

// Tx is one transaction with the hashes that intake computed.
type Tx struct {
	ID     suite.Hash // without signatures
	Signed suite.Hash // with signatures
	Body   *ledger.SignedTx
}

// Window knows which ids were spent in the replay window. Ids spent earlier in the same block are execution's own
// business.
type Window interface {
	Spent(id suite.Hash) bool
}

// Spent is an id that this block spends, to be remembered until ValidUntil.
type Spent struct {
	ID         suite.Hash
	ValidUntil ledger.Time
	// Receipt is the index of the receipt in the block.
	Receipt uint32
}

// Result is what a block does.
type Result struct {
	Receipts []ledger.Receipt
	// Changes are sorted by key.
	Changes []vm.Change
	Spent   []Spent
	// WorkLeft says that time-driven work remains: due vouchers, or a lab clock that has not reached its target.
	WorkLeft bool
}
