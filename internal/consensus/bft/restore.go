package bft

import (
	"errors"
	"fmt"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// errLogDamaged reports a log that cannot be what this validator wrote: it was lost, cut, or belongs to another ledger.
var errLogDamaged = errors.New("bft: the log does not fit the ledger and the votes")

// ownRecordTag begins a log record that the kernel did not write. No record of the kernel begins so.
const ownRecordTag = 0xff

// ownRecord is a proposal that a view change took up and this validator is about to vote for. The kernel signs those
// without a trace in its log (and in its memory); after a crash it would deny them, and the next view change could
// then decide something else at their height.
type ownRecord struct {
	Header   []byte `cbor:"1,keyasint"`
	Payload  []byte `cbor:"2,keyasint"`
	Metadata []byte `cbor:"3,keyasint"`
	Sequence uint64 `cbor:"4,keyasint"`
}

func encodeOwnRecord(p types.Proposal) []byte {
	body := codec.MustMarshal(&ownRecord{p.Header, p.Payload, p.Metadata, uint64(p.VerificationSequence)})
	return append([]byte{ownRecordTag}, body...)
}

func decodeOwnRecord(entry []byte) (types.Proposal, error) {
	var r ownRecord
	if err := codec.Unmarshal(entry[1:], &r); err != nil {
		return types.Proposal{}, err
	}
	return types.Proposal{Header: r.Header, Payload: r.Payload, Metadata: r.Metadata, VerificationSequence: int64(r.Sequence)}, nil
}

// flight is the newest proposal in the log that no later record made void.
type flight struct {
	proposal types.Proposal
	header   suite.Hash
	view     uint64
	height   ledger.Height
	// asOf is the view in which this validator took part in deciding it: its own, or the one that took it up.
	asOf uint64
	// prepared is true if this validator voted for it, or was about to in a view change. commit is then the kernel's
	// record of the vote; nil if there is none.
	prepared bool
	commit   *smartbftprotos.Message
}

// logState is what a log says, read from its first to its last record.
type logState struct {
	flight *flight
	// view is the highest view entered.
	view uint64
	// change is the last record if it tells that a view change began; its NextView is the view that was left.
	change *smartbftprotos.ViewChange
	// headers are all headers in the log.
	headers map[suite.Hash]bool
}

// readLog interprets log records. Its errors wrap errLogDamaged.
func readLog(s suite.Suite, entries [][]byte) (*logState, error) {
	st := &logState{headers: map[suite.Hash]bool{}}
	for i, e := range entries {
		if err := st.read(s, e); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", errLogDamaged, i, err)
		}
	}
	return st, nil
}

func (st *logState) read(s suite.Suite, entry []byte) error {
	if len(entry) > 0 && entry[0] == ownRecordTag {
		p, err := decodeOwnRecord(entry)
		if err != nil {
			return err
		}
		if err := st.fly(s, p, true); err != nil {
			return err
		}
		st.flight.asOf = st.view
		if st.change != nil {
			st.flight.asOf = st.change.GetNextView() + 1
		}
		return nil
	}
	m := &smartbftprotos.SavedMessage{}
	if err := proto.Unmarshal(entry, m); err != nil {
		return err
	}
	switch c := m.Content.(type) {
	case *smartbftprotos.SavedMessage_ProposedRecord:
		st.change = nil
		return st.fly(s, fromProto(c.ProposedRecord.GetPrePrepare().GetProposal()), false)
	case *smartbftprotos.SavedMessage_Commit:
		commit := c.Commit.GetCommit()
		if len(commit.GetSignature().GetValue()) == 0 {
			return nil // a vote that was withheld
		}
		if st.flight == nil || uint64(st.flight.height) != commit.GetSeq() || st.flight.proposal.Digest() != commit.GetDigest() {
			return errors.New("a vote without its proposal")
		}
		st.flight.prepared, st.flight.commit = true, c.Commit
	case *smartbftprotos.SavedMessage_NewView:
		// The quorum that began the view decided what was in flight, or knows that nothing can have been decided.
		st.flight, st.change = nil, nil
		st.view = max(st.view, c.NewView.GetViewId())
	case *smartbftprotos.SavedMessage_ViewChange:
		st.change = c.ViewChange
		st.view = max(st.view, c.ViewChange.GetNextView())
	default:
		return errors.New("unknown record")
	}
	return nil
}

func (st *logState) fly(s suite.Suite, p types.Proposal, own bool) error {
	b, err := blockOf(p)
	if err != nil {
		return err
	}
	md, err := metadataOf(p.Metadata)
	if err != nil {
		return err
	}
	st.flight = &flight{proposal: p, header: b.Header.Hash(s), view: md.ViewId, asOf: md.ViewId, height: b.Header.Height, prepared: own}
	st.headers[st.flight.header] = true
	st.view = max(st.view, md.ViewId)
	return nil
}

