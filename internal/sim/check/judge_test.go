package check_test

import (
	"strings"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/sim/check"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// played is a small network and what happened on it: a bank, a firm with money, a payment of it.
type played struct {
	t     *testing.T
	n     *chaintest.Network
	chain *chain.Chain
	top   ledger.Height
	pay   []byte
}

func play(t *testing.T) *played {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	c := n.Open(t)
	p := &played{t: t, n: n, chain: c}
	keys := func(names ...string) (out []string) {
		for _, name := range names {
			out = append(out, name+".m", name+".c", name+".a")
		}
		return out
	}
	for _, f := range []struct {
		name string
		role ledger.Role
	}{{"bank", ledger.RoleBank}, {"ann", ledger.RoleSupplier}, {"bo", ledger.RoleSupplier}} {
		op, signers := n.Onboard(t, f.name, f.role)
		p.must(n.Tx(t, signers, op))
	}
	bank, ann, bo := n.Party("bank"), n.Party("ann"), n.Party("bo")
	p.must(n.Tx(t, keys("bank", "ann", "bo"), ledger.NewOp(bank, &ledger.AccountOpen{Holder: ann}), ledger.NewOp(bank, &ledger.AccountOpen{Holder: bo}),
		ledger.NewOp(bank, &ledger.MoneyMint{Holder: ann, Amount: 1000})))
	p.pay = n.Tx(t, keys("ann"), ledger.NewOp(ann, &ledger.MoneyTransfer{Bank: bank, To: bo, ToBank: bank, Amount: 300}))
	p.must(p.pay)
	n.Rest(t, c)
	p.top = c.Head().Header.Height
	return p
}

func (p *played) must(tx []byte) {
	p.t.Helper()
	if r := p.n.Submit(p.t, p.chain, tx); r.Code != ledger.CodeOK {
		p.t.Fatalf("%s: %s", r.Code, r.Message)
	}
}

// spoil changes what a judge is shown. Any of its fields may be nil.
type spoil struct {
	block    func(*ledger.Block)
	receipts func(ledger.Height, []ledger.Receipt) []ledger.Receipt
	record   func(key, value []byte) []byte
	judge    func(*check.Judge)
}

// show shows all that happened to a judge and returns what it found.
func (p *played) show(s spoil) []check.Violation {
	j := check.New(check.Config{Suite: p.n.Suite, Genesis: p.n.Genesis})
	for h := ledger.Height(1); h <= p.top; h++ {
		b, err := p.chain.Block(h)
		if err != nil {
			p.t.Fatal(err)
		}
		_, bodies, err := p.chain.BlockBytes(h)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, body := range bodies {
			j.Batch(body)
		}
		if s.block != nil {
			s.block(b)
		}
		for node := range 2 {
			j.Committed(node, b)
		}
		receipts, err := p.chain.Receipts(h)
		if err != nil {
			p.t.Fatal(err)
		}
		if s.receipts != nil {
			receipts = s.receipts(h, receipts)
		}
		j.Executed(0, h, receipts)
		for i := range receipts {
			j.Answered(0, receipts[i].Signed, &receipts[i])
		}
	}
	if s.judge != nil {
		s.judge(j)
	}
	books := j.Finish()
	err := p.chain.Read(func(journal *vm.Journal, _ chain.At) error {
		books.Compare(0, func(key []byte) ([]byte, error) {
			value := journal.Get(key)
			if s.record != nil {
				value = s.record(key, value)
			}
			return value, journal.Err()
		})
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return j.Violations()
}

// TestJudge shows a judge a good history, and the same with one thing wrong at a time.
func TestJudge(t *testing.T) {
	p := play(t)
	if got := p.show(spoil{}); len(got) > 0 {
		t.Fatalf("a good history: %v", got)
	}
	head := p.chain.Head()
	other := *head
	other.Header.Wall++
	p.n.Certify(t, &other)
	if err := ledger.VerifyCertificate(p.n.Suite, p.n.Genesis.Validators, &other.Header, &other.Certificate); err != nil {
		t.Fatal(err)
	}
	account := string(ledger.AccountKey(p.n.Party("bank"), p.n.Party("bo")))
	last := func(change func([]ledger.Receipt) []ledger.Receipt) func(ledger.Height, []ledger.Receipt) []ledger.Receipt {
		return func(h ledger.Height, r []ledger.Receipt) []ledger.Receipt {
			if h == 5 {
				return change(r)
			}
			return r
		}
	}
	for _, test := range []struct {
		name string
		rule check.Rule
		text string
		spoil
	}{
		{"two blocks at one height", check.Agreement, "two certificates", spoil{judge: func(j *check.Judge) { j.Certified(&other) }}},
		{"two votes in one view", check.Agreement, "signed", spoil{judge: func(j *check.Judge) {
			j.Voted(1, 7, &head.Header)
			j.Voted(1, 7, &other.Header)
		}}},
		{"too few votes", check.Certificates, "not good", spoil{block: func(b *ledger.Block) { b.Certificate.Votes = b.Certificate.Votes[:2] }}},
		{"one vote twice", check.Certificates, "not good", spoil{block: func(b *ledger.Block) { b.Certificate.Votes[1] = b.Certificate.Votes[0] }}},
		{"another payload", check.Certificates, "not good", spoil{block: func(b *ledger.Block) { b.Payload = append(b.Payload, 0) }}},
		{"an uncertified block", check.Certificates, "not good", spoil{block: func(b *ledger.Block) { b.Header.Wall++ }}},
		{"a receipt lost", check.Acknowledged, "has 0 receipts", spoil{receipts: last(func([]ledger.Receipt) []ledger.Receipt { return nil })}},
		{"another result", check.Roots, "certifies receipts", spoil{receipts: last(func(r []ledger.Receipt) []ledger.Receipt {
			r[0].Message = "x"
			return r
		})}},
		{"an answer without history", check.Acknowledged, "does not have it", spoil{judge: func(j *check.Judge) {
			j.Answered(1, suite.Hash{1}, &ledger.Receipt{Height: 2, Tx: suite.Hash{2}})
		}}},
		{"never, and yet", check.Acknowledged, "can never take effect", spoil{judge: func(j *check.Judge) {
			tx, err := ledger.DecodeSignedTx(p.pay)
			if err != nil {
				t.Fatal(err)
			}
			j.ToldNever(1, tx.Tx.ID(p.n.Suite))
		}}},
		{"another balance", check.Conservation, "its transactions leave 300", spoil{record: func(key, value []byte) []byte {
			if string(key) != account {
				return value
			}
			return codec.MustMarshal(&ledger.Account{Bank: p.n.Party("bank"), Holder: p.n.Party("bo"), Balance: 299})
		}}},
		{"other roots", check.Roots, "certifies state", spoil{judge: func(j *check.Judge) { j.Rooted(0, 2, suite.Hash{1}, suite.Hash{2}) }}},
		{"other roots on another node", check.Roots, "other roots on node", spoil{judge: func(j *check.Judge) {
			j.Rooted(0, 2, suite.Hash{1}, suite.Hash{2})
			j.Rooted(1, 2, suite.Hash{1}, suite.Hash{3})
		}}},
		{"no progress", check.Progress, "did not happen", spoil{judge: func(j *check.Judge) { j.Took("a block", -1, time.Second) }}},
		{"slow progress", check.Progress, "took 2s", spoil{judge: func(j *check.Judge) { j.Took("a block", 2*time.Second, time.Second) }}},
		{"a bad proof", check.Proofs, "does not decode", spoil{judge: func(j *check.Judge) { j.Proof(1, []byte{1}, nil) }}},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := p.show(test.spoil)
			for _, v := range found {
				if v.Rule == test.rule && strings.Contains(v.Text, test.text) {
					return
				}
			}
			t.Fatalf("found %v", found)
		})
	}
}

// TestProofs: the proof of a receipt is accepted for that one and for no other.
func TestProofs(t *testing.T) {
	p := play(t)
	receipts, err := p.chain.Receipts(5)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := p.chain.ProveReceipt(chain.Position{Height: 5})
	if err != nil {
		t.Fatal(err)
	}
	wrong := receipts[0]
	wrong.Message = "x"
	for _, test := range []struct {
		receipt *ledger.Receipt
		want    int
	}{{&receipts[0], 0}, {&wrong, 1}} {
		j := check.New(check.Config{Suite: p.n.Suite, Genesis: p.n.Genesis})
		j.Committed(0, p.chain.Head())
		for h := ledger.Height(1); h < p.top; h++ {
			b, err := p.chain.Block(h)
			if err != nil {
				t.Fatal(err)
			}
			j.Committed(0, b)
		}
		j.Proof(0, codec.MustMarshal(proof), test.receipt)
		if got := j.Violations(); len(got) != test.want {
			t.Fatalf("found %v", got)
		}
	}
}
