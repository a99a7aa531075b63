package money

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

func change[T any](key []byte, before, after *T) vm.Change {
	c := vm.Change{Key: key}
	if before != nil {
		c.Old = codec.MustMarshal(before)
	}
	if after != nil {
		c.New = codec.MustMarshal(after)
	}
	return c
}

// TestCheckConservation: what a bank owes moves exactly as its accounts do, bank by bank.
func TestCheckConservation(t *testing.T) {
	account := func(bank, holder ledger.PartyID, before, after ledger.Account) vm.Change {
		before.Bank, before.Holder, after.Bank, after.Holder = bank, holder, bank, holder
		return change(ledger.AccountKey(bank, holder), &before, &after)
	}
	supply := func(bank ledger.PartyID, before, after ledger.Supply) vm.Change {
		before.Bank, after.Bank = bank, bank
		return change(ledger.SupplyKey(bank), &before, &after)
	}
	type A = ledger.Account
	type S = ledger.Supply
	for _, test := range []struct {
		name    string
		changes []vm.Change
		ok      bool
	}{
		{"nothing", nil, true},
		{"moved", []vm.Change{account("a", "x", A{Balance: 5}, A{}), account("a", "y", A{}, A{Balance: 5})}, true},
		{"held", []vm.Change{account("a", "x", A{Balance: 5}, A{Balance: 2, Held: 3})}, true},
		{"minted", []vm.Change{account("a", "x", A{}, A{Balance: 5}), supply("a", S{}, S{Minted: 5})}, true},
		{"opened", []vm.Change{change[A](ledger.AccountKey("a", "x"), nil, &A{Bank: "a", Holder: "x"})}, true},
		{"across", []vm.Change{
			account("a", "x", A{Balance: 5}, A{}), account("b", "y", A{}, A{Balance: 5}),
			supply("a", S{Minted: 9}, S{Minted: 9, Burned: 5}), supply("b", S{}, S{Minted: 5}),
		}, true},
		{"from nowhere", []vm.Change{account("a", "x", A{}, A{Balance: 1})}, false},
		{"held from nowhere", []vm.Change{account("a", "x", A{}, A{Held: 1})}, false},
		{"lost", []vm.Change{account("a", "x", A{Balance: 5}, A{}), account("a", "y", A{}, A{Balance: 4})}, false},
		{"closed with money", []vm.Change{change(ledger.AccountKey("a", "x"), &A{Bank: "a", Holder: "x", Balance: 1}, nil)}, false},
		{"into another bank", []vm.Change{account("a", "x", A{Balance: 5}, A{}), account("b", "y", A{}, A{Balance: 5})}, false},
		{"minted for nobody", []vm.Change{supply("a", S{}, S{Minted: 5})}, false},
		{"burnt the wrong way", []vm.Change{account("a", "x", A{}, A{Balance: 5}), supply("a", S{}, S{Burned: 5})}, false},
		{"no record", []vm.Change{{Key: ledger.AccountKey("a", "x"), New: []byte{0}}}, false},
	} {
		if err := CheckConservation(test.changes); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestNumbersAreTheRecords: what conservation reads in passing is what the records decode to.
func TestNumbersAreTheRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fen := rapid.Map(rapid.Uint64(), func(n uint64) ledger.Fen { return ledger.Fen(n >> (n % 64)) })
		party := rapid.Map(rapid.StringN(0, 18, 18), func(s string) ledger.PartyID { return ledger.PartyID(s) })
		a := ledger.Account{Bank: party.Draw(t, "bank"), Holder: party.Draw(t, "holder"), Balance: fen.Draw(t, "balance"), Held: fen.Draw(t, "held")}
		key := ledger.AccountKey(a.Bank, a.Holder)
		if balance, held, err := numbers(key, codec.MustMarshal(&a), fieldBalance, fieldHeld); err != nil ||
			balance != uint64(a.Balance) || held != uint64(a.Held) || string(bankOf(key)) != string(a.Bank) {
			t.Fatalf("%+v: %d, %d, %v, bank %q", a, balance, held, err, bankOf(key))
		}
		s := ledger.Supply{Bank: a.Bank, Minted: a.Balance, Burned: a.Held}
		key = ledger.SupplyKey(s.Bank)
		if minted, burned, err := numbers(key, codec.MustMarshal(&s), fieldMinted, fieldBurned); err != nil ||
			minted != uint64(s.Minted) || burned != uint64(s.Burned) || string(bankOf(key)) != string(s.Bank) {
			t.Fatalf("%+v: %d, %d, %v, bank %q", s, minted, burned, err, bankOf(key))
		}
	})
	if _, _, err := numbers([]byte{1}, []byte{0x80}, fieldBalance, fieldHeld); err == nil {
		t.Error("what is no record has numbers")
	}
}

