package bft

import (
	"fmt"
	"slices"
	"sync"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/suite"
)

// A view change must settle what was in flight. The rule that makes it safe: a proposal is taken up if f+1 of a quorum of
// statements tell it, one of them that it was voted for, and none of them that another was. The kernel asks for more: it counts a
// statement that tells another proposal without a vote for it as an objection, too. A leader that proposes two things can so
// halt the network for ever: one honest validator votes for the one, another has only seen the other, and with the liar silent
// no quorum is without an objection.
//
// So where a quorum settles it by the rule, the kernel is given these statements without the proposals that nobody voted for.
// Whoever leads the new view chooses exactly a quorum, so that the start of the view, which carries the statements as they were
// signed, is read by everybody in the same way. With exactly a quorum of statements, one of which tells a vote, the kernel itself
// settles nothing else: it would need all of them without objection, or all without a vote.

// And where one validator alone has voted for a proposal, because a liar began a view with it and told nobody else, no quorum
// without the liar has f+1 that tell it. Whoever hears of such a vote therefore tells the proposal, too, if it is valid and itself
// has voted for none: to tell it says no more than that. (See adopted.)

// settlement collects statements for the view that this validator is to begin, and knows what the kernel's shortened statements
// were before. Its methods are safe for concurrent use.
type settlement struct {
	judge *judge

	mu sync.Mutex
	// view is the newest view that statements came for; own, passed and held are for it: this validator's statement, those
	// that the kernel has, and those that tell a proposal without a vote, which wait for others.
	view         uint64
	own          *stated
	passed, held map[uint16]*stated
	// chosen is set once a quorum was chosen: then the kernel gets no more.
	chosen bool
	// whole are statements as they were signed, by what the kernel has instead.
	whole map[shortened][]byte
	// votes are the newest statements of each validator that tell a vote.
	votes map[uint16]*stated
	// restored is what was in flight here without a vote before a restart, of which the kernel does not know; nil if nothing was.
	restored *smartbftprotos.Proposal
}

// shortened names a statement that the kernel has in place of another.
type shortened struct {
	signer uint64
	data   suite.Hash
}

// stated is a statement, decoded.
type stated struct {
	signed *smartbftprotos.SignedViewData
	data   *smartbftprotos.ViewData
	last   uint64 // height of the last decision
	// flight is what it tells to be in flight after last, nil if nothing is.
	flight   *smartbftprotos.Proposal
	prepared bool
}

func newSettlement(j *judge) *settlement {
	return &settlement{judge: j, passed: map[uint16]*stated{}, held: map[uint16]*stated{}, whole: map[shortened][]byte{}, votes: map[uint16]*stated{}}
}

// readStated decodes a statement whose form was checked.
func readStated(s *smartbftprotos.SignedViewData) (*stated, error) {
	data := &smartbftprotos.ViewData{}
	if err := proto.Unmarshal(s.GetRawViewData(), data); err != nil {
		return nil, err
	}
	md, err := metadataOf(data.GetLastDecision().GetMetadata())
	if err != nil {
		return nil, err
	}
	out := &stated{signed: s, data: data, last: md.GetLatestSequence()}
	if f := data.GetInFlightProposal(); f != nil {
		md, err := metadataOf(f.GetMetadata())
		if err != nil {
			return nil, err
		}
		if md.GetLatestSequence() == out.last+1 {
			out.flight, out.prepared = f, data.GetInFlightPrepared()
		}
	}
	return out, nil
}

// tells reports whether a statement tells a proposal.
func (s *stated) tells(p *smartbftprotos.Proposal) bool {
	return s.flight != nil && proto.Equal(s.flight, p)
}

