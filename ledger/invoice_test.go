package ledger_test

import (
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
	"aval/suite"
)

// TestCanonicalInvoiceNumber: the ways in which people write one number fold into one; different numbers stay different.
func TestCanonicalInvoiceNumber(t *testing.T) {
	for number, want := range map[string]string{
		"": "", "INV-2026-0007": "1NV20260007", "inv 2026/0007": "1NV20260007", "INV－２０２６－０００７": "1NV20260007", "lNV2O26OOO7": "1NV20260007",
		"发票 No. 12": "发票N012", "①②": "12", "ﬁ-l": "F11", "--": "", "\u00a0A\u200b": "A", "0O0o": "0000", "I1lL": "1111",
	} {
		if got := ledger.CanonicalInvoiceNumber(number); got != want {
			t.Errorf("%q folds into %q, not %q", number, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		once := ledger.CanonicalInvoiceNumber(rapid.String().Draw(t, "number"))
		if twice := ledger.CanonicalInvoiceNumber(once); twice != once {
			t.Fatalf("%q folds again into %q", once, twice)
		}
	})
}

func TestInvoiceTags(t *testing.T) {
	s, err := suite.ByID(suite.SM)
	if err != nil {
		t.Fatal(err)
	}
	network := suite.Hash{1}
	base := ledger.InvoiceFingerprint(s, network, "seller", "INV-1O")
	if base != ledger.InvoiceFingerprint(s, network, "seller", "inv 10") {
		t.Error("O and 0 make two invoices")
	}
	for name, other := range map[string]suite.Hash{
		"number":  ledger.InvoiceFingerprint(s, network, "seller", "INV-11"),
		"seller":  ledger.InvoiceFingerprint(s, network, "other", "INV-10"),
		"network": ledger.InvoiceFingerprint(s, suite.Hash{2}, "seller", "INV-10"),
	} {
		if other == base {
			t.Errorf("another %s gives the same fingerprint", name)
		}
	}
	twin := ledger.InvoiceTwin(s, network, "seller", "buyer", 100, 7)
	for name, other := range map[string]suite.Hash{
		"buyer":   ledger.InvoiceTwin(s, network, "seller", "other", 100, 7),
		"amount":  ledger.InvoiceTwin(s, network, "seller", "buyer", 101, 7),
		"date":    ledger.InvoiceTwin(s, network, "seller", "buyer", 100, 8),
		"network": ledger.InvoiceTwin(s, suite.Hash{2}, "seller", "buyer", 100, 7),
	} {
		if other == twin {
			t.Errorf("another %s gives the same tag", name)
		}
	}
}