// TestMayEnd: who may end which hold, which way.
func TestMayEnd(t *testing.T) {
	own := ledger.Hold{Owner: "o", Beneficiary: "b", Reason: ledger.HoldByOwner}
	unrouted := ledger.Hold{Owner: "o", Beneficiary: "b", Controller: "c", Reason: ledger.HoldUnrouted}
	frozen := ledger.Hold{Owner: "o", Beneficiary: "b", Controller: "c", Reason: ledger.HoldFrozen}
	twice := frozen
	twice.Next = []ledger.HoldClaim{{Reason: ledger.HoldFrozen, Controller: "n"}}
	deposit := ledger.Hold{Owner: "o", Beneficiary: "c", Controller: "c", Reason: ledger.HoldPledged}
	kept := ledger.Hold{Owner: "o", Beneficiary: "b", Controller: "c", Reason: ledger.HoldPledged}
	for _, test := range []struct {
		name string
		hold *ledger.Hold
		// pay and back name, one letter each, those of o, b, c, n and x who may pay and who may give back.
		pay, back string
	}{
		{"set aside by the owner", &own, "o", "b"},
		{"could not be paid out", &unrouted, "oc", "b"},
		{"frozen", &frozen, "c", "c"},
		{"frozen twice", &twice, "c", ""},
		{"pledged and deposited", &deposit, "oc", "c"},
		{"pledged and still with the issuer's bank", &kept, "c", ""},
	} {
		for _, party := range []string{"o", "b", "c", "n", "x", ""} {
			for _, pay := range []bool{true, false} {
				who := test.back
				if pay {
					who = test.pay
				}
				if got, want := mayEnd(test.hold, ledger.PartyID(party), pay), party != "" && strings.Contains(who, party); got != want {
					t.Errorf("%s: %q with pay=%t: %v", test.name, party, pay, got)
				}
			}
		}
	}
}

type view map[string][]byte

func (v view) Get(key []byte) ([]byte, bool, error) {
	b, ok := v[string(key)]
	return b, ok, nil
}

// TestHeldMoneyPays: what natives set aside, give back and pay out of it.
func TestHeldMoneyPays(t *testing.T) {
	c := &vm.Context{Journal: vm.NewJournal(view{})}
	for _, p := range []ledger.Party{{ID: "bank", Roles: ledger.RoleBank}, {ID: "o", Bank: "bank"}, {ID: "b", Bank: "bank"}, {ID: "n"}} {
		vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	}
	store(c.Journal, &ledger.Account{Bank: "bank", Holder: "o"})
	store(c.Journal, &ledger.Account{Bank: "bank", Holder: "b"})
	step := func(what string, err error, want ledger.Code) {
		t.Helper()
		code := ledger.CodeOK
		if f := new(ledger.Failure); errors.As(err, &f) {
			code = f.Code
		}
		if code != want {
			t.Fatalf("%s: %v, want %s", what, err, want)
		}
	}
	step("mint", Pay(c, "bank", "bank", "o", "bank", 100, ""), ledger.CodeOK)
	step("hold", HoldFunds(c, "bank", "o", 60), ledger.CodeOK)
	step("hold too much", HoldFunds(c, "bank", "o", 41), ledger.CodeInsufficientFunds)
	step("hold nothing", HoldFunds(c, "bank", "o", 0), ledger.CodeArgument)
	step("pay held", PayHeld(c, "o", "bank", "b", "bank", 25, ""), ledger.CodeOK)
	step("pay more than is held", PayHeld(c, "o", "bank", "b", "bank", 36, ""), ledger.CodeInsufficientFunds)
	step("a bank pays held", PayHeld(c, "bank", "bank", "b", "bank", 1, ""), ledger.CodeAccountUnknown)
	step("give back", ReleaseFunds(c, "bank", "o", 10), ledger.CodeOK)
	step("give back more", ReleaseFunds(c, "bank", "o", 26), ledger.CodeInsufficientFunds)
	step("record", CreateHoldOfHeld(c, ledger.Hold{ID: suite.Hash{1}, Bank: "bank", Owner: "o", Amount: 25}), ledger.CodeOK)
	step("record more", CreateHoldOfHeld(c, ledger.Hold{ID: suite.Hash{2}, Bank: "bank", Owner: "o", Amount: 26}), ledger.CodeInsufficientFunds)
	step("pay the bank", PayHeld(c, "o", "bank", "bank", "bank", 5, ""), ledger.CodeOK)
	a, _ := Account(c.Journal, "bank", "o")
	if want := (ledger.Account{Bank: "bank", Holder: "o", Balance: 50, Held: 20}); a != want {
		t.Fatalf("%+v, want %+v", a, want)
	}
	for party, want := range map[ledger.PartyID]ledger.PartyID{"o": "bank", "bank": "bank", "n": "", "unknown": ""} {
		if got := BankFor(c.Journal, party, "bank"); got != want {
			t.Errorf("BankFor(%s) = %q, want %q", party, got, want)
		}
	}
	if got := BankFor(c.Journal, "bank", "other"); got != "bank" {
		t.Errorf("a bank is paid by another bank in %q", got)
	}
	if err := CheckConservation(c.Changes()); err != nil {
		t.Fatal(err)
	}
}
