package bft

import (
	"slices"
	"sync"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"aval/ledger"
	"aval/suite"
)

// The kernel sends most messages once. With one validator lost, every other is needed for a quorum, and one message that
// was lost costs a view change or its timeout. So what may have been lost is sent again.

// A height is sent again after resendFirst, then after twice as long each time.
const (
	resendFirst = 200 * time.Millisecond
	resendMax   = 2 * time.Second
)

// placed is a view and a height.
type placed struct {
	view   uint64
	height ledger.Height
}

// outbound remembers what this validator sent for the height in work, and to which view it is changing. Its methods are
// safe for concurrent use.
type outbound struct {
	mu sync.Mutex
	// at is the place that the messages are for.
	at                          placed
	prePrepare, prepare, commit *smartbftprotos.Message
	// statement is the last view-change statement, start the last start of a view, with the views they are for.
	statement, start         *smartbftprotos.Message
	statementView, startView uint64
	// statementHead is the head when the statement was made.
	statementHead ledger.Height
	next          time.Time
	pause         time.Duration
	// since is when the place was entered.
	since time.Time
	// answered holds, by validator, the place it last prepared in, agreed the one it last committed in.
	answered, agreed []placed
	// judged holds the newest proposals and whether they came in time. It is judged once: one that comes again may have
	// grown too old, or, if the leader's clock is ahead, have become acceptable.
	judged []judgedTime
	// asks holds the newest requests to change views, see mayAsk.
	asks []ask
	// begun is the highest view whose start was handed to the kernel. Given a start twice, it would begin the view anew.
	begun uint64
}

// note remembers a message that is being sent.
func (o *outbound) note(m *smartbftprotos.Message, now time.Time, head ledger.Height) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		o.move(placed{c.PrePrepare.GetView(), ledger.Height(c.PrePrepare.GetSeq())}, now)
		o.prePrepare = m
	case *smartbftprotos.Message_Prepare:
		if !c.Prepare.GetAssist() {
			o.move(placed{c.Prepare.GetView(), ledger.Height(c.Prepare.GetSeq())}, now)
			o.prepare = m
		}
	case *smartbftprotos.Message_Commit:
		if !c.Commit.GetAssist() {
			o.move(placed{c.Commit.GetView(), ledger.Height(c.Commit.GetSeq())}, now)
			o.commit = m
		}
	case *smartbftprotos.Message_ViewData:
		o.statement, o.statementView, o.statementHead = m, nextViewOf(c.ViewData), head
		o.next, o.pause = now.Add(resendFirst), resendFirst
	case *smartbftprotos.Message_NewView:
		o.start, o.startView = m, nextViewOf(c.NewView.GetSignedViewData()[0])
	}
}

func (o *outbound) move(to placed, now time.Time) {
	if o.at == to {
		return
	}
	o.at, o.since, o.prePrepare, o.prepare, o.commit = to, now, nil, nil, nil
	o.next, o.pause = now.Add(resendFirst), resendFirst
}

// heard remembers that a validator has prepared, or committed, in a place.
func (o *outbound) heard(from uint16, m *smartbftprotos.Message) {
	var at placed
	switch {
	case m.GetPrepare() != nil:
		at = placed{m.GetPrepare().GetView(), ledger.Height(m.GetPrepare().GetSeq())}
	case m.GetCommit() != nil:
		at = placed{m.GetCommit().GetView(), ledger.Height(m.GetCommit().GetSeq())}
	default:
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answered[from] = at
	if m.GetCommit() != nil {
		o.agreed[from] = at
	}
}

// awaited returns who of the others has not voted in the place in work, if that is for the height after head and has been
// in work since a time or longer: has not prepared as long as this validator could not commit, has not committed from then on.
func (o *outbound) awaited(since time.Time, head ledger.Height, others []uint16) []uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at.height != head+1 || o.since.After(since) {
		return nil
	}
	voted := o.answered
	if o.commit != nil {
		voted = o.agreed
	}
	return slices.DeleteFunc(slices.Clone(others), func(i uint16) bool { return voted[i] == o.at })
}

type judgedTime struct {
	header suite.Hash
	fresh  bool
}

const judgedMax = 64

// inTime reports whether a proposal was in time when it first came, which is now if it is not known.
func (o *outbound) inTime(header suite.Hash, now bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, j := range o.judged {
		if j.header == header {
			return j.fresh
		}
	}
	if len(o.judged) == judgedMax {
		o.judged = slices.Delete(o.judged, 0, 1)
	}
	o.judged = append(o.judged, judgedTime{header, now})
	return now
}

// ask is a request to change to a view, and when it was sent.
type ask struct {
	message *smartbftprotos.Message
	next    uint64
	at      time.Time
}

const (
	asksMax  = 16
	askPause = 200 * time.Millisecond
)

