package check

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"aval/codec"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// Rule names what was broken.
type Rule string

// The rules.
const (
	// Agreement: one certified block per height, and no honest validator signs two headers for one (epoch, view, height).
	Agreement Rule = "agreement"
	// Certificates: what a node commits has a quorum of valid votes and follows the block before.
	Certificates Rule = "certificates"
	// Acknowledged: what a client was told stands, once, as told.
	Acknowledged Rule = "acknowledged"
	// Conservation: money and the ranges of vouchers add up.
	Conservation Rule = "conservation"
	// Roots: equal heights have equal receipts and roots, and headers carry them.
	Roots Rule = "roots"
	// Progress: after faults heal the network commits in bounded time.
	Progress Rule = "progress"
	// Proofs: what a node hands out as proof verifies and shows what was agreed.
	Proofs Rule = "proofs"
)

// Violation is one observation that must not be.
type Violation struct {
	Rule Rule   `json:"rule"`
	Text string `json:"text"`
}

// String returns rule and text.
func (v Violation) String() string { return string(v.Rule) + ": " + v.Text }

// violationsMax bounds what is reported.
const violationsMax = 100

// Config fixes which network is judged.
type Config struct {
	Suite   suite.Suite
	Genesis *ledger.Genesis
}

// place is where a validator votes.
type place struct {
	validator   uint16
	epoch, view uint64
	height      ledger.Height
}

// told is what a client was told of a transaction.
type told struct {
	node    int
	receipt ledger.Receipt
}

// height is what was seen of one height.
type height struct {
	block *ledger.Block
	hash  suite.Hash
	// receipts are encoded, as the first node executed them; nil before. by is that node.
	receipts [][]byte
	by       int
	// state and write are the roots that the first node computed; zero before.
	state, write suite.Hash
	rooted       bool
}

// Judge collects what is observed of one network. Whoever calls it reports honest nodes only, unless said otherwise. Its methods
// are safe for concurrent use.
type Judge struct {
	suite   suite.Suite
	genesis *ledger.Genesis
	network suite.Hash

	mu         sync.Mutex
	violations []Violation
	dropped    int
	heights    map[ledger.Height]*height
	top        ledger.Height
	votes      map[place]suite.Hash
	batches    map[suite.Hash][]byte // by digest
	answers    map[suite.Hash]told   // by hash with signatures
	never      map[suite.Hash]int    // ids that clients were told to be lost for good, and by whom
	certified  map[suite.Hash]bool   // header hashes whose certificates were found good
}

// New returns a judge that has seen nothing.
func New(cfg Config) *Judge {
	return &Judge{suite: cfg.Suite, genesis: cfg.Genesis, network: cfg.Genesis.NetworkID(cfg.Suite), heights: map[ledger.Height]*height{},
		votes: map[place]suite.Hash{}, batches: map[suite.Hash][]byte{}, answers: map[suite.Hash]told{}, never: map[suite.Hash]int{},
		certified: map[suite.Hash]bool{}}
}

// Violations returns what was found so far, in the order of finding; nil if nothing.
func (j *Judge) Violations() []Violation {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := slices.Clone(j.violations)
	if j.dropped > 0 {
		out = append(out, Violation{Agreement, fmt.Sprintf("and %d more", j.dropped)})
	}
	return out
}

// Report adds a violation that the caller found itself.
func (j *Judge) Report(rule Rule, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report(rule, format, args...)
}

// report is Report for a caller that holds mu.
func (j *Judge) report(rule Rule, format string, args ...any) {
	if len(j.violations) == violationsMax {
		j.dropped++
		return
	}
	j.violations = append(j.violations, Violation{rule, fmt.Sprintf(format, args...)})
}

// Took judges something that must happen within a bound after faults healed; a negative time means that it did not happen.
func (j *Judge) Took(what string, took, bound time.Duration) {
	switch {
	case took < 0:
		j.Report(Progress, "%s did not happen within %v", what, bound)
	case took > bound:
		j.Report(Progress, "%s took %v, the bound is %v", what, took, bound)
	}
}

