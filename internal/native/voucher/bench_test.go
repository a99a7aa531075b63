package voucher

import (
	"testing"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// BenchmarkFarLot finds a point behind as many lots as a voucher may be split into.
func BenchmarkFarLot(b *testing.B) {
	w := newWorld(b)
	id := w.voucher(b, 100_000, 30)
	at := ledger.Fen(0)
	for n := 1; n < ledger.VoucherSplitsMax; {
		parts := min(ledger.OfferPartsMax, ledger.VoucherSplitsMax-n+1)
		w.as(b, "ann", func(c *vm.Context) error {
			op := &ledger.VoucherOffer{Voucher: id, Lot: at, AcceptBy: c.Time + 1}
			for range parts - 1 {
				op.Parts = append(op.Parts, ledger.OfferPart{Amount: 2})
			}
			l := get[ledger.Lot](w, ledger.LotKey(id, at))
			rest := l.Amount() - 2*ledger.Fen(parts-1)
			op.Parts = append(op.Parts, ledger.OfferPart{Amount: rest, To: "ben", Discharge: ledger.DischargeAtPayment,
				Evidence: []ledger.EvidenceUse{{Invoice: suite.Hash{1}, Amount: rest}}})
			return VoucherOffer(c, op)
		})
		w.now++
		n, at = n+parts-1, at+2*ledger.Fen(parts-1)
	}
	v := get[ledger.Voucher](w, ledger.VoucherKey(id))
	j := vm.NewJournal(w)
	for b.Loop() {
		lotContaining(j, &v, 99_999)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(v.Lots), "ns/lot")
}