// begin notes this validator's own statement, which the kernel has signed.
func (s *settlement) begin(raw []byte) error {
	own, err := readStated(&smartbftprotos.SignedViewData{RawViewData: raw})
	if err != nil {
		return fmt.Errorf("bft: a statement of the kernel: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnTo(own.data.GetNextView())
	s.own = own
	return nil
}

// turnTo begins to collect for a view if it is a newer one. The caller holds mu.
func (s *settlement) turnTo(view uint64) {
	if view <= s.view {
		return
	}
	s.view, s.own, s.chosen = view, nil, false
	clear(s.passed)
	clear(s.held)
	clear(s.whole)
}

// take takes a statement of a validator for a view that self leads and returns those that the kernel is to get now.
func (s *settlement) take(from, self uint16, signed *smartbftprotos.SignedViewData) ([]*smartbftprotos.SignedViewData, error) {
	st, err := readStated(signed)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.flight != nil && st.prepared {
		s.votes[from] = st
	}
	view := st.data.GetNextView()
	if s.own == nil || view != s.view || s.judge.leaderOf(view) != self || st.last != s.own.last {
		return []*smartbftprotos.SignedViewData{signed}, nil
	}
	if s.chosen {
		return nil, nil
	}
	if st.flight == nil || st.prepared {
		s.passed[from] = st
		return append([]*smartbftprotos.SignedViewData{signed}, s.settle()...), nil
	}
	s.held[from] = st
	return s.settle(), nil
}

// settle returns the statements that were held, once there are enough to settle what is in flight. The caller holds mu.
func (s *settlement) settle() []*smartbftprotos.SignedViewData {
	missing := s.judge.set.Quorum() - 1 - len(s.passed)
	if missing > len(s.held) {
		return nil
	}
	voted, single := s.voted()
	supporting, other := s.heldFor(voted)
	switch {
	case missing <= 0, len(other) == 0, !single, s.own.flight != nil && !s.own.tells(voted):
		return s.release() // the kernel's own rule settles it, or nothing does
	case s.supporters(voted) > (len(s.judge.set)-1)/3:
	case s.unvoted() >= s.judge.set.Quorum():
		return s.release()
	default:
		return nil
	}
	s.chosen = true
	var out []*smartbftprotos.SignedViewData
	for _, st := range supporting {
		out = append(out, st.signed)
	}
	for k := 0; len(supporting)+k < missing; k++ {
		out = append(out, s.without(other[k], voted))
	}
	return out
}

// heldFor returns those of the held statements that tell p, and the others; none if p is nil. The caller holds mu.
func (s *settlement) heldFor(p *smartbftprotos.Proposal) (supporting, other []*stated) {
	for i := range uint16(len(s.judge.set)) { // in order
		switch st := s.held[i]; {
		case st == nil:
		case p == nil: // nobody voted: no proposal is an objection
		case st.tells(p):
			supporting = append(supporting, st)
		default:
			other = append(other, st)
		}
	}
	return supporting, other
}

// release gives the kernel all that is held, as it was signed. The caller holds mu.
func (s *settlement) release() (out []*smartbftprotos.SignedViewData) {
	for i := range uint16(len(s.judge.set)) {
		if st := s.held[i]; st != nil {
			out = append(out, st.signed)
			s.passed[i] = st
		}
	}
	clear(s.held)
	return out
}

// supporters returns how many statements tell p, and unvoted how many tell no vote. The caller holds mu.
func (s *settlement) supporters(p *smartbftprotos.Proposal) (count int) {
	for _, st := range s.all() {
		if st.tells(p) {
			count++
		}
	}
	return count
}

func (s *settlement) unvoted() (count int) {
	for _, st := range s.all() {
		if st.flight == nil || !st.prepared {
			count++
		}
	}
	return count
}

// all returns all statements there are, in order. The caller holds mu.
func (s *settlement) all() []*stated {
	all := []*stated{s.own}
	for i := range uint16(len(s.judge.set)) {
		for _, st := range []*stated{s.passed[i], s.held[i]} {
			if st != nil {
				all = append(all, st)
			}
		}
	}
	return all
}

// voted returns the proposal that a statement tells to have been voted for, nil if there is none, and whether there is no other.
// The caller holds mu.
func (s *settlement) voted() (p *smartbftprotos.Proposal, single bool) { return votedAmong(s.all()) }

func votedAmong(all []*stated) (p *smartbftprotos.Proposal, single bool) {
	for _, st := range all {
		switch {
		case st.flight == nil || !st.prepared:
		case p == nil:
			p = st.flight
		case !st.tells(p):
			return p, false
		}
	}
	return p, true
}

// without returns a statement without its proposal if that is another than p. The caller holds mu.
func (s *settlement) without(st *stated, p *smartbftprotos.Proposal) *smartbftprotos.SignedViewData {
	if st.flight == nil || st.tells(p) {
		return st.signed
	}
	data := proto.Clone(st.data).(*smartbftprotos.ViewData)
	data.InFlightProposal, data.InFlightPrepared = nil, false
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(data)
	if err != nil {
		return st.signed // it was decoded from bytes: this cannot be
	}
	signer := st.signed.GetSigner()
	s.whole[s.name(signer, raw)] = st.signed.GetRawViewData()
	return &smartbftprotos.SignedViewData{RawViewData: raw, Signer: signer, Signature: st.signed.GetSignature()}
}

func (s *settlement) name(signer uint64, raw []byte) shortened {
	return shortened{signer, s.judge.suite.Hash(domainStatement, raw)}
}

// signed returns the statement as it was signed that the kernel knows as raw.
func (s *settlement) signed(signer uint64, raw []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.whole) == 0 {
		return raw
	}
	if whole, ok := s.whole[s.name(signer, raw)]; ok {
		return whole
	}
	return raw
}

// unshortened returns the start of a view with the statements as they were signed.
func (s *settlement) unshortened(m *smartbftprotos.Message) *smartbftprotos.Message {
	changed := false
	out := &smartbftprotos.NewView{}
	for _, v := range m.GetNewView().GetSignedViewData() {
		whole := s.signed(v.GetSigner(), v.GetRawViewData())
		changed = changed || string(whole) != string(v.GetRawViewData())
		out.SignedViewData = append(out.SignedViewData, &smartbftprotos.SignedViewData{RawViewData: whole, Signer: v.GetSigner(), Signature: v.GetSignature()})
	}
	if !changed {
		return m
	}
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: out}}
}

