package bft

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// world is four validators with keys, and blocks of theirs.
type world struct {
	t     testing.TB
	judge *judge
	keys  []suite.Signer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	var set ledger.ValidatorSet
	for i := range 4 {
		key, err := s.ParsePrivate(bytes.Repeat([]byte{byte(i + 1)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, key)
		set = append(set, ledger.Validator{Name: "v", Key: key.Public()})
	}
	w.judge = newJudge(&Config{Suite: s, Network: s.Hash("network", []byte("test"))}, 0, set)
	return w
}

// block makes a block with all votes; tag makes it differ from others at its place.
func (w *world) block(height ledger.Height, view uint64, tag string) *ledger.Block {
	w.t.Helper()
	j := w.judge
	md, err := proto.Marshal(&smartbftprotos.ViewMetadata{ViewId: view, LatestSequence: uint64(height)})
	if err != nil {
		w.t.Fatal(err)
	}
	b := &ledger.Block{Payload: []byte(tag), Metadata: md}
	b.Header = ledger.Header{Version: ledger.HeaderVersion, Suite: j.suite.ID(), Network: j.network, Height: height,
		Proposal: ledger.ProposalHash(j.suite, md, 0), PayloadHash: j.suite.Hash(ledger.DomainPayload, b.Payload), Validators: j.setHash}
	for i := range w.keys {
		b.Certificate.Votes = append(b.Certificate.Votes, ledger.Vote{Validator: uint16(i), Sig: w.vote(i, b)})
	}
	return b
}

func (w *world) vote(by int, b *ledger.Block) suite.Signature {
	w.t.Helper()
	sig, err := w.keys[by].Sign(ledger.DomainVote, b.Header.VoteBytes(w.judge.suite))
	if err != nil {
		w.t.Fatal(err)
	}
	return sig
}

// statement makes a signed view-change statement; last and flight may be nil.
func (w *world) statement(by int, next uint64, last, flight *ledger.Block) *smartbftprotos.SignedViewData {
	w.t.Helper()
	vd := &smartbftprotos.ViewData{NextView: next, LastDecision: &smartbftprotos.Proposal{}}
	if last != nil {
		d := decisionOf(last)
		vd.LastDecision = toProto(d.Proposal)
		for _, s := range d.Signatures {
			vd.LastDecisionSignatures = append(vd.LastDecisionSignatures, &smartbftprotos.Signature{Signer: s.ID, Value: s.Value})
		}
	}
	if flight != nil {
		vd.InFlightProposal = toProto(proposalOf(flight))
	}
	return w.signed(by, vd)
}

func (w *world) signed(by int, vd *smartbftprotos.ViewData) *smartbftprotos.SignedViewData {
	w.t.Helper()
	raw := w.marshal(vd)
	sig, err := w.keys[by].Sign(domainStatement, w.judge.statementBytes(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	return &smartbftprotos.SignedViewData{RawViewData: raw, Signer: nodeID(uint16(by)), Signature: sig}
}

func (w *world) marshal(m proto.Message) []byte {
	w.t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func prePrepare(view uint64, b *ledger.Block) *smartbftprotos.Message {
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_PrePrepare{PrePrepare: &smartbftprotos.PrePrepare{
		View: view, Seq: uint64(b.Header.Height), Proposal: toProto(proposalOf(b))}}}
}

func newView(statements ...*smartbftprotos.SignedViewData) *smartbftprotos.Message {
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: &smartbftprotos.NewView{SignedViewData: statements}}}
}

func viewData(s *smartbftprotos.SignedViewData) *smartbftprotos.Message {
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewData{ViewData: s}}
}

func (w *world) commit(by int, view uint64, b *ledger.Block) *smartbftprotos.Message {
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_Commit{Commit: &smartbftprotos.Commit{
		View: view, Seq: uint64(b.Header.Height), Digest: proposalOf(b).Digest(),
		Signature: &smartbftprotos.Signature{Signer: nodeID(uint16(by)), Value: w.vote(by, b)}}}}
}

