package bft

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/codec"
	"aval/ledger"
)

// forger makes the byzantine sites of a stage lie, with the keys that they have. It sees every message, and changes, keeps back or
// adds to those of byzantine sites.
type forger struct {
	g *stage

	mu    sync.Mutex
	rng   *rand.Rand
	lies  map[string]bool
	told  map[string]int
	heard [][]byte // messages of anybody, for replays
	// rivals are the second proposals of a leader, by the digest of the first.
	rivals map[string]*smartbftprotos.Proposal
	over   bool
}

// forgery is one kind of lie: m is a message of a byzantine site on its way; what it returns is sent instead.
type forgery struct {
	name string
	tell func(f *forger, from, to int, m *smartbftprotos.Message) (instead []*smartbftprotos.Message, lied bool)
}

// forgeries are all kinds of lies. Replays are handled with the raw message.
var forgeries = []forgery{
	{"equivocate", (*forger).equivocate},
	{"vote twice", (*forger).voteTwice},
	{"silent to some", (*forger).silent},
	{"flood of view changes", (*forger).flood},
	{"false statement", (*forger).misstate},
	{"false start", (*forger).misstart},
	{"false numbers", (*forger).misnumber},
	{"replay", nil},
}

func newForger(g *stage) *forger {
	f := &forger{g: g, rng: rand.New(rand.NewPCG(g.seed, 12)), lies: map[string]bool{}, told: map[string]int{}, rivals: map[string]*smartbftprotos.Proposal{}}
	for _, l := range g.lies {
		f.lies[l] = true
	}
	return f
}

// quit ends all lies.
func (f *forger) quit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

// told returns how often which lie was told.
func (sc *scenario) told() map[string]int {
	if sc.forger == nil {
		return nil
	}
	sc.forger.mu.Lock()
	defer sc.forger.mu.Unlock()
	return sc.forger.told
}

const heardMax = 400

// tap sees every message on its way.
func (f *forger) tap(from, to int, request bool, message []byte) []byte {
	if request {
		return message
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.heard) < heardMax {
		f.heard = append(f.heard, message)
	} else {
		f.heard[f.rng.IntN(heardMax)] = message
	}
	if f.over || f.g.honest(from) || !f.g.honest(to) {
		return message
	}
	if f.lies["replay"] && f.rng.IntN(3) == 0 {
		f.told["replay"]++
		f.g.net.Inject(from, to, f.heard[f.rng.IntN(len(f.heard))])
	}
	m := open(message)
	if m == nil {
		return message
	}
	messages := []*smartbftprotos.Message{m}
	lied := false
	for _, l := range forgeries {
		if !f.lies[l.name] || l.tell == nil || len(messages) == 0 {
			continue
		}
		instead, yes := l.tell(f, from, to, messages[0])
		if yes {
			f.told[l.name]++
			messages, lied = append(instead, messages[1:]...), true
		}
	}
	if !lied {
		return message
	}
	for _, m := range messages {
		f.g.net.Inject(from, to, f.encode(m))
	}
	return nil
}

func (f *forger) encode(m *smartbftprotos.Message) []byte {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err) // it was decoded before
	}
	return encodeEnvelope(0, kindKernel, body)
}

// victim says to which of the honest sites another story is told.
func (f *forger) victim(to int) bool { return (to+int(f.g.seed))%2 == 0 }

// rival returns another proposal for the same place, valid in everything.
func (f *forger) rival(p *smartbftprotos.Proposal) *smartbftprotos.Proposal {
	digest := fromProto(p).Digest()
	if r, ok := f.rivals[digest]; ok {
		return r
	}
	b, err := blockOf(fromProto(p))
	if err != nil {
		return nil
	}
	b.Header.Wall, b.Header.Time = b.Header.Wall+1, b.Header.Time+1
	r := proto.Clone(p).(*smartbftprotos.Proposal)
	r.Header = codec.MustMarshal(&b.Header)
	f.rivals[digest] = r
	return r
}

