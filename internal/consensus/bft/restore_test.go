package bft

import (
	"errors"
	"testing"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/ledger"
)

// The records of a log, as the kernel and this package write them.
func (w *world) proposed(b *ledger.Block, view uint64) []byte {
	return w.marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ProposedRecord{
		ProposedRecord: &smartbftprotos.ProposedRecord{PrePrepare: prePrepare(view, b).GetPrePrepare()}}})
}

func (w *world) voted(b *ledger.Block, view uint64) []byte {
	return w.marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_Commit{Commit: w.commit(1, view, b)}})
}

func (w *world) left(view uint64) []byte {
	return w.marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ViewChange{
		ViewChange: &smartbftprotos.ViewChange{NextView: view}}})
}

func (w *world) entered(view uint64, head ledger.Height) []byte {
	return w.marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_NewView{
		NewView: &smartbftprotos.ViewMetadata{ViewId: view, LatestSequence: uint64(head)}}})
}

func (w *world) tookUp(b *ledger.Block) []byte { return encodeOwnRecord(proposalOf(b)) }

// describe names what the kernel reads last.
func describe(t *testing.T, entries [][]byte) string {
	t.Helper()
	if len(entries) == 0 {
		return "nothing"
	}
	m := &smartbftprotos.SavedMessage{}
	if err := proto.Unmarshal(entries[len(entries)-1], m); err != nil {
		t.Fatal(err)
	}
	switch c := m.Content.(type) {
	case *smartbftprotos.SavedMessage_ProposedRecord:
		return "proposed " + string(c.ProposedRecord.GetPrePrepare().GetProposal().GetPayload())
	case *smartbftprotos.SavedMessage_Commit:
		before := describe(t, entries[:len(entries)-1])
		return "voted, " + before
	case *smartbftprotos.SavedMessage_ViewChange:
		return "left " + string('0'+rune(c.ViewChange.GetNextView()))
	case *smartbftprotos.SavedMessage_NewView:
		return "entered " + string('0'+rune(c.NewView.GetViewId()))
	}
	return "unknown"
}

