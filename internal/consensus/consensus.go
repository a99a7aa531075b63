package consensus

import (
	"context"

	"aval/ledger"
)

// Engine orders requests into blocks. Its methods are safe for concurrent use.
type Engine interface {
	// Start begins ordering from the ledger's head. It returns once the engine runs or cannot.
	Start(ctx context.Context) error
	// Stop ends ordering and waits for the engine's goroutines. It is idempotent.
	Stop()
	// Submit hands in an encoded ledger.OrderingRequest that the caller has verified. It returns ErrDuplicate if the
	// request was ordered or is pending, and ErrBusy when the engine's pool is full: try again later.
	Submit(ctx context.Context, request []byte) error
	// Receive takes a message of the consensus channel from the authenticated validator from. It does not block.
	Receive(from uint16, message []byte)
	// ReceiveRequest takes a forwarded ordering request from the authenticated validator from.
	ReceiveRequest(from uint16, request []byte)
	// Status returns what an operator asks first.
	Status() Status
}

// Status describes an engine.
type Status struct {
	// Engine is "bft" or "solo".
	Engine string `json:"engine"`
	Epoch  uint64 `json:"epoch,string"`
	View   uint64 `json:"view,string"`
	// Leader is the validator that proposes in this view.
	Leader uint16 `json:"leader"`
	// Observing is true while the engine may not vote: its log was lost or restored.
	Observing bool `json:"observing"`
	// ObserveUntil is the height from which it votes again; 0: that is not known yet, or it does not observe.
	ObserveUntil ledger.Height `json:"observe_until"`
	// Pending counts requests that wait to be ordered.
	Pending int `json:"pending"`
	// Awaited are the validators whose votes for the block in work have not come, once that takes longer than it should.
	Awaited []uint16 `json:"awaited"`
	// QuorumLost says that too few others were heard of late, which Cause then explains.
	QuorumLost bool `json:"quorum_lost"`
	// Cause says in words why nothing is being ordered, if that is known.
	Cause string `json:"cause"`
}

// Ledger is what an engine drives. The chain implements it. Blocks passed in have no certificate unless said so.
type Ledger interface {
	// Head returns the newest durably committed block; at the start of a network a block of height 0 without
	// payload, metadata or certificate, whose Header.Hash stands for the network id (see Previous).
	Head() *ledger.Block
	// Block returns a committed block with its certificate, or an error if it is not held.
	Block(height ledger.Height) (*ledger.Block, error)
	// Epoch returns the epoch and the validator set of the block after the head.
	Epoch() (uint64, ledger.ValidatorSet)
	// Assemble builds the block after the head from encoded ordering requests, with the proposer's wall clock. It waits
	// until height − Lag is executed. Requests that may not be proposed any more are left out.
	Assemble(ctx context.Context, metadata []byte, sequence uint64, requests [][]byte) (*ledger.Block, error)
	// Validate recomputes everything in a proposed block that follows the head: header, roots, payload, every batch
	// certificate. It waits until height − Lag is executed. It does not judge whether Wall is fresh.
	Validate(ctx context.Context, b *ledger.Block) error
	// Requests returns the ids of the requests in a payload, in its order, without validating it.
	Requests(payload []byte) ([]RequestID, error)
	// RequestID verifies an encoded ordering request, which depends on nothing but the epoch, and returns its id. Valid
	// certificates are remembered, so asking again is cheap.
	RequestID(request []byte) (RequestID, error)
	// Ordered reports whether a request was ordered in the window in which it could be proposed.
	Ordered(id RequestID) bool
	// Commit stores a decided block with its certificate durably and hands it to execution. It blocks while execution
	// is Lag behind, and is idempotent for a block already held.
	Commit(b *ledger.Block) error
	// Now returns the wall clock.
	Now() ledger.Time
}

// RequestID identifies an ordering request.
type RequestID = ledger.RequestID

// Links sends to other validators by index. Neither method blocks; messages to one validator arrive in order or not
// at all.
type Links interface {
	Send(to uint16, message []byte)
	SendRequest(to uint16, request []byte)
}

// Syncer fetches certified blocks that the node lacks.
type Syncer interface {
	// Sync asks the other validators for their heads, fetches, verifies and commits the blocks up to the highest that
	// enough of them vouch for, and returns when none is missing or ctx ends.
	Sync(ctx context.Context) error
}
