package conformance

import (
	"fmt"
	"sync"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Audit remembers every block that was built or judged and every vote that was signed, by whom. It is how a test knows
// that nobody voted twice, whatever was lost on the way.
type Audit struct {
	suite suite.Suite
	view  func(metadata []byte) (uint64, error)

	mu     sync.Mutex
	places map[suite.Hash]voted
	votes  map[uint16]map[voted]suite.Hash
	faults []string
}

// voted is a place in which a validator may vote for one header.
type voted struct {
	epoch, view uint64
	height      ledger.Height
}

// NewAudit returns an empty audit; view reads the view from a block's metadata.
func NewAudit(s suite.Suite, view func([]byte) (uint64, error)) *Audit {
	return &Audit{suite: s, view: view, places: map[suite.Hash]voted{}, votes: map[uint16]map[voted]suite.Hash{}}
}

func (a *Audit) built(b *ledger.Block) {
	view, err := a.view(b.Metadata)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		return // nothing an honest validator signs: signing it is reported as a fault
	}
	a.places[b.Header.Hash(a.suite)] = voted{b.Header.Epoch, view, b.Header.Height}
}

func (a *Audit) signed(by uint16, message []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var m ledger.VoteMessage
	if err := codec.Unmarshal(message, &m); err != nil {
		a.faults = append(a.faults, fmt.Sprintf("validator %d signed something that is no vote: %v", by, err))
		return
	}
	place, ok := a.places[m.Header]
	if !ok {
		a.faults = append(a.faults, fmt.Sprintf("validator %d voted for %s, which nobody found valid", by, m.Header))
		return
	}
	if a.votes[by] == nil {
		a.votes[by] = map[voted]suite.Hash{}
	}
	if other, dup := a.votes[by][place]; dup && other != m.Header {
		a.faults = append(a.faults, fmt.Sprintf("validator %d voted for %s and %s at %+v", by, other, m.Header, place))
	}
	a.votes[by][place] = m.Header
}

// Faults returns what honest validators must not have done.
func (a *Audit) Faults() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.faults
}

// Votes returns in how many places a validator voted.
func (a *Audit) Votes(by uint16) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.votes[by])
}

// Signer returns the signer of a validator, under audit from now on.
func (a *Audit) Signer(index uint16, s suite.Signer) suite.Signer { return &signer{s, index, a} }

// signer is a suite.Signer under audit.
type signer struct {
	suite.Signer
	index uint16
	audit *Audit
}

// Sign implements suite.Signer.
func (s *signer) Sign(domain suite.Domain, message []byte) (suite.Signature, error) {
	if domain == ledger.DomainVote {
		s.audit.signed(s.index, message)
	}
	return s.Signer.Sign(domain, message)
}
