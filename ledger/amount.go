package ledger

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Fen is an amount of money in fen, 1/100 yuan. Amounts are never negative.
type Fen uint64

// ErrOverflow reports arithmetic that leaves the range of an amount.
var ErrOverflow = errors.New("amount overflows")

// Add returns a + b, or ErrOverflow if the sum exceeds AmountMax.
func (a Fen) Add(b Fen) (Fen, error) {
	sum, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry != 0 || sum > uint64(AmountMax) {
		return 0, ErrOverflow
	}
	return Fen(sum), nil
}

// Sub returns a − b, or ErrOverflow if b exceeds a.
func (a Fen) Sub(b Fen) (Fen, error) {
	if b > a {
		return 0, ErrOverflow
	}
	return a - b, nil
}

// MulDiv returns a × num / den rounded down, computed in 128 bits, or ErrOverflow.
func (a Fen) MulDiv(num, den uint64) (Fen, error) {
	hi, lo := bits.Mul64(uint64(a), num)
	if den == 0 || hi >= den {
		return 0, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, den)
	return Fen(q), nil
}

// Interest returns principal × rate × days / basis, rounded half up to the fen, for a rate in basis points
// per year and a day-count basis of 360 or 365 (actual/360, actual/365 fixed).
func Interest(principal Fen, rateBps uint32, days uint32, basis uint16) (Fen, error) {
	if basis != 360 && basis != 365 {
		return 0, fmt.Errorf("day-count basis %d is neither 360 nor 365", basis)
	}
	den := uint64(basis) * 10_000
	hi, lo := bits.Mul64(uint64(principal), uint64(rateBps)*uint64(days))
	lo, carry := bits.Add64(lo, den/2, 0)
	hi += carry
	if hi >= den {
		return 0, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, den)
	if q > uint64(AmountMax) {
		return 0, ErrOverflow
	}
	return Fen(q), nil
}

// String returns a in yuan with grouped thousands and two decimals, such as 12,000,000.00.
func (a Fen) String() string {
	yuan := strconv.FormatUint(uint64(a/100), 10)
	var sb strings.Builder
	for i, r := range yuan {
		if i > 0 && (len(yuan)-i)%3 == 0 {
			sb.WriteByte(',')
		}
		sb.WriteRune(r)
	}
	return fmt.Sprintf("%s.%02d", sb.String(), a%100)
}

// ParseYuan reads an amount in yuan with at most two decimals and optional thousands separators.
func ParseYuan(s string) (Fen, error) {
	whole, frac, dotted := strings.Cut(s, ".")
	if err := checkGroups(whole); err != nil {
		return 0, fmt.Errorf("amount %q: %w", s, err)
	}
	whole = strings.ReplaceAll(whole, ",", "")
	if len(frac) > 2 || (dotted && frac == "") {
		return 0, fmt.Errorf("amount %q must have one or two decimals after the point", s)
	}
	for len(frac) < 2 {
		frac += "0"
	}
	for _, r := range whole + frac {
		if r < '0' || r > '9' {
			return 0, fmt.Errorf("amount %q is not a number of yuan such as 12,000,000.00", s)
		}
	}
	if whole == "" {
		return 0, fmt.Errorf("amount %q is not a number of yuan such as 12,000,000.00", s)
	}
	n, err := strconv.ParseUint(whole+frac, 10, 64)
	if err != nil || n > uint64(AmountMax) {
		return 0, fmt.Errorf("amount %q is beyond the most, %s", s, AmountMax)
	}
	return Fen(n), nil
}

// checkGroups refuses separators that do not stand before groups of exactly three digits.
func checkGroups(whole string) error {
	groups := strings.Split(whole, ",")
	for i, g := range groups {
		if len(groups) > 1 && (i > 0 && len(g) != 3 || i == 0 && (len(g) == 0 || len(g) > 3)) {
			return errors.New("thousands separators must stand before groups of three digits")
		}
	}
	return nil
}

// MarshalText returns a in fen, as decimal digits.
func (a Fen) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(a), 10), nil }

// UnmarshalText reads decimal digits of fen.
func (a *Fen) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err == nil && n > uint64(AmountMax) {
		return ErrOverflow
	}
	*a = Fen(n)
	return err
}
