package ledger_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
	"aval/suite"
)

const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// TestUSCC: codes of well-known bodies as published, and every single wrong character and swap of neighbours.
func TestUSCC(t *testing.T) {
	for _, s := range []string{"91350100M000100Y43", "91310000775785552L"} {
		if err := ledger.PartyID(s).Check(); err != nil {
			t.Errorf("%v", err)
		}
		everyError(t, s, usccAlphabet)
	}
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.StringOfN(rapid.SampledFrom([]rune(usccAlphabet)), 17, 17, 17).Draw(t, "first")
		id, err := ledger.CompleteUSCC(first)
		if err != nil || id.Check() != nil || len(id) != 18 {
			t.Fatalf("%s completes to %s, %v, %v", first, id, err, id.Check())
		}
		// GB 32100-2015: the weighted sum over all 18 characters is a multiple of 31, the last weighing 1.
		sum, weight := 0, 1
		for _, c := range id[:17] {
			sum += strings.IndexRune(usccAlphabet, c) * weight
			weight = weight * 3 % 31
		}
		if (sum+strings.IndexByte(usccAlphabet, id[17]))%31 != 0 {
			t.Fatalf("%s does not sum to a multiple of 31", id)
		}
	})
	for _, s := range []string{"9131000077578555I", "short", "91310000775785552L", strings.Repeat("0", 16) + "I", strings.Repeat("é", 9)} {
		if id, err := ledger.CompleteUSCC(s); err == nil {
			t.Errorf("%q was completed to %s", s, id)
		}
	}
}

// everyError checks that one wrong character, or two neighbours swapped, is found.
func everyError(t *testing.T, s, alphabet string) {
	t.Helper()
	wrongCharacters(t, s, alphabet)
	for i := 1; i < len(s); i++ {
		if wrong := s[:i-1] + s[i:i+1] + s[i-1:i] + s[i+1:]; s[i] != s[i-1] && ledger.PartyID(wrong).Check() == nil {
			t.Errorf("%s with %d and %d swapped passes", s, i, i+1)
		}
	}
}

// wrongCharacters checks that one character of the alphabet put in place of another of it is found.
func wrongCharacters(t *testing.T, s, alphabet string) {
	t.Helper()
	for i := range s {
		for _, c := range alphabet {
			wrong := s[:i] + string(c) + s[i+1:]
			if strings.Contains(alphabet, s[i:i+1]) && wrong != s && ledger.PartyID(wrong).Check() == nil {
				t.Errorf("%s with %c at %d passes", s, c, i+1)
			}
		}
	}
}