// read returns the start of a view, whose form was checked, as the kernel is to read it.
func (s *settlement) read(m *smartbftprotos.Message) (*smartbftprotos.Message, error) {
	nv := m.GetNewView()
	if len(nv.GetSignedViewData()) != s.judge.set.Quorum() {
		return m, nil
	}
	var all []*stated
	for _, v := range nv.GetSignedViewData() {
		st, err := readStated(v)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 && (st.last != all[0].last || st.data.GetNextView() != all[0].data.GetNextView()) {
			return m, nil
		}
		all = append(all, st)
	}
	voted, single := votedAmong(all)
	told, contended := 0, false
	for _, st := range all {
		switch {
		case voted == nil || st.flight == nil:
		case st.tells(voted):
			told++
		default:
			contended = true
		}
	}
	if !contended || !single || told < (len(s.judge.set)-1)/3+1 {
		return m, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnTo(all[0].data.GetNextView())
	out := &smartbftprotos.NewView{}
	for _, st := range all {
		out.SignedViewData = append(out.SignedViewData, s.without(st, voted))
	}
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: out}}, nil
}

// adopted returns the proposal that this validator is to tell instead of what its own statement tells, nil if that is to stay:
// what others have voted for at this height. Should they have voted for several, which liars may say, they take turns.
func (s *settlement) adopted(own *stated) *smartbftprotos.Proposal {
	if own.prepared && own.flight != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint16(len(s.judge.set))
	var voted []*smartbftprotos.Proposal
	for i := range n {
		st := s.votes[i]
		if st != nil && st.last == own.last && !slices.ContainsFunc(voted, st.tells) {
			voted = append(voted, st.flight)
		}
	}
	switch {
	case len(voted) > 0:
		return voted[own.data.GetNextView()/uint64(n)%uint64(len(voted))]
	case own.flight == nil:
		return s.restored
	}
	return nil
}

// amended returns a statement of the kernel, or one that tells more in its place.
func (in *instance) amended(m *smartbftprotos.Message) *smartbftprotos.Message {
	own, err := readStated(m.GetViewData())
	if err != nil {
		return m
	}
	p := in.settlement.adopted(own)
	if p == nil || own.tells(p) {
		return m
	}
	b, _, err := in.judge.bind(fromProto(p))
	if err != nil || uint64(b.Header.Height) != own.last+1 || in.validate(b) != nil {
		return m
	}
	data := proto.Clone(own.data).(*smartbftprotos.ViewData)
	data.InFlightProposal, data.InFlightPrepared = p, false
	raw, err := proto.Marshal(data)
	if err != nil {
		return m
	}
	sig, err := in.cfg.Signer.Sign(domainStatement, in.judge.statementBytes(raw))
	if err != nil {
		in.end("sign a view-change statement: "+err.Error(), false)
		return m
	}
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewData{
		ViewData: &smartbftprotos.SignedViewData{RawViewData: raw, Signer: nodeID(in.self), Signature: sig}}}
}
