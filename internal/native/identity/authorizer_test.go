package identity

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// metByTrying is the slow twin of met: it tries every assignment of persons to places.
func metByTrying(p ledger.Policy, members []*ledger.Member) bool {
	var places []ledger.Capability
	for range p.Makers {
		places = append(places, ledger.CapMaker)
	}
	for range p.Checkers {
		places = append(places, ledger.CapChecker)
	}
	for range p.Admins {
		places = append(places, ledger.CapAdmin)
	}
	return metByTryingOf("a", places, members) || metByTryingOf("b", places, members)
}

// metByTryingOf is metByTrying for the persons whom one issuer knows.
func metByTryingOf(issuer string, places []ledger.Capability, members []*ledger.Member) bool {
	used := map[suite.Hash]bool{}
	var fill func(i int) bool
	fill = func(i int) bool {
		if i == len(places) {
			return true
		}
		for _, m := range members {
			if string(m.Issuer) == issuer && m.Caps&places[i] != 0 && !used[m.Person] {
				used[m.Person] = true
				if fill(i + 1) {
					return true
				}
				used[m.Person] = false
			}
		}
		return false
	}
	return fill(0)
}

func TestMetAgainstTrying(t *testing.T) {
	yes, no := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := ledger.Policy{
			Makers: rapid.Uint8Range(0, 3).Draw(t, "makers"), Checkers: rapid.Uint8Range(0, 3).Draw(t, "checkers"),
			Admins: rapid.Uint8Range(0, 2).Draw(t, "admins"),
		}
		if p.Makers+p.Checkers+p.Admins == 0 {
			p.Makers = 1 // a policy that asks for nobody is none
		}
		var members []*ledger.Member
		for range rapid.IntRange(0, 7).Draw(t, "members") {
			members = append(members, &ledger.Member{
				Person: suite.Hash{rapid.Byte().Draw(t, "person") % 6},
				Issuer: suite.PublicKey(rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "issuer")),
				Caps:   ledger.Capability(rapid.Uint8Range(0, 15).Draw(t, "caps")),
			})
		}
		want := metByTrying(p, members)
		if got := met(p, members); got != want {
			t.Fatalf("met = %v, trying every assignment says %v: %+v of %+v", got, want, p, members)
		}
		if want {
			yes++
		} else {
			no++
		}
	})
	if yes == 0 || no == 0 {
		t.Fatalf("%d met and %d not: the test says little", yes, no)
	}
}

type view map[string][]byte

func (v view) Get(key []byte) ([]byte, bool, error) {
	b, ok := v[string(key)]
	return b, ok, nil
}

// TestAuthorizerSeesChanges: an answer depends on the records at the moment of the question.
func TestAuthorizerSeesChanges(t *testing.T) {
	j := vm.NewJournal(view{})
	maker, checker := suite.PublicKey{1}, suite.PublicKey{2}
	vm.Store(j, ledger.PartyKey("p"), &ledger.Party{ID: "p"})
	grant := func(key suite.PublicKey, caps ledger.Capability, revoked ledger.Time) {
		vm.Store(j, ledger.MemberKey(key), &ledger.Member{
			Party: "p", Key: key, Caps: caps, Person: suite.Hash{key[0]}, NotAfter: 100, RevokedAt: revoked,
		})
	}
	a := NewAuthorizer(j, 50, []suite.PublicKey{maker, checker})
	expect := func(step string, want ledger.Code) {
		t.Helper()
		code, err := ledger.CodeOK, a.Require("p", ledger.ClassMoney)
		if f := new(ledger.Failure); errors.As(err, &f) {
			code = f.Code
		}
		if code != want {
			t.Fatalf("%s: %s, want %s (%v)", step, code, want, err)
		}
		if code != ledger.CodeOK && code.Spends() {
			t.Fatalf("%s: %s must not spend", step, code)
		}
	}
	expect("no member", ledger.CodeKeyUnknown)
	grant(maker, ledger.CapMaker, 0)
	expect("a maker", ledger.CodePolicyUnmet)
	mark := j.Mark()
	grant(checker, ledger.CapChecker, 0)
	expect("maker and checker", ledger.CodeOK)
	grant(checker, ledger.CapChecker, 50)
	expect("the checker is revoked", ledger.CodeKeyRevoked)
	j.Revert(mark)
	expect("all that taken back", ledger.CodePolicyUnmet)
	grant(checker, ledger.CapMaker|ledger.CapChecker, 0)
	expect("a checker who is a maker too", ledger.CodeOK)
	a = NewAuthorizer(j, 101, []suite.PublicKey{maker, checker})
	expect("both keys are over", ledger.CodeKeyExpired)
	a = NewAuthorizer(j, 100, []suite.PublicKey{checker})
	expect("one person for both", ledger.CodeSamePerson)
	if _, err := a.RequireAny("nobody"); err == nil {
		t.Fatal("RequireAny accepted an unknown party")
	}
	if keys, err := a.RequireAny("p"); err != nil || len(keys) != 1 {
		t.Fatalf("RequireAny: %v, %v", keys, err)
	}
	if !a.HasKey(checker) || a.HasKey(maker) {
		t.Fatal("HasKey")
	}
}

// TestAuditorMayNotPropose: a key that may only look cannot act.
func TestAuditorMayNotPropose(t *testing.T) {
	j := vm.NewJournal(view{})
	key := suite.PublicKey{1}
	vm.Store(j, ledger.PartyKey("p"), &ledger.Party{ID: "p"})
	vm.Store(j, ledger.MemberKey(key), &ledger.Member{Party: "p", Key: key, Caps: ledger.CapAuditor, NotAfter: 100})
	_, err := NewAuthorizer(j, 1, []suite.PublicKey{key}).RequireAny("p")
	if f := new(ledger.Failure); !errors.As(err, &f) || f.Code != ledger.CodePolicyUnmet {
		t.Fatalf("%v", err)
	}
}