// Voted notes that an honest validator signed a header in a view.
func (j *Judge) Voted(validator uint16, view uint64, h *ledger.Header) {
	hash := h.Hash(j.suite)
	j.mu.Lock()
	defer j.mu.Unlock()
	at := place{validator, h.Epoch, view, h.Height}
	if other, ok := j.votes[at]; ok && other != hash {
		j.report(Agreement, "validator %d signed %s and %s in epoch %d, view %d, height %d", validator, other, hash, h.Epoch, view, h.Height)
		return
	}
	j.votes[at] = hash
}

// Batch notes a batch body that was seen anywhere. What is no batch is left out.
func (j *Judge) Batch(body []byte) {
	head, _, err := ledger.ReadBatch(j.suite, body)
	if err != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.batches[head.Digest(j.suite)] = bytes.Clone(body)
}

// Certified looks at a block with a certificate that was seen anywhere, from liars too. It returns whether the certificate is
// good; two good ones for different blocks at one height break agreement.
func (j *Judge) Certified(b *ledger.Block) bool {
	hash := b.Header.Hash(j.suite)
	good := j.goodCertificate(b, hash)
	if !good {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.agree(b, hash)
	return true
}

// Committed notes that an honest node made a block its own.
func (j *Judge) Committed(node int, b *ledger.Block) {
	hash := b.Header.Hash(j.suite)
	good := j.goodCertificate(b, hash)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !good {
		j.report(Certificates, "node %d committed block %d (%s) whose certificate is not good", node, b.Header.Height, hash)
		return
	}
	j.agree(b, hash)
}

// agree files a block. The caller holds mu.
func (j *Judge) agree(b *ledger.Block, hash suite.Hash) {
	at := b.Header.Height
	if have := j.heights[at]; have != nil {
		if have.hash != hash {
			j.report(Agreement, "two certificates at height %d: for %s and for %s", at, have.hash, hash)
		}
		return
	}
	j.heights[at] = &height{block: b, hash: hash}
	j.top = max(j.top, at)
	if before := j.heights[at-1]; at > 1 && before != nil && before.hash != b.Header.Previous {
		j.report(Certificates, "block %d follows %s, block %d is %s", at, b.Header.Previous, at-1, before.hash)
	}
	if at == 1 && b.Header.Previous != j.network {
		j.report(Certificates, "block 1 does not follow the genesis")
	}
	if after := j.heights[at+1]; after != nil && after.block.Header.Previous != hash {
		j.report(Certificates, "block %d follows %s, block %d is %s", at+1, after.block.Header.Previous, at, hash)
	}
}

// goodCertificate counts the votes of a block: each of another validator of the genesis and valid, and so many that any two such
// sets share an honest one. The payload must be the one that the header names.
func (j *Judge) goodCertificate(b *ledger.Block, hash suite.Hash) bool {
	j.mu.Lock()
	known := j.certified[hash]
	j.mu.Unlock()
	if known && len(b.Certificate.Votes) > 0 {
		return true
	}
	set := j.genesis.Validators
	n := len(set)
	h := &b.Header
	if h.Network != j.network || h.PayloadHash != j.suite.Hash(ledger.DomainPayload, b.Payload) ||
		h.Validators != j.suite.Hash(ledger.DomainValidators, codec.MustMarshal(set)) {
		return false
	}
	message := codec.MustMarshal(&ledger.VoteMessage{Network: j.network, Epoch: h.Epoch, Header: hash})
	seen := map[uint16]bool{}
	for _, v := range b.Certificate.Votes {
		if int(v.Validator) < n && j.suite.Verify(set[v.Validator].Key, ledger.DomainVote, message, v.Sig) {
			seen[v.Validator] = true
		}
	}
	faulty := (n - 1) / 3
	if 2*len(seen) < n+faulty+1 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.certified[hash] = true
	return true
}

// Executed notes the receipts of a height on an honest node.
func (j *Judge) Executed(node int, at ledger.Height, receipts []ledger.Receipt) {
	encoded := make([][]byte, len(receipts))
	for i := range receipts {
		encoded[i] = codec.MustMarshal(&receipts[i])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.heights[at]
	if h == nil {
		j.report(Roots, "node %d executed height %d, which nobody committed", node, at)
		return
	}
	if h.receipts == nil {
		h.receipts, h.by = encoded, node
		return
	}
	if !slices.EqualFunc(h.receipts, encoded, bytes.Equal) {
		j.report(Roots, "height %d has other receipts on node %d than on node %d", at, node, h.by)
	}
}

// Rooted notes the roots that an honest node computed for a height.
func (j *Judge) Rooted(node int, at ledger.Height, state, write suite.Hash) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.heights[at]
	switch {
	case h == nil:
	case !h.rooted:
		h.state, h.write, h.rooted = state, write, true
	case h.state != state || h.write != write:
		j.report(Roots, "height %d has other roots on node %d: state %s and %s", at, node, state, h.state)
	}
}

// Answered notes that a node told a client that a transaction, by the hash that includes its signatures, has this receipt.
func (j *Judge) Answered(node int, signed suite.Hash, r *ledger.Receipt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if have, ok := j.answers[signed]; ok {
		if !bytes.Equal(codec.MustMarshal(&have.receipt), codec.MustMarshal(r)) {
			j.report(Acknowledged, "transaction %s: node %d told another receipt than node %d", r.Tx, node, have.node)
		}
		return
	}
	j.answers[signed] = told{node, *r}
}

// ToldNever notes that a node told a client that the transaction with this id can never take effect.
func (j *Judge) ToldNever(node int, id suite.Hash) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.never[id] = node
}

