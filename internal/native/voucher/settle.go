package voucher

import (
	"aval/internal/invariant"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// settler does the due-date work of one block.
type settler struct {
	*vm.Context
	// left is how many lots may still be worked on in this block; the last voucher may take it below 0.
	left int
	// holds counts the holds made, for their ids.
	holds int
}

// SettleDue does the due-date work that waits on days up to today, day by day, within DueLotsPerBlock lots; workLeft says that some
// remains. It runs before the transactions of every block. An error means a broken invariant or store, never bad input.
func SettleDue(c *vm.Context) (workLeft bool, err error) {
	return settleDue(c, ledger.DueLotsPerBlock)
}

func settleDue(c *vm.Context, lots int) (workLeft bool, err error) {
	s := &settler{Context: c, left: lots}
	for {
		day, ok := turn(c)
		if !ok {
			return false, nil
		}
		if s.left <= 0 {
			return true, nil
		}
		if err := s.work(day); err != nil {
			return false, err
		}
	}
}

// work does the first item of a day's queue, or as much of it as this block admits.
func (s *settler) work(day ledger.Date) error {
	item := front(s.Context, day)
	if item.Voucher.IsZero() {
		if done, err := s.pass(day, item); err != nil || !done {
			return err
		}
	} else if err := s.payByItself(item.Voucher); err != nil {
		return err
	}
	pop(s.Context, day)
	return nil
}

// payByItself pays what has been set aside for one voucher after its pool's pass.
func (s *settler) payByItself(id suite.Hash) error {
	v := s.voucher(id)
	s.left--
	v.Queued = false
	if v.Status == ledger.VoucherActive && v.Funded > 0 {
		return s.pay(&v)
	}
	store(s.Context, &v)
	return nil
}

func (s *settler) voucher(id suite.Hash) ledger.Voucher {
	v, ok := vm.Load[ledger.Voucher](s.Journal, ledger.VoucherKey(id))
	invariant.Check(ok, "voucher %s waits for payment and does not exist", id)
	return v
}

// pass goes on with the pass over a pool's vouchers. Each is given its share of what the pool held when the pass began, in proportion to
// its need, and paid. done says that nothing is left to share out.
func (s *settler) pass(day ledger.Date, item ledger.DueItem) (done bool, err error) {
	key, list := ledger.DayPoolKey(item.Issuer, item.Bank, day), ledger.PoolOf(item.Issuer, item.Bank, day)
	p, ok := vm.Load[ledger.DayPool](s.Journal, key)
	invariant.Check(ok && p.Queued && p.Funds <= p.Need, "pool of %s on %s: %+v", item.Issuer, day, p)
	if !p.Passing {
		p.Passing, p.Next, p.PassFunds, p.PassNeed = true, 0, p.Funds, p.Need
	}
	for s.left > 0 && p.Next < vm.Count(s.Journal, list) {
		v := s.voucher(suite.Hash(vm.Item(s.Journal, list, p.Next)))
		s.left--
		if v.Status == ledger.VoucherActive {
			v.Funded += takeShare(&p, need(&v))
			if err := s.pay(&v); err != nil {
				return false, err
			}
		}
		if v.Status == ledger.VoucherActive {
			p.Next++
		} else {
			vm.Remove(s.Journal, list, p.Next) // the last of the list, not visited yet, takes the place
		}
	}
	if p.Next == vm.Count(s.Journal, list) { // the pass is over
		p.Passing, p.Next, p.PassFunds, p.PassNeed = false, 0, 0, 0
		p.Queued = p.Funds > 0 // money that came during the pass, or that a cancelled voucher left over, needs another one
	}
	if !p.Queued && vm.Count(s.Journal, list) == 0 {
		s.Delete(key)
		s.Delete(ledger.ListHeadKey(list))
	} else {
		vm.Store(s.Journal, key, &p)
	}
	return !p.Queued, nil
}

// takeShare takes the share of a voucher with this need out of the pool. Over a pass the shares are exact in total: whoever makes up
// all the need that is left takes the rest.
func takeShare(p *ledger.DayPool, need ledger.Fen) ledger.Fen {
	if p.PassFunds == 0 || need == 0 {
		p.PassNeed -= need
		return 0
	}
	share, err := p.PassFunds.MulDiv(uint64(need), uint64(p.PassNeed))
	invariant.Check(err == nil && share <= need && share <= p.PassFunds, "share of %d in %d for %d: %v", need, p.PassNeed, p.PassFunds, err)
	p.PassFunds -= share
	p.PassNeed -= need
	p.Funds -= share
	p.Need -= share
	return share
}
