package exec

import (
	"aval/internal/vm"
	"aval/ledger"
)

// unagreed returns why a signature that op needs is missing, or nil: that of the acting party, and those which the handlers ask for
// besides. An id is spent by a failure only if none of any operation is missing, so that nobody burns what others are still
// signing.
func (x *Executor) unagreed(c *vm.Context, op *ledger.Op) error {
	if err := x.authorize(c.Auth, op); err != nil {
		return err
	}
	body, err := op.Decode()
	if err != nil {
		return nil //nolint:nilerr // then op is what failed, and no signature helps
	}
	switch b := body.(type) {
	case *ledger.PartyOnboard:
		return possessed(c, b.Members...)
	case *ledger.MemberAdd:
		return possessed(c, b.Grant)
	case *ledger.MemberRotate:
		return possessed(c, b.Grant)
	case *ledger.AccountOpen:
		return c.Auth.Require(b.Holder, ledger.ClassMoney)
	case *ledger.MoneyBurn:
		return c.Auth.Require(b.Holder, ledger.ClassMoney)
	case *ledger.MandateGrant:
		return c.Auth.Require(b.Creditor, ledger.ClassMoney)
	case *ledger.MandateSettle:
		return c.Auth.Require(b.Debtor, ledger.ClassMoney)
	case *ledger.PledgeCreate:
		return c.Auth.Require(b.Pledgee, ledger.ClassFinance)
	case *ledger.VoucherCancel:
		if v, ok := vm.Load[ledger.Voucher](c.Journal, ledger.VoucherKey(b.Voucher)); ok {
			return c.Auth.Require(v.Payee, ledger.ClassTrade) // only what the payee still holds can be cancelled
		}
	default: // the acting party's signatures are all
	}
	return nil
}

// possessed fails unless the holders of all granted keys have signed.
func possessed(c *vm.Context, grants ...ledger.MemberGrant) error {
	for i := range grants {
		if !c.Auth.HasKey(grants[i].Key) {
			return ledger.Failf(ledger.CodePossession, "the holder of new key %d must sign too", i)
		}
	}
	return nil
}
