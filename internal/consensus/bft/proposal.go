package bft

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// proposalOf returns the kernel's form of a block.
func proposalOf(b *ledger.Block) types.Proposal {
	return types.Proposal{
		Header: codec.MustMarshal(&b.Header), Payload: b.Payload, Metadata: b.Metadata,
		VerificationSequence: int64(b.Sequence),
	}
}

// decisionOf returns the kernel's form of a certified block; the genesis is an empty decision.
func decisionOf(b *ledger.Block) types.Decision {
	if b.Header.Height == 0 {
		return types.Decision{}
	}
	d := types.Decision{Proposal: proposalOf(b)}
	for _, v := range b.Certificate.Votes {
		d.Signatures = append(d.Signatures, types.Signature{ID: nodeID(v.Validator), Value: v.Sig})
	}
	return d
}

// fromProto returns the kernel's inner form of a proposal on the wire.
func fromProto(p *smartbftprotos.Proposal) types.Proposal {
	return types.Proposal{
		Header: p.GetHeader(), Payload: p.GetPayload(), Metadata: p.GetMetadata(),
		VerificationSequence: int64(p.GetVerificationSequence()),
	}
}

// toProto undoes fromProto.
func toProto(p types.Proposal) *smartbftprotos.Proposal {
	return &smartbftprotos.Proposal{
		Header: p.Header, Payload: p.Payload, Metadata: p.Metadata, VerificationSequence: uint64(p.VerificationSequence),
	}
}

// blockOf decodes a proposal into a block without a certificate. It checks limits and form, not what the header
// commits to.
func blockOf(p types.Proposal) (*ledger.Block, error) {
	if len(p.Header) > headerBytesMax || len(p.Payload) > PayloadBytesMax || len(p.Metadata) > ledger.MetadataBytesMax {
		return nil, fmt.Errorf("a proposal with %d bytes of header, %d of payload, %d of metadata",
			len(p.Header), len(p.Payload), len(p.Metadata))
	}
	b := &ledger.Block{Payload: p.Payload, Metadata: p.Metadata, Sequence: uint64(p.VerificationSequence)}
	if err := codec.Unmarshal(p.Header, &b.Header); err != nil {
		return nil, fmt.Errorf("the header of a proposal: %w", err)
	}
	return b, nil
}

// metadataOf decodes a block's metadata: those of the kernel, without what only a rotating leader needs.
func metadataOf(metadata []byte) (*smartbftprotos.ViewMetadata, error) {
	if len(metadata) > ledger.MetadataBytesMax {
		return nil, fmt.Errorf("metadata of %d bytes", len(metadata))
	}
	md := &smartbftprotos.ViewMetadata{}
	if err := decodeStrict(metadata, md); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if len(md.PrevCommitSignatureDigest) != 0 || md.ViewId > numberMax {
		return nil, fmt.Errorf("%w: metadata of view %d", errForm, md.ViewId)
	}
	return md, nil
}

// judge checks proposals and votes for one epoch. Its methods are safe for concurrent use.
type judge struct {
	suite   suite.Suite
	network suite.Hash
	epoch   uint64
	set     ledger.ValidatorSet
	setHash suite.Hash

	mu sync.Mutex
	// bound holds the newest proposals whose hashes were found right, by the identity of their bytes, since the kernel
	// asks again for every vote.
	bound []boundProposal
}

type boundProposal struct {
	proposal types.Proposal
	block    *ledger.Block
	view     uint64
}

const boundMax = 4

func newJudge(c *Config, epoch uint64, set ledger.ValidatorSet) *judge {
	return &judge{suite: c.Suite, network: c.Network, epoch: epoch, set: set, setHash: set.Hash(c.Suite)}
}

