package bft

import (
	"fmt"
	"sync"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"aval/ledger"
	"aval/suite"
)

// A view change is safe because of what validators promise by their statements: to have told every vote that may still
// count, and to vote no more in the views before. The kernel states what it remembers while its view is still winding
// up, forgets votes for what a view change took up, and goes back to a view it has left when it synchronises. So the
// promise is kept here: a vote in a view that was left is withheld, and a statement that would deny a vote is not
// signed; the run ends, and the next one knows the vote from the log.

// promise is what this validator has stated and voted. Its methods are safe for concurrent use.
type promise struct {
	mu sync.Mutex
	// promised is the view of the newest statement; entered the highest view that a quorum is known to have begun.
	promised, entered uint64
	// voted is the newest vote: its height and header, and the view in which it counts.
	voted struct {
		height ledger.Height
		header suite.Hash
		asOf   uint64
	}
}

// restore sets what the log says.
func (p *promise) restore(r *restoration) {
	p.promised, p.entered = r.promised, r.entered
	if f := r.flight; f != nil && f.prepared {
		p.voted.height, p.voted.header, p.voted.asOf = f.height, f.header, f.asOf
	}
}

// vote calls sign unless the view was left, and remembers the vote. takenUp is the view whose beginning took the
// proposal up; 0: it was proposed in its own view.
func (p *promise) vote(h *ledger.Header, hash suite.Hash, view, takenUp uint64, sign func() (suite.Signature, error)) (suite.Signature, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asOf := max(view, takenUp)
	if asOf < p.promised {
		return nil, fmt.Errorf("bft: a vote in view %d, which was left for view %d", asOf, p.promised)
	}
	sig, err := sign()
	if err != nil {
		return nil, err
	}
	p.voted.height, p.voted.header, p.voted.asOf = h.Height, hash, asOf
	return sig, nil
}

// left reports whether a view was left.
func (p *promise) left(view uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return view < p.promised
}

// state promises to have left the views before next. flight and prepared are what the statement tells to be in flight
// after height last. It returns an error, and promises nothing, if the statement would deny a vote.
func (p *promise) state(next uint64, last ledger.Height, flight suite.Hash, prepared bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.voted; v.height == last+1 && v.asOf >= p.entered && (!prepared || flight != v.header) {
		return fmt.Errorf("bft: the statement for view %d would deny the vote for height %d in view %d", next, v.height, v.asOf)
	}
	p.promised = max(p.promised, next)
	return nil
}

// enter notes that a quorum began a view after height last. It reports whether that made our newest vote void: the
// quorum knows that it decided nothing.
func (p *promise) enter(view uint64, last ledger.Height) (void bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entered = max(p.entered, view)
	return p.voted.height == last+1 && p.voted.asOf < view
}

// checkStatement lets a statement of ours pass, or ends the run.
func (in *instance) checkStatement(data []byte) error {
	vd := &smartbftprotos.ViewData{}
	if err := proto.Unmarshal(data, vd); err != nil {
		return err
	}
	md, err := metadataOf(vd.GetLastDecision().GetMetadata())
	if err != nil {
		return err
	}
	var flight suite.Hash
	if f := vd.GetInFlightProposal(); f != nil {
		b, err := blockOf(fromProto(f))
		if err != nil {
			return err
		}
		flight = b.Header.Hash(in.cfg.Suite)
	}
	return in.promise.state(vd.GetNextView(), ledger.Height(md.GetLatestSequence()), flight, vd.GetInFlightPrepared())
}

// Append implements the kernel's log. When the kernel enters a view although this validator had voted for something at
// the height in work, that vote is void; the kernel would go on to state it, which no view change could settle.
func (in *instance) Append(entry []byte, truncate bool) error {
	if field, _, n := protowire.ConsumeTag(entry); n > 0 && field == savedCommit {
		in.preparing.Unlock() // held since prepare
	}
	if err := in.journal.Append(entry, truncate); err != nil {
		return err
	}
	if len(entry) > entryBytesSmall {
		return nil
	}
	m := &smartbftprotos.SavedMessage{}
	if err := proto.Unmarshal(entry, m); err != nil {
		return fmt.Errorf("bft: a record of the kernel: %w", err)
	}
	if nv := m.GetNewView(); nv != nil && in.promise.enter(nv.GetViewId(), ledger.Height(nv.GetLatestSequence())) {
		in.end(fmt.Sprintf("view %d makes a vote void", nv.GetViewId()), false)
	}
	return nil
}

// savedCommit is the number of the field of smartbftprotos.SavedMessage that holds a vote.
const savedCommit protowire.Number = 2

// entryBytesSmall bounds the records of views: all others hold a proposal, or a vote, and are longer or of no interest.
const entryBytesSmall = 128

// takenUp returns the view whose beginning made the kernel ask for a vote: the newest that it made a statement for.
func (in *instance) takenUp(auxiliary []byte) uint64 {
	if auxiliary != nil {
		return 0
	}
	return in.stated.Load()
}

// noVote is what the kernel gets where this validator must not vote: nobody counts it.
func (in *instance) noVote() *types.Signature { return &types.Signature{ID: nodeID(in.self)} }