// good returns one message of each kind that passes the filter when it comes from validator 1.
func (w *world) good() []*smartbftprotos.Message {
	last, flight := w.block(7, 0, "seven"), w.block(8, 0, strings.Repeat("eight", 1000))
	next := w.block(8, 1, "next")
	return []*smartbftprotos.Message{
		prePrepare(1, next),
		{Content: &smartbftprotos.Message_Prepare{Prepare: &smartbftprotos.Prepare{View: 1, Seq: 8, Digest: proposalOf(next).Digest()}}},
		w.commit(1, 1, next),
		{Content: &smartbftprotos.Message_ViewChange{ViewChange: &smartbftprotos.ViewChange{NextView: 1}}},
		viewData(w.statement(1, 2, last, flight)),
		newView(w.statement(1, 1, last, flight), w.statement(2, 1, last, flight), w.statement(3, 1, last, nil)),
		{Content: &smartbftprotos.Message_HeartBeat{HeartBeat: &smartbftprotos.HeartBeat{View: 1, Seq: 7}}},
		{Content: &smartbftprotos.Message_HeartBeatResponse{HeartBeatResponse: &smartbftprotos.HeartBeatResponse{View: 1}}},
		{Content: &smartbftprotos.Message_StateTransferRequest{StateTransferRequest: &smartbftprotos.StateTransferRequest{}}},
		{Content: &smartbftprotos.Message_StateTransferResponse{StateTransferResponse: &smartbftprotos.StateTransferResponse{ViewNum: 1}}},
	}
}

