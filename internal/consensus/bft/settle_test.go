package bft

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"aval/ledger"
	"aval/suite"
)

// kernelSettles is the kernel's rule: what a set of statements decides about what is in flight.
func kernelSettles(t *rapid.T, all []*smartbftprotos.SignedViewData, quorum, told int) (ok bool, taken *smartbftprotos.Proposal) {
	unvoted := 0
	var statements []*stated
	for _, s := range all {
		st, err := readStated(s)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, st)
		if st.flight == nil || !st.prepared {
			unvoted++
		}
	}
	for _, candidate := range statements {
		if candidate.flight == nil || !candidate.prepared {
			continue
		}
		supporters, unopposed := 0, 0
		for _, st := range statements {
			if st.tells(candidate.flight) {
				supporters++
			}
			if st.flight == nil || st.tells(candidate.flight) {
				unopposed++
			}
		}
		if supporters >= told && unopposed >= quorum {
			return true, candidate.flight
		}
	}
	return unvoted >= quorum, nil
}

// drawStatement is a statement of validator i for view 9 that tells nothing, or one of a few proposals for height 1.
func drawStatement(t *rapid.T, i uint16) *smartbftprotos.SignedViewData {
	vd := &smartbftprotos.ViewData{NextView: 9, LastDecision: &smartbftprotos.Proposal{}}
	if k := rapid.IntRange(0, 3).Draw(t, fmt.Sprint("proposal of ", i)); k > 0 {
		md, err := proto.Marshal(&smartbftprotos.ViewMetadata{ViewId: uint64(k), LatestSequence: 1})
		if err != nil {
			t.Fatal(err)
		}
		vd.InFlightProposal = &smartbftprotos.Proposal{Header: []byte{byte(k)}, Payload: []byte("payload"), Metadata: md}
		vd.InFlightPrepared = rapid.IntRange(0, 2).Draw(t, fmt.Sprint("voted by ", i)) == 0
	}
	raw, err := proto.Marshal(vd)
	if err != nil {
		t.Fatal(err)
	}
	return &smartbftprotos.SignedViewData{RawViewData: raw, Signer: nodeID(i), Signature: fmt.Append(nil, "signature of ", i)}
}

// TestSettlement has statements come to a leader in any order, and what it starts the view with go to the others as it was signed:
// they must read it as the leader did. And if one proposal alone was voted for, and f+1 of a quorum tell it, a leader that tells
// no other settles it.
func TestSettlement(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	settled := 0
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{4, 5, 7, 10}).Draw(t, "validators")
		set := make(ledger.ValidatorSet, n)
		leader := uint16(9 % n)
		j := newJudge(&Config{Suite: s}, 0, set)
		quorum, told := set.Quorum(), (n-1)/3+1
		leads := newSettlement(j)
		var all []*smartbftprotos.SignedViewData
		for i := range uint16(n) {
			all = append(all, drawStatement(t, i))
		}
		if err := leads.begin(all[leader].GetRawViewData()); err != nil {
			t.Fatal(err)
		}
		kernel := []*smartbftprotos.SignedViewData{all[leader]}
		ok, taken := false, (*smartbftprotos.Proposal)(nil)
		for _, i := range rapid.Permutation(slices.Collect(seq(n))).Draw(t, "order") {
			if ok || uint16(i) == leader {
				continue
			}
			handed, err := leads.take(uint16(i), leader, all[i])
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range handed { // the kernel looks after each, and takes no more once it has settled it
				if !ok {
					kernel = append(kernel, h)
					ok, taken = kernelSettles(t, kernel, quorum, told)
					ok = ok && len(kernel) >= quorum
				}
			}
		}
		if !ok {
			mustNotBeClear(t, all, int(leader), quorum, told)
			return
		}
		settled++
		start := leads.unshortened(&smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: &smartbftprotos.NewView{SignedViewData: kernel}}})
		for _, v := range start.GetNewView().GetSignedViewData() {
			if !proto.Equal(v, all[v.GetSigner()-1]) {
				t.Fatalf("the start of the view has a statement of validator %d that it did not sign", v.GetSigner()-1)
			}
		}
		read, err := newSettlement(j).read(start)
		if err != nil {
			t.Fatal(err)
		}
		theirs, takenThere := kernelSettles(t, read.GetNewView().GetSignedViewData(), quorum, told)
		if !theirs || !proto.Equal(takenThere, taken) {
			t.Fatalf("the leader takes up %v, the others (%t) %v", taken, theirs, takenThere)
		}
	})
	if settled == 0 {
		t.Error("nothing was ever settled")
	}
}

func seq(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

// mustNotBeClear fails if all statements together leave no doubt and the leader's own does not contradict.
func mustNotBeClear(t *rapid.T, all []*smartbftprotos.SignedViewData, leader, quorum, told int) {
	var statements []*stated
	for _, s := range all {
		st, err := readStated(s)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, st)
	}
	voted, single := votedAmong(statements)
	supporters := 0
	for _, st := range statements {
		if voted != nil && st.tells(voted) {
			supporters++
		}
	}
	own := statements[leader]
	if single && (voted == nil || supporters >= told && (own.flight == nil || own.tells(voted))) {
		t.Fatalf("nothing speaks against %v, which %d tell, and the leader did not settle it", voted, supporters)
	}
}
