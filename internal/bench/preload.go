package bench

import (
	"context"
	"fmt"
	"time"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// lots is what stands on the ledger before the load: live lots of vouchers that were cut into many.
type lots struct {
	want   int
	holder ledger.PartyID
}

const (
	// lotsPerOffer is how many lots one offer cuts one lot into, offersPerVoucher how many offers cut one voucher: all but the
	// first of them a lot that the first made.
	lotsPerOffer     = ledger.OfferPartsMax
	offersPerVoucher = (ledger.VoucherSplitsMax - 1) / (lotsPerOffer - 1)
	lotsPerVoucher   = 1 + offersPerVoucher*(lotsPerOffer-1)
	// lotFen is the smallest lot.
	lotFen ledger.Fen = 100_00
	// cutFen is the face of a voucher that is cut.
	cutFen = lotFen * lotsPerOffer * lotsPerOffer
)

// setUp makes at least as many lots as are wanted: one firm issues vouchers to another, who cuts them. One part of every cut is
// offered to a third, the rest are free.
func (l *lots) setUp(ctx context.Context, s *setup) error {
	banks, err := s.newBanks(ctx, 'P', 1)
	if err != nil {
		return err
	}
	circles, err := s.newCircles(ctx, 'L', 1, banks)
	if err != nil {
		return err
	}
	c := &circles[0]
	holder, third := &c.suppliers[0], &c.suppliers[1]
	l.holder = holder.id
	today := s.net.Genesis.Start.Date()
	sale := invoice(s.suite, s.id, holder.id, c.core.id, "lots-1", ledger.AmountMax, today)
	purchase := invoice(s.suite, s.id, third.id, holder.id, "lots-2", ledger.AmountMax, today)
	for _, step := range []struct {
		by   *firm
		body ledger.Body
	}{{holder, sale}, {third, purchase}} {
		err := s.submit(ctx, "register the invoices behind the lots", 1, func(int) (*ledger.SignedTx, error) {
			return s.tx([]ledger.Op{ledger.NewOp(step.by.id, step.body)}, step.by.maker, step.by.checker)
		})
		if err != nil {
			return err
		}
	}
	return l.cutVouchers(ctx, s, c, [2]suite.Hash{sale.Fingerprint, purchase.Fingerprint})
}

// issuesPerTx is how many vouchers one transaction issues.
const issuesPerTx = 16

// cutVouchers issues vouchers on the first invoice and cuts each into lots, of which one in every cut is offered on the second.
func (l *lots) cutVouchers(ctx context.Context, s *setup, c *circle, invoices [2]suite.Hash) error {
	count := (l.want + lotsPerVoucher - 1) / lotsPerVoucher
	ids := make([]suite.Hash, count)
	now := ledger.Time(time.Now().UnixMilli())
	issue := &ledger.VoucherIssue{Payee: l.holder, Face: cutFen, Due: now.Date() + voucherDays, Bank: c.bank.id, AcceptBy: now + openDays*ledger.Day,
		Evidence: []ledger.EvidenceUse{{Invoice: invoices[0], Amount: cutFen}}}
	err := s.submit(ctx, fmt.Sprintf("issue %d vouchers, %d in a transaction", count, issuesPerTx), (count+issuesPerTx-1)/issuesPerTx,
		func(i int) (*ledger.SignedTx, error) {
			low := i * issuesPerTx
			high := min(low+issuesPerTx, count)
			var ops []ledger.Op
			for range high - low {
				ops = append(ops, ledger.NewOp(c.core.id, issue))
			}
			tx, err := s.tx(ops, c.core.maker, c.core.checker)
			if err != nil {
				return nil, err
			}
			id := tx.Tx.ID(s.suite)
			for k := low; k < high; k++ {
				ids[k] = ledger.DerivedID(s.suite, id, k-low, 0)
			}
			return tx, nil
		})
	if err != nil {
		return err
	}
	holder, third := &c.suppliers[0], &c.suppliers[1]
	return s.submit(ctx, fmt.Sprintf("cut %d vouchers into %d lots each", count, lotsPerVoucher), count, func(i int) (*ledger.SignedTx, error) {
		ops := []ledger.Op{ledger.NewOp(holder.id, &ledger.VoucherAccept{Voucher: ids[i]})}
		for k := range offersPerVoucher {
			op := &ledger.VoucherOffer{Voucher: ids[i], AcceptBy: issue.AcceptBy, Parts: cutParts(lotFen, third.id, invoices[1])}
			if k == 0 {
				op.Parts = cutParts(lotFen*lotsPerOffer, third.id, invoices[1])
			} else {
				op.Lot = ledger.Fen(k-1) * lotFen * lotsPerOffer
			}
			ops = append(ops, ledger.NewOp(holder.id, op))
		}
		return s.tx(ops, holder.maker, holder.checker)
	})
}

// cutParts returns lotsPerOffer parts of one size, the last of which is offered to another.
func cutParts(size ledger.Fen, to ledger.PartyID, invoice suite.Hash) []ledger.OfferPart {
	parts := make([]ledger.OfferPart, lotsPerOffer)
	for i := range parts {
		parts[i] = ledger.OfferPart{Amount: size, Evidence: []ledger.EvidenceUse{}}
	}
	last := &parts[lotsPerOffer-1]
	last.To, last.Discharge = to, ledger.DischargeAtPayment
	last.Evidence = []ledger.EvidenceUse{{Invoice: invoice, Amount: size}}
	return parts
}

// count checks that the lots are there.
func (l *lots) count(j *vm.Journal) (string, error) {
	have := vm.Count(j, ledger.LotsOf(l.holder))
	if have < uint64(l.want) {
		return "", fmt.Errorf("%d lots stand on the ledger, not the %d that were to be made", have, l.want)
	}
	return fmt.Sprintf("%d lots stand on the ledger from before the load", have), nil
}
