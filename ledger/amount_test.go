package ledger_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
)

// TestArithmeticAgainstBig compares amounts with integers of any size.
func TestArithmeticAgainstBig(t *testing.T) {
	most := new(big.Int).SetUint64(uint64(ledger.AmountMax))
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, uint64(ledger.AmountMax)), rapid.Uint64Range(0, 5))
		a, b, c := amount.Draw(t, "a"), amount.Draw(t, "b"), amount.Draw(t, "c")
		bigA, bigB, bigC := new(big.Int).SetUint64(a), new(big.Int).SetUint64(b), new(big.Int).SetUint64(c)
		check := func(what string, got ledger.Fen, err error, want *big.Int, limit *big.Int) {
			fits := want.Sign() >= 0 && want.Cmp(limit) <= 0
			if fits != (err == nil) || fits && want.Uint64() != uint64(got) {
				t.Fatalf("%s of %d, %d, %d = %d, %v; want %s", what, a, b, c, uint64(got), err, want)
			}
		}
		sum, err := ledger.Fen(a).Add(ledger.Fen(b))
		check("sum", sum, err, new(big.Int).Add(bigA, bigB), most)
		left, err := ledger.Fen(a).Sub(ledger.Fen(b))
		check("difference", left, err, new(big.Int).Sub(bigA, bigB), new(big.Int).SetUint64(^uint64(0)))
		share, err := ledger.Fen(a).MulDiv(b, c)
		if c == 0 {
			if err == nil {
				t.Fatalf("%d × %d / 0 = %d", a, b, share)
			}
			return
		}
		check("share", share, err, new(big.Int).Div(new(big.Int).Mul(bigA, bigB), bigC), new(big.Int).SetUint64(^uint64(0)))
	})
}

// TestInterestAgainstBig compares interest with exact arithmetic rounded half up.
func TestInterestAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		principal := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, uint64(ledger.AmountMax))).Draw(t, "principal")
		rate, days := rapid.Uint32().Draw(t, "rate"), rapid.Uint32().Draw(t, "days")
		if rapid.Bool().Draw(t, "sane") {
			rate, days = rate%(ledger.RateBpsMax+1), days%(ledger.TenorDaysMax+1)
		}
		basis := rapid.SampledFrom([]uint16{360, 365, 0, 364}).Draw(t, "basis")
		got, err := ledger.Interest(ledger.Fen(principal), rate, days, basis)
		if basis != 360 && basis != 365 {
			if err == nil {
				t.Fatalf("basis %d was accepted", basis)
			}
			return
		}
		// ⌊(2·p·r·d + den) / (2·den)⌋ is p·r·d / den rounded half up.
		den := new(big.Int).SetUint64(uint64(basis) * 10_000)
		want := new(big.Int).SetUint64(principal)
		want.Mul(want, new(big.Int).SetUint64(uint64(rate))).Mul(want, new(big.Int).SetUint64(uint64(days))).Lsh(want, 1)
		want.Add(want, den).Div(want, new(big.Int).Lsh(den, 1))
		fits := want.Cmp(new(big.Int).SetUint64(uint64(ledger.AmountMax))) <= 0
		if fits != (err == nil) || fits && want.Uint64() != uint64(got) {
			t.Fatalf("interest of %d at %d bps for %d days /%d = %d, %v; want %s", principal, rate, days, basis, uint64(got), err, want)
		}
	})
}

// TestDemoInterest: the figures of the demonstration and its ABS tranches.
func TestDemoInterest(t *testing.T) {
	for _, test := range []struct {
		principal  ledger.Fen
		rate, days uint32
		basis      uint16
		want       string
	}{
		{200_000_000, 320, 93, 360, "16,533.33"},
		{100_000_000, 380, 89, 360, "9,394.44"},
		{41_530_050, 345, 85, 360, "3,382.97"},
		{9_000_000_000, 260, 90, 365, "576,986.30"},
		{700_000_000, 380, 90, 365, "65,589.04"},
		{18, 10_000, 1, 360, "0.00"},  // 0.05 fen
		{180, 10_000, 1, 360, "0.01"}, // half a fen goes up
		{179, 10_000, 1, 360, "0.00"},
	} {
		got, err := ledger.Interest(test.principal, test.rate, test.days, test.basis)
		if err != nil || got.String() != test.want {
			t.Errorf("interest of %s at %d bps for %d days /%d = %s, %v; want %s", test.principal, test.rate, test.days, test.basis, got,
				err, test.want)
		}
	}
	if got, err := ledger.Interest(ledger.AmountMax, ledger.RateBpsMax, ledger.TenorDaysMax, 360); err != nil {
		t.Errorf("the highest interest there can be, %s, overflows: %v", got, err)
	}
}

func TestYuan(t *testing.T) {
	for s, want := range map[string]ledger.Fen{
		"0": 0, "0.01": 1, "1": 100, "1.5": 150, "12,000,000.00": 1_200_000_000, "12000000": 1_200_000_000, "999": 99_900,
		"1,000": 100_000, "007": 700, "10,000,000,000,000.00": ledger.AmountMax,
	} {
		if got, err := ledger.ParseYuan(s); err != nil || got != want {
			t.Errorf("%q reads as %d fen, %v; want %d", s, uint64(got), err, want)
		}
	}
	for _, s := range []string{
		"", ".", ".5", "1.", "1.234", "-1", "+1", "1,00", "1,0000", ",000", "1,000,", "1e3", "1 000", "10,000,000,000,000.01", "１",
		"99999999999999999999", "0x10", "1_000", "1.0.0", "1,000.0,0", "NaN",
	} {
		if got, err := ledger.ParseYuan(s); err == nil {
			t.Errorf("%q was read as %s", s, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := ledger.Fen(rapid.Uint64Range(0, uint64(ledger.AmountMax)).Draw(t, "fen"))
		if got, err := ledger.ParseYuan(a.String()); err != nil || got != a {
			t.Fatalf("%d prints as %s and reads as %d, %v", uint64(a), a, uint64(got), err)
		}
		text, err := a.MarshalText()
		var back ledger.Fen
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || back != a {
			t.Fatalf("%d is %s as text and %d again, %v", uint64(a), text, uint64(back), err)
		}
	})
	var a ledger.Fen
	if err := a.UnmarshalText([]byte("1000000000000001")); err == nil {
		t.Error("more than the largest amount was read")
	}
}
