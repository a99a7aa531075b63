package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"aval/ledger"
	"aval/suite"
)

// documentBytesMax bounds a document whose fingerprint is taken.
const documentBytesMax = 256 << 20

// parseHash reads the 64 hexadecimal digits of an id.
func parseHash(text string) (h suite.Hash, err error) {
	if err := h.UnmarshalText([]byte(text)); err != nil {
		return h, usage("%q is not an id of 64 hexadecimal digits", text)
	}
	return h, nil
}

// parseAmount reads yuan.
func parseAmount(text string) (ledger.Fen, error) {
	a, err := ledger.ParseYuan(text)
	if err != nil {
		return 0, &exitError{code: exitUsage, err: err}
	}
	return a, nil
}

// parseDate reads YYYY-MM-DD.
func parseDate(text string) (ledger.Date, error) {
	d, err := ledger.ParseDate(text)
	if err != nil {
		return 0, &exitError{code: exitUsage, err: err}
	}
	return d, nil
}

// parseMoment reads a moment of ledger time: YYYY-MM-DDTHH:MM[:SS] at UTC+8, a date, which stands for its end, or a duration
// from the ledger's now.
func (s *session) parseMoment(ctx context.Context, text string) (ledger.Time, error) {
	if d, err := parseSpan(text); err == nil {
		now, err := s.ledgerNow(ctx)
		return now + d, err
	}
	if d, err := ledger.ParseDate(text); err == nil {
		return (d + 1).Start(), nil
	}
	if !strings.ContainsRune(text, ':') {
		return 0, usage("%q is neither a time such as 2026-09-15T09:00, a date, nor a duration such as 72h or 7d", text)
	}
	return parseClock(text)
}

// parseClock reads YYYY-MM-DDTHH:MM[:SS] at UTC+8.
func parseClock(text string) (ledger.Time, error) {
	date, clock, found := strings.Cut(strings.Replace(text, " ", "T", 1), "T")
	d, err := ledger.ParseDate(date)
	if err != nil || !found {
		return 0, usage("%q is not a time such as 2026-09-15T09:00", text)
	}
	layout := "15:04"
	if strings.Count(clock, ":") == 2 {
		layout = "15:04:05"
	}
	t, err := time.Parse(layout, clock)
	if err != nil {
		return 0, usage("%q: the time of day is not of the form HH:MM or HH:MM:SS", text)
	}
	return d.Start() + ledger.Time(t.Hour())*ledger.Hour + ledger.Time(t.Minute())*ledger.Minute + ledger.Time(t.Second())*ledger.Second, nil
}

// parseSpan reads a duration: days as 7d, else as Go writes them, rounded up to milliseconds.
func parseSpan(text string) (ledger.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return ledger.Time(n) * ledger.Day, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usage("%q is not a duration such as 72h or 7d", text)
	}
	return ledger.Time((d + time.Millisecond - 1) / time.Millisecond), nil // up, because 0 often stands for none
}

// parseRate reads a yearly rate in percent with at most two decimals as basis points.
func parseRate(text string) (uint32, error) {
	fen, err := ledger.ParseYuan(strings.TrimSpace(strings.TrimSuffix(text, "%")))
	if err != nil || fen > ledger.RateBpsMax {
		return 0, usage("%q is not a yearly rate in percent such as 3.20, at most %d.%02d", text, ledger.RateBpsMax/100, ledger.RateBpsMax%100)
	}
	return uint32(fen), nil
}

// document returns the fingerprint of a document: 64 hexadecimal digits as they are, else the hash of the file of that name.
func (s *session) document(text string) (h suite.Hash, err error) {
	if len(text) == 2*suite.HashSize && h.UnmarshalText([]byte(text)) == nil {
		return h, nil
	}
	if err := s.loadGenesis(); err != nil {
		return h, err
	}
	b, err := readFile(text, documentBytesMax)
	if err != nil {
		return h, fmt.Errorf("document: %w; name a file, or give its fingerprint of 64 hexadecimal digits", err)
	}
	return s.suite.Hash(ledger.DomainDocument, b), nil
}

// invoice returns the fingerprint of an invoice of seller: 64 hexadecimal digits as they are, else that of the number.
func (s *session) invoice(seller ledger.PartyID, text string) (h suite.Hash, err error) {
	if len(text) == 2*suite.HashSize && h.UnmarshalText([]byte(text)) == nil {
		return h, nil
	}
	if err := s.loadGenesis(); err != nil {
		return h, err
	}
	if ledger.CanonicalInvoiceNumber(text) == "" {
		return h, usage("invoice number %q has neither letters nor digits", text)
	}
	h = ledger.InvoiceFingerprint(s.suite, s.genesis.NetworkID(s.suite), seller, text)
	if s.invoices == nil {
		s.invoices = map[suite.Hash]string{}
	}
	s.invoices[h] = text
	return h, nil
}

// parseUses reads NUMBER=AMOUNT pairs, where NUMBER is an invoice's number or fingerprint. A lone one without amount stands
// for total.
func (s *session) parseUses(seller ledger.PartyID, total ledger.Fen, pairs []string) ([]ledger.EvidenceUse, error) {
	out := []ledger.EvidenceUse{}
	for _, pair := range pairs {
		number, amount := pair, total
		if i := strings.LastIndexByte(pair, '='); i >= 0 {
			var err error
			if amount, err = parseAmount(pair[i+1:]); err != nil {
				return nil, err
			}
			number = pair[:i]
		} else if len(pairs) > 1 {
			return nil, usage("%q: of several invoices each needs its amount, as INVOICE=AMOUNT", pair)
		}
		fp, err := s.invoice(seller, number)
		if err != nil {
			return nil, err
		}
		out = append(out, ledger.EvidenceUse{Invoice: fp, Amount: amount})
	}
	return out, nil
}

// parsePolicy reads CLASS=WORD+WORD…, where each word asks for one person: trade=maker+checker.
func parsePolicy(text string) (ledger.Policy, error) {
	class, signers, _ := strings.Cut(text, "=")
	p := ledger.Policy{}
	for c := ledger.ClassAdmin; c <= ledger.ClassOrder; c++ {
		if c.String() == class {
			p.Class = c
		}
	}
	if p.Class == 0 {
		return p, usage("policy %q: the class is one of admin, money, trade, finance, order", text)
	}
	for _, word := range strings.Split(signers, "+") {
		switch word {
		case "maker":
			p.Makers++
		case "checker":
			p.Checkers++
		case "admin":
			p.Admins++
		default:
			return p, usage("policy %q: write who must sign as maker, checker or admin joined by +", text)
		}
	}
	if err := p.Check(); err != nil {
		return p, &exitError{code: exitUsage, err: err}
	}
	return p, nil
}

// pick returns the value that a word stands for.
func pick[T any](text string, names []string, values []T) (T, error) {
	for i, name := range names {
		if name == text {
			return values[i], nil
		}
	}
	var zero T
	return zero, usage("%q is none of %s", text, strings.Join(names, ", "))
}
