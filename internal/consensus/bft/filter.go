package bft

import (
	"errors"
	"fmt"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"aval/ledger"
)

// numberMax bounds views and heights that a peer may name, so that nothing the kernel adds to them overflows.
const numberMax = 1 << 62

// digestHexBytes is the length of the kernel's own label of a proposal, SHA-256 in hexadecimal.
const digestHexBytes = 64

// errStale reports a fresh proposal whose wall time is too far from this node's clock.
var errStale = errors.New("the proposal's wall time is not within the allowed drift of this node's clock")

// filter checks a decoded message from validator from (an index) before the kernel sees it: form, who may send what,
// signatures that the kernel would trust unseen. head is this node's newest height.
//
// Without it a peer could take the kernel down or mislead it: nil proposals and signatures are dereferenced; a start
// of a view may name one signer several times, and the repeats are counted without being verified; statements of a
// view change are not verified when the receiver is ahead of them, or at genesis.
func (j *judge) filter(from uint16, m *smartbftprotos.Message, head ledger.Height) error {
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		return j.filterPrePrepare(from, c.PrePrepare)
	case *smartbftprotos.Message_Prepare:
		return checkVoteForm(c.Prepare.GetView(), c.Prepare.GetSeq(), c.Prepare.GetDigest())
	case *smartbftprotos.Message_Commit:
		s := c.Commit.GetSignature()
		if s == nil || s.Signer != nodeID(from) || len(s.Msg) != 0 || len(s.Value) != j.suite.SignatureSize() {
			return fmt.Errorf("%w: a commit without a signature of its sender", errForm)
		}
		return checkVoteForm(c.Commit.GetView(), c.Commit.GetSeq(), c.Commit.GetDigest())
	case *smartbftprotos.Message_ViewChange:
		if c.ViewChange.GetReason() != "" {
			return fmt.Errorf("%w: a view change with a reason", errForm)
		}
		return checkNumbers(c.ViewChange.GetNextView(), 0)
	case *smartbftprotos.Message_ViewData:
		if c.ViewData.GetSigner() != nodeID(from) {
			return fmt.Errorf("%w: a statement of another", errForm)
		}
		_, err := j.filterStatement(c.ViewData)
		return err
	case *smartbftprotos.Message_NewView:
		return j.filterNewView(from, c.NewView, head)
	case *smartbftprotos.Message_HeartBeat:
		return checkNumbers(c.HeartBeat.GetView(), c.HeartBeat.GetSeq())
	case *smartbftprotos.Message_HeartBeatResponse:
		return checkNumbers(c.HeartBeatResponse.GetView(), 0)
	case *smartbftprotos.Message_StateTransferRequest:
		return nil
	case *smartbftprotos.Message_StateTransferResponse:
		return checkNumbers(c.StateTransferResponse.GetViewNum(), c.StateTransferResponse.GetSequence())
	}
	return fmt.Errorf("%w: unknown content", errForm)
}

func checkNumbers(view, height uint64) error {
	if view > numberMax || height > numberMax {
		return fmt.Errorf("%w: view %d, height %d", errForm, view, height)
	}
	return nil
}

func checkVoteForm(view, height uint64, digest string) error {
	if len(digest) != digestHexBytes {
		return fmt.Errorf("%w: a digest of %d bytes", errForm, len(digest))
	}
	return checkNumbers(view, height)
}

// leaderOf returns the validator that leads a view.
func (j *judge) leaderOf(view uint64) uint16 { return uint16(view % uint64(len(j.set))) }

func (j *judge) filterPrePrepare(from uint16, pp *smartbftprotos.PrePrepare) error {
	if pp.GetProposal() == nil || len(pp.GetPrevCommitSignatures()) != 0 || from != j.leaderOf(pp.GetView()) {
		return fmt.Errorf("%w: a pre-prepare without a proposal, with earlier votes, or not of the leader", errForm)
	}
	block, md, err := j.checkProposal(pp.GetProposal())
	if err != nil {
		return err
	}
	if pp.GetSeq() != uint64(block.Header.Height) || md.ViewId != pp.GetView() || block.Header.Epoch != j.epoch {
		return fmt.Errorf("%w: a pre-prepare for another proposal than it carries", errForm)
	}
	return checkNumbers(pp.GetView(), pp.GetSeq())
}