func TestFilterPassesWhatTheKernelSends(t *testing.T) {
	w := newWorld(t)
	for _, m := range w.good() {
		body := w.marshal(m)
		for _, e := range []*envelope{
			{Kind: kindKernel, Body: body},
			{Kind: kindPacked, Body: packNewView(body, m.GetNewView())},
		} {
			got, err := e.kernelMessage(4)
			if err != nil {
				t.Fatalf("%s: %v", kindOf(m), err)
			}
			if err := w.judge.filter(1, got, 7); err != nil {
				t.Errorf("%s: %v", kindOf(m), err)
			}
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	w := newWorld(t)
	last, flight := w.block(7, 0, "seven"), w.block(8, 0, "eight")
	st := func(by int) *smartbftprotos.SignedViewData { return w.statement(by, 1, last, flight) }
	forged := st(2)
	forged.Signature = bytes.Clone(forged.Signature)
	forged.Signature[3] ^= 1
	noDecision := w.signed(3, &smartbftprotos.ViewData{NextView: 1})
	twoVotes := &smartbftprotos.ViewData{NextView: 1, LastDecision: toProto(proposalOf(last)), LastDecisionSignatures: []*smartbftprotos.Signature{
		{Signer: 1, Value: w.vote(0, last)}, {Signer: 1, Value: w.vote(0, last)}, {Signer: 1, Value: w.vote(0, last)}}}
	badFlight := &smartbftprotos.ViewData{NextView: 1, LastDecision: toProto(proposalOf(last)),
		InFlightProposal: &smartbftprotos.Proposal{Metadata: []byte{0xff}}}
	future := proposalOf(flight)
	future.VerificationSequence = 9
	withVotes := prePrepare(1, flight)
	withVotes.GetPrePrepare().PrevCommitSignatures = []*smartbftprotos.Signature{{Signer: 1}}
	stranger := w.commit(2, 1, flight)
	withMsg := w.commit(1, 1, flight)
	withMsg.GetCommit().Signature.Msg = []byte("x")
	for name, m := range map[string]*smartbftprotos.Message{
		"view started by one statement thrice":    newView(st(1), st(1), st(1)),
		"view started by too few":                 newView(st(1), st(2)),
		"view started by too many":                newView(st(0), st(1), st(2), st(3), st(0)),
		"forged statement":                        newView(st(1), forged, st(3)),
		"statement without a last decision":       newView(st(1), st(2), noDecision),
		"statement with one vote thrice":          newView(st(1), st(2), w.signed(3, twoVotes)),
		"statement with junk in flight":           newView(st(1), st(2), w.signed(3, badFlight)),
		"start of another's view":                 newView(w.statement(1, 2, last, nil), w.statement(2, 2, last, nil), w.statement(3, 2, last, nil)),
		"start of a view long past":               newView(w.statement(1, 1, w.block(5, 0, "five"), nil), w.statement(2, 1, w.block(5, 0, "five"), nil), w.statement(3, 1, nil, nil)),
		"another's statement":                     viewData(st(2)),
		"pre-prepare without a proposal":          {Content: &smartbftprotos.Message_PrePrepare{PrePrepare: &smartbftprotos.PrePrepare{View: 1, Seq: 8}}},
		"pre-prepare of another leader's view":    prePrepare(2, w.block(8, 2, "x")),
		"pre-prepare for another height":          {Content: &smartbftprotos.Message_PrePrepare{PrePrepare: &smartbftprotos.PrePrepare{View: 1, Seq: 9, Proposal: toProto(proposalOf(w.block(8, 1, "x")))}}},
		"pre-prepare of a future epoch":           {Content: &smartbftprotos.Message_PrePrepare{PrePrepare: &smartbftprotos.PrePrepare{View: 1, Seq: 8, Proposal: toProto(future)}}},
		"pre-prepare with votes":                  withVotes,
		"commit without a signature":              {Content: &smartbftprotos.Message_Commit{Commit: &smartbftprotos.Commit{View: 1, Seq: 8, Digest: strings.Repeat("0", 64)}}},
		"another's commit":                        stranger,
		"commit with a message":                   withMsg,
		"prepare with a short digest":             {Content: &smartbftprotos.Message_Prepare{Prepare: &smartbftprotos.Prepare{View: 1, Seq: 8, Digest: "x"}}},
		"heartbeat of the last view there can be": {Content: &smartbftprotos.Message_HeartBeat{HeartBeat: &smartbftprotos.HeartBeat{View: 1<<64 - 1}}},
		"view change with a novel":                {Content: &smartbftprotos.Message_ViewChange{ViewChange: &smartbftprotos.ViewChange{NextView: 1, Reason: "once upon a time"}}},
	} {
		if err := w.judge.filter(1, m, 7); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestDecodeStrict(t *testing.T) {
	w := newWorld(t)
	good := w.marshal(w.good()[0])
	prepare := w.marshal(&smartbftprotos.Prepare{View: 1, Seq: 2})
	for name, b := range map[string][]byte{
		"nothing":         {},
		"cut":             good[:len(good)-1],
		"two contents":    append(bytes.Clone(good), good...),
		"unknown field":   protowire.AppendVarint(protowire.AppendTag(bytes.Clone(good), 99, protowire.VarintType), 1),
		"wrong wire type": protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1),
		"field twice":     protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), append(bytes.Clone(prepare), prepare...)),
		"too many fields": protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType),
			bytes.Repeat([]byte{0x12, 0}, fieldsMax+1)),
	} {
		if m, err := decodeKernel(b); err == nil || !errors.Is(err, errForm) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := metadataOf(w.marshal(&smartbftprotos.ViewMetadata{BlackList: []uint64{1, 2}})); err == nil {
		t.Error("metadata with a blacklist")
	}
}

