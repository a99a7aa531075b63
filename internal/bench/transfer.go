package bench

import (
	"context"
	"fmt"

	"aval/codec"
	"aval/internal/native/money"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// transfer moves money between accounts: one operation with one signature. Every account has a key of its own.
type transfer struct {
	suite    suite.Suite
	network  suite.Hash
	bank     ledger.PartyID
	accounts []account
}

// account is one holder of money with its one key.
type account struct {
	id     ledger.PartyID
	signer suite.Signer
}

const (
	// accountFen is what every account begins with; no key pays that much in one run.
	accountFen ledger.Fen = 100_000_000_00
	// accountsPerTx are onboarded, opened and filled in one transaction, bounded by its 32 operations.
	accountsPerTx = ledger.TxOpsMax / 3
)

// oneMaker lets one key move money.
var oneMaker = []ledger.Policy{{Class: ledger.ClassMoney, Makers: 1}}

func newTransfer(s suite.Suite, network suite.Hash, keys int) *transfer {
	return &transfer{suite: s, network: network, accounts: make([]account, keys)}
}

// setUp implements workload: a bank, and an account for every key.
func (t *transfer) setUp(ctx context.Context, s *setup) (err error) {
	if t.bank, err = partyID('B', 0); err != nil {
		return err
	}
	clerk, err := s.newMember(ledger.CapAdmin|ledger.CapMaker, 0)
	if err != nil {
		return err
	}
	err = s.submit(ctx, "onboard the bank", 1, func(int) (*ledger.SignedTx, error) {
		op, err := s.admit(t.bank, "Bank", ledger.RoleBank, oneMaker, clerk)
		if err != nil {
			return nil, err
		}
		return s.tx([]ledger.Op{op}, s.authority, clerk.signer)
	})
	if err != nil {
		return err
	}
	count := (len(t.accounts) + accountsPerTx - 1) / accountsPerTx
	return s.submit(ctx, fmt.Sprintf("open %d accounts, %d in a transaction", len(t.accounts), accountsPerTx), count,
		func(i int) (*ledger.SignedTx, error) {
			low := i * accountsPerTx
			return t.open(s, low, min(low+accountsPerTx, len(t.accounts)), clerk.signer)
		})
}

// open onboards the holders of accounts [low, high) and fills their accounts.
func (t *transfer) open(s *setup, low, high int, clerk suite.Signer) (*ledger.SignedTx, error) {
	var ops []ledger.Op
	signers := []suite.Signer{s.authority, clerk}
	for n := low; n < high; n++ {
		id, err := partyID('A', n)
		if err != nil {
			return nil, err
		}
		m, err := s.newMember(ledger.CapAdmin|ledger.CapMaker, 0)
		if err != nil {
			return nil, err
		}
		admit, err := s.admit(id, fmt.Sprintf("Holder %d", n), ledger.RoleSupplier, oneMaker, m)
		if err != nil {
			return nil, err
		}
		t.accounts[n] = account{id: id, signer: m.signer}
		signers = append(signers, m.signer)
		ops = append(ops, admit, ledger.NewOp(t.bank, &ledger.AccountOpen{Holder: id}),
			ledger.NewOp(t.bank, &ledger.MoneyMint{Holder: id, Amount: accountFen}))
	}
	return s.tx(ops, signers...)
}

// lane implements workload: account i pays some other.
func (t *transfer) lane(i int, validUntil ledger.Time) ([][]byte, error) {
	n := len(t.accounts)
	from := &t.accounts[i%n]
	mixed := mix(uint64(i))
	to := &t.accounts[(i%n+1+int(mixed%uint64(n-1)))%n]
	op := ledger.NewOp(from.id, &ledger.MoneyTransfer{Bank: t.bank, To: to.id, ToBank: t.bank, Amount: ledger.Fen(1 + mixed>>32%100)})
	tx, err := signedTx(t.suite, t.network, validUntil, []ledger.Op{op}, from.signer)
	if err != nil {
		return nil, err
	}
	raw, err := codec.Marshal(tx)
	return [][]byte{raw}, err
}

// steps implements workload.
func (t *transfer) steps() float64 { return 1 }

// signatures implements workload.
func (t *transfer) signatures() float64 { return 1 }

// mix spreads a number over 64 bits (SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// count implements workload: the accounts hold what they began with, and the bank owes as much.
func (t *transfer) count(j *vm.Journal) ([]string, error) {
	var sum, want ledger.Fen
	moved := 0
	for i := range t.accounts {
		a, ok := money.Account(j, t.bank, t.accounts[i].id)
		if !ok {
			return nil, fmt.Errorf("account of %s is not there", t.accounts[i].id)
		}
		sum += a.Balance + a.Held
		want += accountFen
		if a.Balance != accountFen {
			moved++
		}
	}
	supply, _ := vm.Load[ledger.Supply](j, ledger.SupplyKey(t.bank))
	if owed := supply.Minted - supply.Burned; sum != want || owed != want {
		return nil, fmt.Errorf("%d accounts hold %s and the bank owes %s; before the load both were %s", len(t.accounts), sum, owed, want)
	}
	return []string{fmt.Sprintf("%d accounts hold %s, as before the load; %d of them hold another sum than before", len(t.accounts), sum, moved)}, nil
}
