package demo

import (
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
)

func TestOrganisationCodesAreValid(t *testing.T) {
	// The example of GB 11714-1997, annex A: D2143569-X.
	if c, err := orgCheck("D2143569"); err != nil || c != "X" {
		t.Errorf("check character of D2143569 is %q, %v", c, err)
	}
	seen := map[ledger.PartyID]string{}
	for _, cast := range [][]organisation{demoCast, devCast} {
		if cast[0].alias != authority {
			t.Errorf("the first of a cast is %s, not the authority", cast[0].alias)
		}
		for _, o := range cast {
			id, err := o.id()
			if err == nil {
				err = id.Check()
			}
			if err != nil || seen[id] != "" {
				t.Errorf("%s has code %q, also of %q: %v", o.name, id, seen[id], err)
			}
			seen[id] = o.name
			if o.bank != "" && !roleOf(cast, o.bank).Has(ledger.RoleBank) {
				t.Errorf("%s holds money of %s, which is no bank", o.name, o.bank)
			}
		}
	}
	for _, bad := range []string{"", "AVAL000", "abcdefgh"} {
		if _, err := orgCheck(bad); err == nil {
			t.Errorf("organisation code %q is accepted", bad)
		}
	}
}

func roleOf(cast []organisation, alias string) ledger.Role {
	for _, o := range cast {
		if o.alias == alias {
			return o.roles
		}
	}
	return 0
}

// TestCaseAddsUp works the ten leaf lots out of the splits and financings and compares them with the list, and every sum with the
// invoices.
func TestCaseAddsUp(t *testing.T) {
	holders := map[ledger.Fen]string{}
	ends := map[ledger.Fen]ledger.Fen{0: face}
	holders[0] = ruida
	for _, s := range splits {
		at, end := s.from, ends[s.from]
		if holders[s.from] != s.by {
			t.Errorf("%s splits the lot at %s, which is held by %q", s.by, s.from, holders[s.from])
		}
		for _, part := range s.parts {
			holders[at], ends[at] = s.by, at+part.amount
			if part.to != "" {
				holders[at] = part.to
			}
			at += part.amount
		}
		if at != end {
			t.Errorf("the parts of %s end at %s, its lot at %s", s.by, at, end)
		}
	}
	for _, f := range financings {
		if holders[f.from] != f.holder || ends[f.from] != f.to {
			t.Errorf("%s sells [%s, %s), which is no lot of its", f.holder, f.from, f.to)
		}
		holders[f.from] = f.funder
		if days := dayDue - f.day; uint32(days) != f.days || f.interest+f.net != f.to-f.from {
			t.Errorf("financing of %s: %d days, interest %s, net %s", f.day, days, f.interest, f.net)
		}
	}
	at := ledger.Fen(0)
	for i, l := range leaves {
		if holders[at] != l.holder || ends[at] != at+l.amount {
			t.Errorf("leaf %d at %s is %s of %s; the splits give it to %s until %s", i+1, at, l.amount, l.holder, holders[at], ends[at])
		}
		at += l.amount
	}
	invoices := sum(sales[:3], func(s *sale) ledger.Fen { return s.face })
	if at != face || invoices != face || len(leaves) != 10 || len(holders) != len(leaves) {
		t.Errorf("%d leaves sum to %s, three invoices to %s, the face is %s", len(leaves), at, invoices, face)
	}
	if day := dayDue - dayOpen; day != 120 {
		t.Errorf("the voucher runs %d days", day)
	}
}

func TestExpectedStatement(t *testing.T) {
	after := expectedStatement(true)
	for alias, want := range map[string]ledger.Fen{huachen: 2_920_000_00, ruida: 4_500_000_00, yongcheng: 2_380_000_00, hengxin: 2_693_466_67,
		jingwei: 1_125_305_06, baoli: 640_000_00, lanxi: 411_917_53, hengtong: 3_009_394_44} {
		if got := after.balances[alias]; got != want {
			t.Errorf("%s ends with %s, expected %s", alias, got, want)
		}
	}
	if after.owed != 2_190_000_00 || len(after.balances) != 8 {
		t.Errorf("Dongjiang owes %s; %d accounts", after.owed, len(after.balances))
	}
	if before := expectedStatement(false); before.owed != 0 || before.balances[ruida] != 0 || before.balances[jingwei] != 990_605_56 {
		t.Errorf("before clearing: %+v", before)
	}
}

func TestInterestAgainstTheLedgers(t *testing.T) {
	for _, f := range financings {
		if got := interestOf(f.to-f.from, f.rateBps, f.days); got != f.interest {
			t.Errorf("%s at %s for %d days: %s, expected %s", f.to-f.from, percent(f.rateBps), f.days, got, f.interest)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		principal := ledger.Fen(rapid.Uint64Range(0, uint64(ledger.AmountMax)).Draw(t, "principal"))
		rate := rapid.Uint32Range(0, ledger.RateBpsMax).Draw(t, "rate")
		days := rapid.Uint32Range(0, ledger.TenorDaysMax).Draw(t, "days")
		want, err := ledger.Interest(principal, rate, days, 360)
		if err != nil {
			t.Fatal(err)
		}
		if got := interestOf(principal, rate, days); got != want {
			t.Fatalf("%s, the ledger says %s", got, want)
		}
	})
}