// bind decodes a proposal and checks that its header is of this network and epoch and commits to its payload and
// metadata. It returns the block and the view in which it was proposed.
func (j *judge) bind(p types.Proposal) (*ledger.Block, uint64, error) {
	if b, ok := j.known(p); ok {
		return b.block, b.view, nil
	}
	b, err := blockOf(p)
	if err != nil {
		return nil, 0, err
	}
	md, err := metadataOf(p.Metadata)
	if err != nil {
		return nil, 0, err
	}
	h := &b.Header
	switch {
	case h.Version != ledger.HeaderVersion || h.Suite != j.suite.ID() || h.Network != j.network:
		return nil, 0, fmt.Errorf("a header of version %d, suite %d, network %s", h.Version, h.Suite, h.Network)
	case h.Epoch != j.epoch || b.Sequence != j.epoch || h.Validators != j.setHash:
		return nil, 0, fmt.Errorf("a header of epoch %d, sequence %d, validators %s", h.Epoch, b.Sequence, h.Validators)
	case md.LatestSequence != uint64(h.Height):
		return nil, 0, fmt.Errorf("height %d with metadata of %d", h.Height, md.LatestSequence)
	case h.Proposal != ledger.ProposalHash(j.suite, b.Metadata, b.Sequence):
		return nil, 0, fmt.Errorf("the header of height %d is of other metadata", h.Height)
	case h.PayloadHash != j.suite.Hash(ledger.DomainPayload, b.Payload):
		return nil, 0, fmt.Errorf("the header of height %d is of another payload", h.Height)
	}
	j.remember(boundProposal{p, b, md.ViewId})
	return b, md.ViewId, nil
}

func (j *judge) known(p types.Proposal) (boundProposal, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, b := range j.bound {
		if same(b.proposal.Payload, p.Payload) && bytes.Equal(b.proposal.Header, p.Header) &&
			bytes.Equal(b.proposal.Metadata, p.Metadata) && b.proposal.VerificationSequence == p.VerificationSequence {
			return b, true
		}
	}
	return boundProposal{}, false
}

func (j *judge) remember(b boundProposal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.bound) == boundMax {
		j.bound = slices.Delete(j.bound, 0, 1)
	}
	j.bound = append(j.bound, b)
}

// same reports whether two slices are the same bytes in memory. What the kernel holds is never written to.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// vote checks one validator's vote for a proposal, recomputing everything that the vote commits to.
func (j *judge) vote(sig types.Signature, p types.Proposal) error {
	if sig.ID < 1 || sig.ID > uint64(len(j.set)) || len(sig.Msg) != 0 {
		return fmt.Errorf("a vote by node %d", sig.ID)
	}
	b, _, err := j.bind(p)
	if err != nil {
		return err
	}
	v := j.set[sig.ID-1]
	if !j.suite.Verify(v.Key, ledger.DomainVote, b.Header.VoteBytes(j.suite), sig.Value) {
		return fmt.Errorf("the vote of validator %d (%s) for height %d is not valid", sig.ID-1, v.Name, b.Header.Height)
	}
	return nil
}

// certificate collects votes that the kernel has verified: sorted, one of each validator.
func (j *judge) certificate(sigs []types.Signature) (ledger.Certificate, error) {
	var c ledger.Certificate
	for _, s := range sigs {
		known := func(v ledger.Vote) bool { return nodeID(v.Validator) == s.ID }
		if s.ID < 1 || s.ID > uint64(len(j.set)) || len(s.Value) == 0 || slices.ContainsFunc(c.Votes, known) {
			continue
		}
		c.Votes = append(c.Votes, ledger.Vote{Validator: uint16(s.ID - 1), Sig: s.Value})
	}
	slices.SortFunc(c.Votes, func(a, b ledger.Vote) int { return int(a.Validator) - int(b.Validator) })
	if len(c.Votes) < j.set.Quorum() {
		return c, fmt.Errorf("%d votes, a quorum is %d", len(c.Votes), j.set.Quorum())
	}
	return c, nil
}

// domainStatement is what validators sign view-change statements under.
const domainStatement suite.Domain = "view change"

// statement is what the signature of a view-change statement covers.
type statement struct {
	Network suite.Hash `cbor:"1,keyasint"`
	Epoch   uint64     `cbor:"2,keyasint"`
	Data    suite.Hash `cbor:"3,keyasint"`
}

func (j *judge) statementBytes(data []byte) []byte {
	return codec.MustMarshal(&statement{Network: j.network, Epoch: j.epoch, Data: j.suite.Hash(domainStatement, data)})
}

// statementOf checks the signature of a view-change statement.
func (j *judge) statementOf(signer uint64, data, sig []byte) error {
	if signer < 1 || signer > uint64(len(j.set)) {
		return fmt.Errorf("a view-change statement by node %d", signer)
	}
	if !j.suite.Verify(j.set[signer-1].Key, domainStatement, j.statementBytes(data), sig) {
		return fmt.Errorf("the view-change statement of validator %d is not signed by it", signer-1)
	}
	return nil
}