// TestLEI: identifiers as published, and the twin spellings that MOD 97-10 alone would let pass.
func TestLEI(t *testing.T) {
	for _, s := range []string{"5493001KJTIIGC8Y1R12", "529900T8BM49AURSDO55", "506700GE1G29325QX363"} {
		if err := ledger.PartyID(s).Check(); err != nil {
			t.Errorf("%v", err)
		}
		// MOD 97-10 promises nothing about a letter in place of a digit: a letter counts as two.
		wrongCharacters(t, s, "0123456789")
		wrongCharacters(t, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	}
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.StringOfN(rapid.SampledFrom([]rune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")), 18, 18, 18).Draw(t, "first")
		var digits strings.Builder
		for _, c := range first {
			v := strings.IndexRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", c)
			fmt.Fprint(&digits, v)
		}
		n, _ := new(big.Int).SetString(digits.String()+"00", 10)
		check := 98 - new(big.Int).Mod(n, big.NewInt(97)).Int64() // ISO 7064: 02 to 98
		valid := 0
		for i := range int64(100) {
			if err := ledger.PartyID(fmt.Sprintf("%s%02d", first, i)).Check(); (err == nil) != (i == check) {
				t.Fatalf("%s%02d: %v; the check digits are %02d", first, i, err, check)
			} else if err == nil {
				valid++
			}
		}
		if valid == 1 {
			passed++
		}
	})
	if passed == 0 {
		t.Error("no identifier passed")
	}
	for _, s := range []string{"", "5493001KJTIIGC8Y1R1", "5493001kJTIIGC8Y1R12", "5493001KJTIIGC8Y1RAB", "5493001KJTIIGC8Y1R1２", strings.Repeat("x", 1000)} {
		if err := ledger.PartyID(s).Check(); err == nil {
			t.Errorf("%q passes", s)
		}
	}
}

func TestScopes(t *testing.T) {
	parents := map[ledger.Scope]ledger.Scope{
		"/": "/", "/auto": "/", "/auto/huachen": "/auto", "/a/b/c/d/e/f/g/h": "/a/b/c/d/e/f/g", "/0-9": "/",
	}
	for s, want := range parents {
		if err := s.Check(); err != nil || s.Parent() != want {
			t.Errorf("%s: parent %s, %v", s, s.Parent(), err)
		}
	}
	for _, s := range []ledger.Scope{
		"", "auto", "/auto/", "//", "/Auto", "/a b", "/a//b", "/a.b", "/汽车", "/a/b/c/d/e/f/g/h/i", ledger.Scope("/" + strings.Repeat("a", 128)),
	} {
		if s.Check() == nil {
			t.Errorf("%q passes", s)
		}
	}
}

func TestBitNames(t *testing.T) {
	for bits := range ledger.Role(256) {
		got, err := ledger.ParseRole(bits.String())
		if bits == 0 {
			if err == nil {
				t.Error("no role was read as some")
			}
			continue
		}
		if err != nil || got != bits || !bits.Known() {
			t.Errorf("%s reads as %s, %v", bits, got, err)
		}
	}
	for bits := ledger.Capability(1); bits < 16; bits++ {
		if got, err := ledger.ParseCapability(bits.String()); err != nil || got != bits || !bits.Known() {
			t.Errorf("%s reads as %s, %v", bits, got, err)
		}
	}
	if ledger.Role(256).Known() || ledger.Capability(16).Known() {
		t.Error("a bit without a name is known")
	}
	if _, err := ledger.ParseRole("bank,king"); err == nil {
		t.Error("king is a role")
	}
	if r := ledger.RoleBank | ledger.RoleCourt; !r.Has(ledger.RoleBank) || r.Has(ledger.RoleBank|ledger.RoleCore) {
		t.Error("Has")
	}
}

func TestPolicies(t *testing.T) {
	for class := range ledger.Class(10) {
		settable := class >= ledger.ClassAdmin && class <= ledger.ClassOrder
		if err := ledger.DefaultPolicy(class).Check(); (err == nil) != settable {
			t.Errorf("a policy for %s: %v", class, err)
		}
	}
	for _, p := range []ledger.Policy{
		{Class: ledger.ClassMoney}, {Class: ledger.ClassMoney, Makers: 9}, {Class: ledger.ClassMoney, Makers: 255, Checkers: 255, Admins: 255},
	} {
		if p.Check() == nil {
			t.Errorf("%+v passes", p)
		}
	}
}

// TestCredentials: an issuer's signature covers every field.
func TestCredentials(t *testing.T) {
	for _, s := range suite.All() {
		t.Run(s.Name(), func(t *testing.T) {
			w := newWorld(t, s.Name(), ledger.ClockReal)
			issuer := w.signers[string(w.epochs[0][0].Key)]
			good, err := ledger.SignCredential(issuer, ledger.Credential{
				Network: suite.Hash{1}, Party: "p", Key: suite.PublicKey{1}, Person: ledger.PersonCommitment(s, []byte("secret"), "Li", "p"), NotAfter: 5,
			})
			if err != nil || !good.Verify(s) {
				t.Fatalf("%v, %v", good.Verify(s), err)
			}
			for name, change := range map[string]func(c *ledger.Credential){
				"network": func(c *ledger.Credential) { c.Network[0] ^= 1 },
				"issuer":  func(c *ledger.Credential) { c.Issuer = w.epochs[0][1].Key },
				"party":   func(c *ledger.Credential) { c.Party = "q" },
				"key":     func(c *ledger.Credential) { c.Key = suite.PublicKey{2} },
				"person":  func(c *ledger.Credential) { c.Person[31] ^= 1 },
				"end":     func(c *ledger.Credential) { c.NotAfter++ },
				"none":    func(c *ledger.Credential) { c.Sig = nil },
			} {
				bad := good
				if change(&bad); bad.Verify(s) {
					t.Errorf("the signature does not cover: %s", name)
				}
			}
		})
	}
}

// TestPersonCommitment: the same person is the same in one party, and tells nothing across parties or issuers.
func TestPersonCommitment(t *testing.T) {
	s, err := suite.ByID(suite.Intl)
	if err != nil {
		t.Fatal(err)
	}
	base := ledger.PersonCommitment(s, []byte("secret"), "Li", "p")
	if base != ledger.PersonCommitment(s, []byte("secret"), "Li", "p") {
		t.Error("it does not repeat")
	}
	for name, other := range map[string]suite.Hash{
		"another person": ledger.PersonCommitment(s, []byte("secret"), "Wang", "p"),
		"another party":  ledger.PersonCommitment(s, []byte("secret"), "Li", "q"),
		"another issuer": ledger.PersonCommitment(s, []byte("other"), "Li", "p"),
		"shifted":        ledger.PersonCommitment(s, []byte("secretL"), "i", "p"),
	} {
		if other == base {
			t.Errorf("%s gives the same", name)
		}
	}
}