// equivocate proposes something else to some, and votes there for that.
func (f *forger) equivocate(from, to int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	if !f.victim(to) {
		return nil, false
	}
	m = proto.Clone(m).(*smartbftprotos.Message)
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		r := f.rival(c.PrePrepare.GetProposal())
		if r == nil {
			return nil, false
		}
		c.PrePrepare.Proposal = r
	case *smartbftprotos.Message_Prepare:
		r := f.rivals[c.Prepare.GetDigest()]
		if r == nil {
			return nil, false
		}
		c.Prepare.Digest = fromProto(r).Digest()
	case *smartbftprotos.Message_Commit:
		r := f.rivals[c.Commit.GetDigest()]
		if r == nil {
			return nil, false
		}
		f.commitTo(from, c.Commit, r)
	default:
		return nil, false
	}
	return []*smartbftprotos.Message{m}, true
}

// commitTo makes a vote one for another proposal.
func (f *forger) commitTo(from int, c *smartbftprotos.Commit, r *smartbftprotos.Proposal) {
	b, err := blockOf(fromProto(r))
	if err != nil {
		return
	}
	sig, err := f.g.signers[from].Sign(ledger.DomainVote, b.Header.VoteBytes(f.g.suite))
	if err != nil {
		return
	}
	c.Digest = fromProto(r).Digest()
	c.Signature = &smartbftprotos.Signature{Signer: nodeID(f.g.identity(from)), Value: sig}
}

// voteTwice votes for two things, in either order.
func (f *forger) voteTwice(from, _ int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	second := proto.Clone(m).(*smartbftprotos.Message)
	switch c := second.GetContent().(type) {
	case *smartbftprotos.Message_Prepare:
		c.Prepare.Digest = reversed(c.Prepare.GetDigest())
	case *smartbftprotos.Message_Commit:
		if r := f.rivals[c.Commit.GetDigest()]; r != nil {
			f.commitTo(from, c.Commit, r)
		} else {
			c.Commit.Signature.Value = slices.Clone(c.Commit.GetSignature().GetValue())
			c.Commit.Signature.Value[f.rng.IntN(len(c.Commit.Signature.Value))] ^= 1
		}
	default:
		return nil, false
	}
	out := []*smartbftprotos.Message{m, second}
	if f.rng.IntN(2) == 0 {
		slices.Reverse(out)
	}
	return out, true
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// silent keeps votes and proposals from some.
func (f *forger) silent(_, to int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	_, vote := viewOf(m)
	return nil, vote && f.victim(to) && f.rng.IntN(2) == 0
}

// floodViews is how many view changes come with one message.
const floodViews = 20

// flood asks for view after view, and states its case for views that nobody asked for.
func (f *forger) flood(from, _ int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	if f.rng.IntN(8) > 0 {
		return nil, false
	}
	out := []*smartbftprotos.Message{m}
	base := uint64(f.rng.IntN(6))
	for k := range uint64(floodViews) {
		out = append(out, &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewChange{ViewChange: &smartbftprotos.ViewChange{NextView: base + k}}})
	}
	head := decisionOf(f.g.ledgers[from].Head())
	vd := &smartbftprotos.ViewData{NextView: base + uint64(f.rng.IntN(1<<20)), LastDecision: toProto(head.Proposal)}
	for _, s := range head.Signatures {
		vd.LastDecisionSignatures = append(vd.LastDecisionSignatures, &smartbftprotos.Signature{Signer: s.ID, Value: s.Value})
	}
	return append(out, f.statement(from, vd)), true
}

// statement signs a statement of a view change.
func (f *forger) statement(from int, vd *smartbftprotos.ViewData) *smartbftprotos.Message {
	raw, err := proto.Marshal(vd)
	if err != nil {
		panic(err)
	}
	j := newJudge(&Config{Suite: f.g.suite, Network: f.g.id}, 0, f.g.set)
	sig, err := f.g.signers[from].Sign(domainStatement, j.statementBytes(raw))
	if err != nil {
		panic(err)
	}
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewData{ViewData: &smartbftprotos.SignedViewData{
		RawViewData: raw, Signer: nodeID(f.g.identity(from)), Signature: sig}}}
}

