package ledger

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"aval/codec"
	"aval/suite"
)

// InvoiceScheme says how an invoice's fingerprint was made, so that a blinded scheme can follow.
type InvoiceScheme uint8

// InvoicePlain is the suite's hash of network, seller and canonicalised number.
const InvoicePlain InvoiceScheme = 1

// CanonicalInvoiceNumber folds the ways in which one number is written: NFKC, upper case, O→0, I and L→1,
// everything but letters and digits dropped.
func CanonicalInvoiceNumber(number string) string {
	var sb strings.Builder
	for _, r := range strings.ToUpper(norm.NFKC.String(number)) {
		switch {
		case r == 'O':
			sb.WriteByte('0')
		case r == 'I' || r == 'L':
			sb.WriteByte('1')
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			sb.WriteRune(r)
		}
	}
	return sb.String()
}

// InvoiceFingerprint identifies an invoice on one network under InvoicePlain.
func InvoiceFingerprint(s suite.Suite, network suite.Hash, seller PartyID, number string) suite.Hash {
	return s.Hash(DomainInvoice, network[:], []byte(seller), []byte(CanonicalInvoiceNumber(number)))
}

// InvoiceTwin tags invoices that agree in seller, buyer, amount and date: a second one is announced as a possible
// duplicate under another number.
func InvoiceTwin(s suite.Suite, network suite.Hash, seller, buyer PartyID, face Fen, issued Date) suite.Hash {
	return s.Hash(DomainInvoiceTwin, network[:], []byte(seller), []byte(buyer), codec.MustMarshal(face), codec.MustMarshal(issued))
}