// mayAsk reports whether a request to change to a view may be sent: not if the same was sent a moment ago. Two kernels
// that help a third which is behind answer each other's help, as fast as the network carries it.
func (o *outbound) mayAsk(m *smartbftprotos.Message, next uint64, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.asks {
		a := &o.asks[i]
		if a.next != next {
			continue
		}
		if a.message != m && now.Sub(a.at) < askPause {
			return false
		}
		a.message, a.at = m, now
		return true
	}
	if len(o.asks) == asksMax {
		o.asks = slices.Delete(o.asks, 0, 1)
	}
	o.asks = append(o.asks, ask{m, next, now})
	return true
}

// beginOnce reports whether the start of a view may be handed to the kernel.
func (o *outbound) beginOnce(view uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if view <= o.begun {
		return false
	}
	o.begun = view
	return true
}

// repeat is a message to send again: to one validator, or to all.
type repeat struct {
	message *smartbftprotos.Message
	to      []uint16
}

// due returns what to send again now: for the height after head if nobody decided it yet, and our statement of a view
// change that has not ended. others are all other validators.
func (o *outbound) due(now time.Time, head ledger.Height, view uint64, changing bool, leader uint16, others []uint16) []repeat {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.next) || o.pause == 0 {
		return nil
	}
	o.pause = min(2*o.pause, resendMax)
	o.next = now.Add(o.pause)
	var out []repeat
	if o.at.height == head+1 {
		if o.at.view == view {
			silent := slices.DeleteFunc(slices.Clone(others), func(i uint16) bool { return o.answered[i] == o.at })
			out = append(out, repeat{o.prePrepare, silent}, repeat{o.prepare, others})
		}
		out = append(out, repeat{o.commit, others})
	}
	if changing && o.statement != nil && o.statementView > view {
		out = append(out, repeat{o.statement, []uint16{leader}})
	}
	return slices.DeleteFunc(out, func(r repeat) bool { return r.message == nil || len(r.to) == 0 })
}

// outdated reports whether our statement of a view change that has not ended was made at an older head. The new leader
// refuses those, and the kernel makes only one.
func (o *outbound) outdated(head ledger.Height, view uint64) (next uint64, yes bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.statementView, o.statement != nil && o.statementView > view && o.statementHead < head
}

// restart returns the start of a view for a validator that still waits for it, or nil.
func (o *outbound) restart(view uint64) *smartbftprotos.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.startView == view {
		return o.start
	}
	return nil
}

// nextViewOf returns the view that a view-change statement is for: the first field of its data.
func nextViewOf(s *smartbftprotos.SignedViewData) uint64 { return firstNumber(s.GetRawViewData()) }

func firstNumber(b []byte) uint64 {
	number, typ, n := protowire.ConsumeTag(b)
	if n < 0 || number != 1 || typ != protowire.VarintType {
		return 0
	}
	v, n := protowire.ConsumeVarint(b[n:])
	if n < 0 {
		return 0
	}
	return v
}

// others returns all validators but this one.
func (in *instance) others() []uint16 {
	others := make([]uint16, 0, len(in.judge.set))
	for i := range uint16(len(in.judge.set)) {
		if i != in.self {
			others = append(others, i)
		}
	}
	return others
}

// resend sends again what is due.
func (in *instance) resend(now time.Time) {
	view := in.view.Load()
	others := in.others()
	block := in.cfg.Ledger.Head()
	head := block.Header.Height
	if next, yes := in.out.outdated(head, view); yes {
		in.restate(next, block)
	}
	for _, r := range in.out.due(now, head, view, in.changing(), in.judge.leaderOf(in.leaving.Load()), others) {
		b, err := in.encode(r.message)
		if err != nil {
			in.end("encode a message: "+err.Error(), false)
			return
		}
		for _, to := range r.to {
			if to != in.self && !in.dead.Load() {
				in.cfg.Links.Send(to, b)
			}
		}
	}
}

// restate makes a new statement for a view change, after block head was fetched. What was in flight before is decided
// by it, and nothing can be in flight since: this validator left the view.
func (in *instance) restate(next uint64, head *ledger.Block) {
	last := decisionOf(head)
	vd := &smartbftprotos.ViewData{NextView: next, LastDecision: toProto(last.Proposal)}
	for _, s := range last.Signatures {
		vd.LastDecisionSignatures = append(vd.LastDecisionSignatures, &smartbftprotos.Signature{Signer: s.ID, Value: s.Value})
	}
	raw, err := proto.Marshal(vd)
	if err != nil {
		in.end("encode a statement: "+err.Error(), false)
		return
	}
	sig := in.Sign(raw)
	if sig == nil {
		return
	}
	in.SendConsensus(nodeID(in.judge.leaderOf(next)), &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewData{
		ViewData: &smartbftprotos.SignedViewData{RawViewData: raw, Signer: nodeID(in.self), Signature: sig}}})
}
