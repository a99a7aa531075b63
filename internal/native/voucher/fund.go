package voucher

import (
	"fmt"

	"aval/internal/native/identity"
	"aval/internal/native/money"
	"aval/internal/vm"
	"aval/ledger"
)

// VoucherFund sets money of the acting issuer aside for one voucher. From the day of settlement on it is paid out at the next block.
func VoucherFund(c *vm.Context, op *ledger.VoucherFund) error {
	v, err := LoadActive(c, op.Voucher)
	if err != nil {
		return err
	}
	if c.Acting != v.Issuer {
		return ledger.Failf(ledger.CodeNotAddressed, "voucher %s is owed by %s", v.ID, v.Issuer)
	}
	if op.Amount == 0 || op.Amount > need(v) {
		return ledger.Failf(ledger.CodeArgument, "voucher %s: %s is neither paid nor funded; funding is more than 0 and no more than that, not %s",
			v.ID, need(v), op.Amount)
	}
	if err := money.HoldFunds(c, v.Bank, v.Issuer, op.Amount); err != nil {
		return err
	}
	v.Funded += op.Amount
	if err := shrinkPool(c, v, op.Amount); err != nil {
		return err
	}
	if c.Today() >= v.Settles {
		queueVoucher(c, v)
	}
	store(c, v)
	e := eventOf(v, "voucher.funded")
	e.Amount = op.Amount
	c.Emit(e)
	return nil
}

// shrinkPool takes amount off the need of v's pool, and gives back what the pool holds above its need.
func shrinkPool(c *vm.Context, v *ledger.Voucher, amount ledger.Fen) error {
	pool, _ := vm.Load[ledger.DayPool](c.Journal, poolKey(v))
	pool.Need -= amount
	surplus := ledger.Fen(0)
	if pool.Funds > pool.Need {
		surplus = pool.Funds - pool.Need
	}
	pool.Funds -= surplus
	pool.PassFunds = min(pool.PassFunds, pool.Funds)
	if pool.Need == 0 {
		queuePool(c, v.Issuer, v.Bank, v.Settles, &pool) // a last pass clears the pool away
	}
	vm.Store(c.Journal, poolKey(v), &pool)
	return giveBack(c, v, surplus)
}

// leavePool takes v, which is being cancelled, out of its pool's need and gives back what had been set aside for it. The pass over the
// pool skips it. The caller stores v.
func leavePool(c *vm.Context, v *ledger.Voucher) error {
	if err := shrinkPool(c, v, need(v)); err != nil {
		return err
	}
	funded := v.Funded
	v.Funded = 0
	return giveBack(c, v, funded)
}

// giveBack returns held money to the issuer's balance.
func giveBack(c *vm.Context, v *ledger.Voucher, amount ledger.Fen) error {
	if amount == 0 {
		return nil
	}
	if err := money.ReleaseFunds(c, v.Bank, v.Issuer, amount); err != nil {
		return fmt.Errorf("give back what was set aside for voucher %s: %w", v.ID, err)
	}
	return nil
}

// DayFund sets money of the acting issuer aside for all its vouchers on one bank that settle with those due on a day. It is shared in
// proportion to what of each is neither paid nor funded by itself.
func DayFund(c *vm.Context, op *ledger.DayFund) error {
	if _, err := identity.RequireParty(c.Journal, op.Bank); err != nil {
		return err
	}
	if op.Due < 0 || op.Due > ledger.DateMax {
		return ledger.Failf(ledger.CodeArgument, "%d is no date", int(op.Due))
	}
	settles := c.Params.Calendar.Following(op.Due)
	key := ledger.DayPoolKey(c.Acting, op.Bank, settles)
	pool, _ := vm.Load[ledger.DayPool](c.Journal, key)
	if left := pool.Need - pool.Funds; op.Amount == 0 || op.Amount > left {
		return ledger.Failf(ledger.CodeArgument, "of what %s pays on %s with money of %s, %s is neither paid nor funded; "+
			"funding is more than 0 and no more than that, not %s", c.Acting, settles, op.Bank, left, op.Amount)
	}
	if err := money.HoldFunds(c, op.Bank, c.Acting, op.Amount); err != nil {
		return err
	}
	pool.Funds += op.Amount
	queuePool(c, c.Acting, op.Bank, settles, &pool)
	vm.Store(c.Journal, key, &pool)
	c.Emit(ledger.Event{Kind: "day.funded", Party: c.Acting, Bank: op.Bank, Amount: op.Amount, Note: settles.String()})
	return nil
}