// Proof verifies what a node handed out, encoded, and that it shows what was agreed. receipt is what a receipt's proof must show.
func (j *Judge) Proof(node int, encoded []byte, receipt *ledger.Receipt) {
	p, err := ledger.DecodeProof(encoded)
	if err != nil {
		j.Report(Proofs, "node %d: a proof does not decode: %v", node, err)
		return
	}
	v, err := ledger.VerifyProof(j.suite, j.genesis, p, ledger.VerifyOptions{Lab: true})
	if err != nil {
		j.Report(Proofs, "node %d: a proof does not verify: %v", node, err)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.heights[v.Header.Height]
	if h == nil || h.hash != v.Header.Hash(j.suite) {
		j.report(Proofs, "node %d: a proof rests on a header of height %d that was not agreed", node, v.Header.Height)
	}
	if receipt != nil && (v.Receipt == nil || !bytes.Equal(codec.MustMarshal(v.Receipt), codec.MustMarshal(receipt))) {
		j.report(Proofs, "node %d: the proof of receipt %d/%d shows another", node, receipt.Height, receipt.Index)
	}
}

// checkHeaders compares the roots in every header with what was computed Lag heights before. The caller holds mu.
func (j *Judge) checkHeaders() {
	for at := ledger.Height(1); at <= j.top; at++ {
		h := j.heights[at]
		if h == nil {
			j.report(Certificates, "block %d was never seen, block %d was", at, j.top)
			continue
		}
		head := &h.block.Header
		if before := j.heights[at-1]; before != nil && head.Wall < before.block.Header.Wall {
			j.report(Certificates, "block %d is earlier than the one before", at)
		}
		lagged := j.heights[at-ledger.Lag]
		if at <= ledger.Lag || lagged == nil || lagged.receipts == nil {
			continue
		}
		if root := merkle.Root(j.suite, lagged.receipts); root != head.ReceiptsRoot {
			j.report(Roots, "block %d certifies receipts %s for height %d, they are %s", at, head.ReceiptsRoot, at-ledger.Lag, root)
		}
		if lagged.rooted && (lagged.state != head.StateRoot || lagged.write != head.WriteRoot) {
			j.report(Roots, "block %d certifies state %s for height %d, it is %s", at, head.StateRoot, at-ledger.Lag, lagged.state)
		}
	}
}

// Top returns the highest height that was certified.
func (j *Judge) Top() ledger.Height {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.top
}