// misstate denies what is in flight, tells something else, or an old decision, or one with forged votes.
func (f *forger) misstate(from, _ int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	signed := m.GetViewData()
	if signed == nil {
		return nil, false
	}
	vd := &smartbftprotos.ViewData{}
	if err := proto.Unmarshal(signed.GetRawViewData(), vd); err != nil {
		return nil, false
	}
	switch f.rng.IntN(5) {
	case 0:
		vd.InFlightProposal, vd.InFlightPrepared = nil, false
	case 1:
		if vd.InFlightProposal == nil {
			return nil, false
		}
		vd.InFlightProposal, vd.InFlightPrepared = f.rival(vd.InFlightProposal), true
	case 2:
		vd.LastDecision, vd.LastDecisionSignatures = toProto(decisionOf(f.old(from)).Proposal), nil
	case 3:
		for _, s := range vd.LastDecisionSignatures {
			s.Value = slices.Repeat([]byte{7}, len(s.Value))
		}
	case 4:
		if vd.InFlightProposal == nil { // it would be decided without anybody's vote
			vd.InFlightProposal, vd.InFlightPrepared = f.rival(vd.LastDecision), true
		}
	}
	return []*smartbftprotos.Message{f.statement(from, vd)}, true
}

// old returns a block of long ago that a site has, the head if there is none.
func (f *forger) old(site int) *ledger.Block {
	l := f.g.ledgers[site]
	if h := l.Height(); h > 1 {
		if b, err := l.Block(1 + ledger.Height(f.rng.Uint64N(uint64(h)))); err == nil {
			return b
		}
	}
	return l.Head()
}

// misstart starts a view with fewer statements, with one twice, or with forged ones.
func (f *forger) misstart(from, to int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	if m.GetNewView() == nil || !f.victim(to) {
		return nil, false
	}
	m = proto.Clone(m).(*smartbftprotos.Message)
	nv := m.GetNewView()
	switch f.rng.IntN(3) {
	case 0:
		nv.SignedViewData = nv.SignedViewData[1:]
	case 1:
		nv.SignedViewData[0] = nv.SignedViewData[len(nv.SignedViewData)-1]
	case 2: // its own statement, another than it told the rest
		vd := &smartbftprotos.ViewData{}
		for i, s := range nv.SignedViewData {
			if s.GetSigner() == nodeID(f.g.identity(from)) && proto.Unmarshal(s.GetRawViewData(), vd) == nil {
				vd.InFlightProposal, vd.InFlightPrepared = nil, false
				nv.SignedViewData[i] = f.statement(from, vd).GetViewData()
			}
		}
	}
	return []*smartbftprotos.Message{m}, true
}

// misnumber says that votes and heartbeats are of another view or height.
func (f *forger) misnumber(_, _ int, m *smartbftprotos.Message) ([]*smartbftprotos.Message, bool) {
	if f.rng.IntN(4) > 0 {
		return nil, false
	}
	m = proto.Clone(m).(*smartbftprotos.Message)
	by := uint64(1 + f.rng.IntN(3))
	if f.rng.IntN(4) == 0 {
		by = 1 << 30
	}
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		c.PrePrepare.Seq += by
	case *smartbftprotos.Message_Prepare:
		c.Prepare.View += by
	case *smartbftprotos.Message_Commit:
		c.Commit.Seq += by
	case *smartbftprotos.Message_HeartBeat:
		c.HeartBeat.View += by
	case *smartbftprotos.Message_HeartBeatResponse:
		c.HeartBeatResponse.View += by
	default:
		return nil, false
	}
	return []*smartbftprotos.Message{m}, true
}