// checkProposal checks the form of a proposal; what it says is judged later.
func (j *judge) checkProposal(p *smartbftprotos.Proposal) (*ledger.Block, *smartbftprotos.ViewMetadata, error) {
	if p.GetVerificationSequence() > j.epoch {
		return nil, nil, fmt.Errorf("%w: a proposal of epoch %d", errForm, p.GetVerificationSequence())
	}
	block, err := blockOf(fromProto(p))
	if err != nil {
		return nil, nil, err
	}
	md, err := metadataOf(p.GetMetadata())
	if err != nil {
		return nil, nil, err
	}
	if md.LatestSequence != uint64(block.Header.Height) || block.Header.Height == 0 {
		return nil, nil, fmt.Errorf("%w: height %d with metadata of %d", errForm, block.Header.Height, md.LatestSequence)
	}
	return block, md, checkNumbers(md.ViewId, md.LatestSequence)
}

// filterStatement checks a view-change statement and its signature, and returns it decoded.
func (j *judge) filterStatement(s *smartbftprotos.SignedViewData) (*smartbftprotos.ViewData, error) {
	if err := j.statementOf(s.GetSigner(), s.GetRawViewData(), s.GetSignature()); err != nil {
		return nil, err
	}
	vd := &smartbftprotos.ViewData{}
	if err := decodeStrict(s.GetRawViewData(), vd); err != nil {
		return nil, err
	}
	last, flight := vd.GetLastDecision(), vd.GetInFlightProposal()
	if last == nil || len(vd.GetLastDecisionSignatures()) > len(j.set) {
		return nil, fmt.Errorf("%w: a statement without a last decision, or with too many votes", errForm)
	}
	seen := map[uint64]bool{}
	for _, v := range vd.GetLastDecisionSignatures() {
		if seen[v.GetSigner()] || len(v.GetMsg()) != 0 {
			return nil, fmt.Errorf("%w: two votes of node %d", errForm, v.GetSigner())
		}
		seen[v.GetSigner()] = true
	}
	if len(last.GetMetadata()) == 0 {
		if len(last.GetHeader())+len(last.GetPayload()) != 0 {
			return nil, fmt.Errorf("%w: a last decision without metadata", errForm)
		}
	} else if _, _, err := j.checkProposal(last); err != nil {
		return nil, err
	}
	if flight != nil {
		if _, _, err := j.checkProposal(flight); err != nil {
			return nil, err
		}
	}
	return vd, checkNumbers(vd.GetNextView(), 0)
}

func (j *judge) filterNewView(from uint16, nv *smartbftprotos.NewView, head ledger.Height) error {
	statements := nv.GetSignedViewData()
	if len(statements) < j.set.Quorum() || len(statements) > len(j.set) {
		return fmt.Errorf("%w: a view started by %d statements", errForm, len(statements))
	}
	seen := map[uint64]bool{}
	newest := uint64(0)
	for _, s := range statements {
		vd, err := j.filterStatement(s)
		if err != nil {
			return err
		}
		if seen[s.GetSigner()] || j.leaderOf(vd.GetNextView()) != from {
			return fmt.Errorf("%w: a view started by one statement twice, or not by its leader", errForm)
		}
		seen[s.GetSigner()] = true
		md, err := metadataOf(vd.GetLastDecision().GetMetadata())
		if err != nil {
			return err
		}
		newest = max(newest, md.GetLatestSequence())
	}
	if newest+1 < uint64(head) {
		// The view moved on without us and we have its blocks already; the kernel cannot handle one so far behind.
		return fmt.Errorf("a view that starts after height %d, here it is %d", newest, head)
	}
	return nil
}