func TestRestoration(t *testing.T) {
	w := newWorld(t)
	head := w.block(7, 1, "head")
	p, q, r := w.block(8, 1, "p"), w.block(8, 2, "q"), w.block(8, 1, "r")
	far := w.block(9, 1, "far")
	vote := func(b *ledger.Block, view uint64) guardState {
		return guardState{Height: b.Header.Height, Votes: []guardVote{{View: view, Header: b.Header.Hash(w.judge.suite)}}}
	}
	none := guardState{}
	empty := w.commit(1, 1, p)
	empty.GetCommit().Signature.Value = nil
	withheld := w.marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_Commit{Commit: empty}})
	for _, c := range []struct {
		name          string
		log           [][]byte
		votes         guardState
		first, second string // what the kernel reads; "damaged"
	}{
		{"empty", nil, none, "nothing", "nothing"},
		{"decided", [][]byte{w.proposed(head, 1), w.voted(head, 1)}, vote(head, 1), "nothing", "nothing"},
		{"decided by others", [][]byte{w.proposed(head, 1)}, none, "nothing", "nothing"},
		{"proposed", [][]byte{w.proposed(p, 1)}, none, "proposed p", "proposed p"},
		{"proposed, vote not logged", [][]byte{w.proposed(p, 1)}, vote(p, 1), "voted, proposed p", "voted, proposed p"},
		{"proposed, vote withheld", [][]byte{w.proposed(p, 1), withheld}, none, "proposed p", "proposed p"},
		{"changing, vote not logged", [][]byte{w.proposed(p, 1), w.left(1)}, vote(p, 1), "left 1", "voted, proposed p"},
		{"voted", [][]byte{w.proposed(p, 1), w.voted(p, 1)}, vote(p, 1), "voted, proposed p", "voted, proposed p"},
		{"changing views", [][]byte{w.proposed(head, 1), w.voted(head, 1), w.left(1)}, none, "left 1", "left 1"},
		{"changing, proposed", [][]byte{w.proposed(p, 1), w.left(1)}, none, "left 1", "left 1"},
		{"changing, voted", [][]byte{w.proposed(p, 1), w.voted(p, 1), w.left(1)}, vote(p, 1), "left 1", "voted, proposed p"},
		{"took up another's", [][]byte{w.proposed(p, 1), w.left(1), w.tookUp(r)}, vote(r, 1), "left 1", "voted, proposed r"},
		{"took up, vote never made", [][]byte{w.left(1), w.tookUp(r)}, none, "left 1", "voted, proposed r"},
		{"took up and left again", [][]byte{w.left(1), w.tookUp(r), w.left(2)}, vote(r, 1), "left 2", "voted, proposed r"},
		{"entered", [][]byte{w.proposed(p, 1), w.voted(p, 1), w.left(1), w.entered(2, 7)}, vote(p, 1), "entered 2", "entered 2"},
		{"entered and proposed", [][]byte{w.proposed(q, 2)}, vote(p, 1), "entered 2", "proposed q"},
		{"entered and voted", [][]byte{w.proposed(q, 2), w.voted(q, 2)}, vote(q, 2), "entered 2", "voted, proposed q"},
		{"entered an older view than the head's", [][]byte{w.entered(0, 3)}, none, "nothing", "nothing"},
		{"left an older view than the head's", [][]byte{w.left(0)}, none, "nothing", "nothing"},
		{"ahead of the ledger", [][]byte{w.proposed(far, 1)}, none, "damaged", ""},
		{"voted ahead of the ledger", nil, vote(far, 1), "damaged", ""},
		{"vote lost from the log", nil, vote(p, 1), "damaged", ""},
		{"vote of a later view lost from the log", [][]byte{w.proposed(p, 1), w.voted(p, 1), w.left(1), w.entered(2, 7)}, vote(q, 2), "damaged", ""},
		{"vote lost from the record", [][]byte{w.proposed(p, 1), w.voted(p, 1)}, none, "damaged", ""},
		{"vote without its proposal", [][]byte{w.voted(p, 1)}, vote(p, 1), "damaged", ""},
		{"junk", [][]byte{[]byte("junk")}, none, "damaged", ""},
		{"own junk", [][]byte{{ownRecordTag, 1, 2, 3}}, none, "damaged", ""},
	} {
		st, err := readLog(w.judge.suite, c.log)
		if err == nil {
			err = st.check(7, 0, c.votes)
		}
		if (c.first == "damaged") != (err != nil) || err != nil && !errors.Is(err, errLogDamaged) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil || c.first == "damaged" {
			continue
		}
		res, err := st.plan(head, func(p types.Proposal) (*types.Signature, error) {
			return &types.Signature{ID: 2, Value: []byte("vote")}, nil
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		first, second := describe(t, res.first), describe(t, res.second)
		if first != c.first || second != c.second || len(res.first) != len(res.second) {
			t.Errorf("%s: the kernel reads %q (%d records) and then %q (%d), expected %q and %q",
				c.name, first, len(res.first), second, len(res.second), c.first, c.second)
		}
	}
}

// FuzzLog reads arbitrary records.
func FuzzLog(f *testing.F) {
	w := newWorld(f)
	p := w.block(8, 1, "p")
	f.Add(w.proposed(p, 1), w.voted(p, 1))
	f.Add(w.left(1), w.tookUp(p))
	f.Add(w.entered(2, 7), w.left(2))
	head := w.block(7, 1, "head")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		st, err := readLog(w.judge.suite, [][]byte{a, b})
		if err != nil {
			return
		}
		if st.check(7, 0, guardState{}) != nil {
			return
		}
		res, err := st.plan(head, func(p types.Proposal) (*types.Signature, error) { return &types.Signature{ID: 2}, nil })
		if err != nil {
			t.Fatal(err)
		}
		if len(res.first) != len(res.second) {
			t.Fatalf("%d and %d records", len(res.first), len(res.second))
		}
	})
}
