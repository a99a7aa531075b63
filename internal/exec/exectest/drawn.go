package exectest

import (
	"fmt"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// drawn is what the whole state draws on invoices and on limits for financing.
type drawn struct {
	reserved, used map[suite.Hash]ledger.Fen
	financed       map[string]ledger.Fen // by key of the limit
}

func (d *drawn) add(into map[suite.Hash]ledger.Fen, uses []ledger.EvidenceUse) {
	for _, u := range uses {
		into[u.Invoice] += u.Amount
	}
}

// auditDrawn verifies that what is reserved and used of every invoice is what standing promises and transfers draw on it, and that
// every limit for financing is used for what its grantor has approved or holds under it: nothing leaks on any path.
func (w *World) auditDrawn() error {
	d := &drawn{reserved: map[suite.Hash]ledger.Fen{}, used: map[suite.Hash]ledger.Fen{}, financed: map[string]ledger.Fen{}}
	for key := range w.State {
		w.enter(d, []byte(key))
	}
	j := w.Journal()
	for key := range w.State {
		switch k := []byte(key); ledger.TableOf(k) {
		case ledger.TableInvoice:
			inv, _ := vm.Load[ledger.Invoice](j, k)
			if r, u := d.reserved[inv.Fingerprint], d.used[inv.Fingerprint]; r != inv.Reserved || u != inv.Used {
				return fmt.Errorf("audit: invoice %s has %d reserved and %d used, what stands draws %d and %d",
					w.Redact(inv.Fingerprint.String()), inv.Reserved, inv.Used, r, u)
			}
		case ledger.TableLimit:
			l, _ := vm.Load[ledger.Limit](j, k)
			if l.Purpose == ledger.LimitFinance && l.Used != d.financed[key] {
				return fmt.Errorf("audit: %s has used %d of its limit for %s, what it approved and holds is %d",
					w.names[string(l.Grantor)], l.Used, w.names[string(l.Core)], d.financed[key])
			}
		default:
		}
	}
	return nil
}

// enter adds what one record draws.
func (w *World) enter(d *drawn, key []byte) {
	j := w.Journal()
	finance := func(funder ledger.PartyID, voucher suite.Hash, amount ledger.Fen) {
		v, _ := vm.Load[ledger.Voucher](j, ledger.VoucherKey(voucher))
		d.financed[string(ledger.LimitKey(funder, v.Issuer, ledger.LimitFinance))] += amount
	}
	switch ledger.TableOf(key) {
	case ledger.TableVoucher:
		v, _ := vm.Load[ledger.Voucher](j, key)
		switch v.Status {
		case ledger.VoucherOffered:
			d.add(d.reserved, v.Evidence)
		case ledger.VoucherActive, ledger.VoucherPaid:
			d.add(d.used, v.Evidence)
		default:
		}
	case ledger.TableOffer:
		o, _ := vm.Load[ledger.Offer](j, key)
		switch o.Status {
		case ledger.OfferOpen:
			d.add(d.reserved, o.Evidence)
		case ledger.OfferAccepted:
			d.add(d.used, o.Evidence)
		default:
		}
	case ledger.TableRequest:
		if r, _ := vm.Load[ledger.Request](j, key); r.Limited && r.Status < ledger.RequestDisbursed {
			finance(r.Chosen, r.Voucher, r.To-r.From)
		}
	case ledger.TableLot:
		if l, _ := vm.Load[ledger.Lot](j, key); l.Limited {
			finance(l.Holder, l.Voucher, l.Amount())
		}
	default:
	}
}