// check compares the log with the ledger's head and the record of votes.
func (st *logState) check(head ledger.Height, epoch uint64, votes guardState) error {
	if f := st.flight; f != nil && f.height > head+1 {
		return fmt.Errorf("%w: it holds height %d, the ledger ends at %d", errLogDamaged, f.height, head)
	}
	if votes.Epoch == epoch && votes.Height > head+1 {
		return fmt.Errorf("%w: voted at height %d, the ledger ends at %d", errLogDamaged, votes.Height, head)
	}
	if votes.Epoch != epoch || votes.Height != head+1 || len(votes.Votes) == 0 {
		if f := st.flight; f != nil && f.height == head+1 && f.commit != nil {
			return fmt.Errorf("%w: it holds a vote at height %d that is not recorded", errLogDamaged, f.height)
		}
		return nil
	}
	last := votes.Votes[len(votes.Votes)-1]
	if f := st.flight; f != nil && f.height == votes.Height && f.header == last.Header {
		f.prepared = true // the record of a vote is written before the log's
	}
	if !st.headers[last.Header] && st.view <= last.View {
		return fmt.Errorf("%w: voted for %s in view %d at height %d, of which it knows nothing",
			errLogDamaged, last.Header, last.View, votes.Height)
	}
	return nil
}

// jump has the log say that a change to view next began, as the others are at: the validator missed the changes before.
func (st *logState) jump(next uint64) *smartbftprotos.ViewChange {
	if next == 0 || next-1 < st.view {
		return nil
	}
	st.change = &smartbftprotos.ViewChange{NextView: next - 1}
	st.view = next - 1
	return st.change
}

// restoration is what the kernel is started with. The kernel reads only the last record of its log, twice: once to
// find its view, once to find what was in flight. After a view change began, both matter, so it is given first and,
// before the second reading, second. Both have the same length.
type restoration struct {
	first, second [][]byte
	// promised is the view that this validator may have made a statement for: it has left all views before.
	promised uint64
	// entered is the highest view entered, flight what is in flight, nil if nothing is.
	entered uint64
	flight  *flight
	// told is what was in flight in a view that was left, without our vote: the kernel must not vote for it any more, but
	// others may have, and need to be told that it was proposed.
	told *flight
}

// plan works out what to start the kernel with after block head. sign makes this validator's vote for a proposal.
func (st *logState) plan(head *ledger.Block, sign func(types.Proposal) (*types.Signature, error)) (*restoration, error) {
	decided, err := metadataOf(head.Metadata)
	if err != nil {
		return nil, err
	}
	r := &restoration{entered: max(st.view, decided.GetViewId())}
	changing := st.change != nil && st.change.GetNextView() >= decided.GetViewId()
	live := st.flight != nil && st.flight.height == head.Header.Height+1 && st.flight.view >= decided.GetViewId()
	if changing && live && !st.flight.prepared {
		live, r.told = false, st.flight // having left the view, it must not prepare in it any more
	}
	if changing {
		r.promised = st.change.GetNextView() + 1
	}
	if live {
		if r.second, err = st.flight.records(sign); err != nil {
			return nil, err
		}
		r.flight = st.flight
	}
	var start *smartbftprotos.SavedMessage
	switch {
	case changing:
		start = &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ViewChange{ViewChange: st.change}}
	case st.view > decided.GetViewId():
		start = &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_NewView{NewView: &smartbftprotos.ViewMetadata{
			ViewId: st.view, LatestSequence: uint64(head.Header.Height),
		}}}
	}
	if start == nil {
		r.first = append(r.first, r.second...)
		return r, nil
	}
	last, err := proto.Marshal(start)
	if err != nil {
		return nil, fmt.Errorf("bft: %w", err)
	}
	for len(r.second) < 2 {
		r.second = append([][]byte{last}, r.second...)
	}
	if !live {
		r.second = [][]byte{last, last}
	}
	r.first = [][]byte{r.second[0], last}
	return r, nil
}

// records returns the kernel's records of the proposal and of our vote for it, if there is one.
func (f *flight) records(sign func(types.Proposal) (*types.Signature, error)) ([][]byte, error) {
	digest := f.proposal.Digest()
	proposed := &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ProposedRecord{
		ProposedRecord: &smartbftprotos.ProposedRecord{
			PrePrepare: &smartbftprotos.PrePrepare{View: f.view, Seq: uint64(f.height), Proposal: toProto(f.proposal)},
			Prepare:    &smartbftprotos.Prepare{View: f.view, Seq: uint64(f.height), Digest: digest},
		},
	}}
	messages := []proto.Message{proposed}
	if f.prepared {
		commit := f.commit
		if commit == nil {
			sig, err := sign(f.proposal)
			if err != nil {
				return nil, err
			}
			commit = &smartbftprotos.Message{Content: &smartbftprotos.Message_Commit{Commit: &smartbftprotos.Commit{
				View: f.view, Seq: uint64(f.height), Digest: digest,
				Signature: &smartbftprotos.Signature{Signer: sig.ID, Value: sig.Value},
			}}}
		}
		messages = append(messages, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_Commit{Commit: commit}})
	}
	var out [][]byte
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("bft: %w", err)
		}
		out = append(out, b)
	}
	return out, nil
}