func TestJudgeBindsEverything(t *testing.T) {
	w := newWorld(t)
	b := w.block(8, 1, "eight")
	p := proposalOf(b)
	sig := types.Signature{ID: 2, Value: w.vote(1, b)}
	if err := w.judge.vote(sig, p); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(p *types.Proposal, s *types.Signature){
		"payload":  func(p *types.Proposal, _ *types.Signature) { p.Payload = []byte("other") },
		"metadata": func(p *types.Proposal, _ *types.Signature) { p.Metadata = w.block(8, 2, "x").Metadata },
		"sequence": func(p *types.Proposal, _ *types.Signature) { p.VerificationSequence = 1 },
		"header":   func(p *types.Proposal, _ *types.Signature) { p.Header = proposalOf(w.block(9, 1, "eight")).Header },
		"junk":     func(p *types.Proposal, _ *types.Signature) { p.Header = []byte("junk") },
		"signer":   func(_ *types.Proposal, s *types.Signature) { s.ID = 3 },
		"nobody":   func(_ *types.Proposal, s *types.Signature) { s.ID = 0 },
		"stranger": func(_ *types.Proposal, s *types.Signature) { s.ID = 5 },
		"no value": func(_ *types.Proposal, s *types.Signature) { s.Value = nil },
	} {
		q, s := p, sig
		change(&q, &s)
		if err := w.judge.vote(s, q); err == nil {
			t.Errorf("a vote stands although its %s was changed", name)
		}
	}
}

func TestPackKeepsEveryByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payloads := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 3000), 1, 3).Draw(t, "payloads")
		nv := &smartbftprotos.NewView{}
		for range rapid.IntRange(0, 5).Draw(t, "statements") {
			pick := func(label string) *smartbftprotos.Proposal {
				return &smartbftprotos.Proposal{Payload: payloads[rapid.IntRange(0, len(payloads)-1).Draw(t, label)]}
			}
			raw, err := proto.Marshal(&smartbftprotos.ViewData{LastDecision: pick("last"), InFlightProposal: pick("flight")})
			if err != nil {
				t.Fatal(err)
			}
			nv.SignedViewData = append(nv.SignedViewData, &smartbftprotos.SignedViewData{RawViewData: raw})
		}
		body, err := proto.Marshal(&smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: nv}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpack(packNewView(body, nv), len(body))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%v, %d bytes of %d", err, len(got), len(body))
		}
		if len(body) > 0 {
			if _, err := unpack(packNewView(body, nv), len(body)-1); err == nil {
				t.Fatal("more than allowed was unpacked")
			}
		}
	})
}

func TestPackShrinks(t *testing.T) {
	w := newWorld(t)
	last, flight := w.block(7, 0, strings.Repeat("l", 100_000)), w.block(8, 0, strings.Repeat("f", 100_000))
	m := newView(w.statement(1, 1, last, flight), w.statement(2, 1, last, flight), w.statement(3, 1, last, flight))
	body := w.marshal(m)
	if n := len(packNewView(body, m.GetNewView())); n > 210_000 {
		t.Errorf("%d bytes are packed into %d", len(body), n)
	}
}

// FuzzReceive feeds bytes from a peer to everything before the kernel.
func FuzzReceive(f *testing.F) {
	w := newWorld(f)
	for _, m := range w.good() {
		body := w.marshal(m)
		f.Add(encodeEnvelope(0, kindKernel, body))
		if nv := m.GetNewView(); nv != nil {
			f.Add(encodeEnvelope(0, kindPacked, packNewView(body, nv)))
		}
	}
	f.Add(encodeEnvelope(0, kindPulse, codec.MustMarshal(&pulse{3, stand{1, 2}})))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(b)
		if err != nil {
			return
		}
		if again := encodeEnvelope(e.Epoch, e.Kind, e.Body); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, and encodes to %x", b, again)
		}
		if e.Kind == kindPulse {
			if p, err := decodePulse(e.Body); err == nil && !bytes.Equal(codec.MustMarshal(p), e.Body) {
				t.Fatalf("pulse %x is not the encoding of %+v", e.Body, p)
			}
			return
		}
		m, err := e.kernelMessage(4)
		if err != nil {
			return
		}
		_ = kindOf(m)
		if err := w.judge.filter(1, m, 7); err != nil {
			return
		}
		if nv := m.GetNewView(); nv != nil && nextViewOf(nv.GetSignedViewData()[0])%4 != 1 {
			t.Fatal("a view is started by another than its leader")
		}
	})
}
