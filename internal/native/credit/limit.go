package credit

import (
	"aval/internal/invariant"
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
)

// LimitGrant sets the acting bank's or factor's limit for a core enterprise as a new version. What is used stays used.
func LimitGrant(c *vm.Context, op *ledger.LimitGrant) error {
	if err := checkGrant(c, op); err != nil {
		return err
	}
	key := ledger.LimitKey(c.Acting, op.Core, op.Purpose)
	old, _ := vm.Load[ledger.Limit](c.Journal, key)
	limit := ledger.Limit{Grantor: c.Acting, Core: op.Core, Purpose: op.Purpose, Version: old.Version + 1, Amount: op.Amount,
		Used: old.Used, From: op.From, Until: op.Until}
	vm.Store(c.Journal, key, &limit)
	vm.Store(c.Journal, ledger.LimitVersionKey(c.Acting, op.Core, op.Purpose, limit.Version), &limit)
	c.Emit(ledger.Event{Kind: "limit.granted", Party: c.Acting, Counterparty: op.Core, Amount: op.Amount, Note: purpose(op.Purpose)})
	return nil
}

func checkGrant(c *vm.Context, op *ledger.LimitGrant) error {
	grantor, err := identity.RequireParty(c.Journal, c.Acting)
	if err != nil {
		return err
	}
	bank, factor := grantor.Roles.Has(ledger.RoleBank), grantor.Roles.Has(ledger.RoleFactor)
	switch {
	case op.Purpose != ledger.LimitIssue && op.Purpose != ledger.LimitFinance:
		return ledger.Failf(ledger.CodeArgument, "limit purpose %d is unknown", op.Purpose)
	case op.Purpose == ledger.LimitIssue && !bank:
		return ledger.Failf(ledger.CodeRoleMissing, "a limit for issuing is granted by a bank; %s is %s", c.Acting, grantor.Roles)
	case !bank && !factor:
		return ledger.Failf(ledger.CodeRoleMissing, "a limit is granted by a bank or a factor; %s is %s", c.Acting, grantor.Roles)
	case op.Amount > ledger.AmountMax:
		return ledger.Failf(ledger.CodeOverflow, "a limit is at most %s", ledger.AmountMax)
	case op.From < 0 || op.From > op.Until || op.Until > ledger.DateMax:
		return ledger.Failf(ledger.CodeArgument, "the limit is valid from %s until %s, which is no span of days", op.From, op.Until)
	case op.Core == c.Acting:
		return ledger.Failf(ledger.CodeArgument, "%s cannot grant a limit to itself", c.Acting)
	}
	return identity.RequireRole(c.Journal, op.Core, ledger.RoleCore)
}

// Granted reports whether grantor has ever set a limit for core.
func Granted(j *vm.Journal, grantor, core ledger.PartyID, p ledger.LimitPurpose) bool {
	return j.Get(ledger.LimitKey(grantor, core, p)) != nil
}

// Use draws amount on the limit of grantor for core and returns the limit's version. A limit that does not exist, is not
// valid today or is too small is a *ledger.Failure with CodeCreditLimit.
func Use(c *vm.Context, grantor, core ledger.PartyID, p ledger.LimitPurpose, amount ledger.Fen) (version uint32, err error) {
	key := ledger.LimitKey(grantor, core, p)
	limit, ok := vm.Load[ledger.Limit](c.Journal, key)
	if !ok {
		return 0, ledger.Failf(ledger.CodeCreditLimit, "%s has granted %s no limit for %s", grantor, core, purpose(p))
	}
	if today := c.Today(); today < limit.From || today > limit.Until {
		return 0, ledger.Failf(ledger.CodeCreditLimit, "the limit of %s for %s is valid from %s until %s, today is %s",
			grantor, core, limit.From, limit.Until, today)
	}
	sum, err := limit.Used.Add(amount)
	if err != nil {
		return 0, ledger.Failf(ledger.CodeOverflow, "the limit's use and %s together exceed %s", amount, ledger.AmountMax)
	}
	if sum > limit.Amount {
		return 0, ledger.Failf(ledger.CodeCreditLimit, "the limit of %s for %s by %s is %s, used %s, asked %s, short by %s",
			grantor, purpose(p), core, limit.Amount, limit.Used, amount, sum-limit.Amount)
	}
	limit.Used = sum
	vm.Store(c.Journal, key, &limit)
	return limit.Version, nil
}

// Free gives amount back to a limit on which it was drawn.
func Free(c *vm.Context, grantor, core ledger.PartyID, p ledger.LimitPurpose, amount ledger.Fen) {
	key := ledger.LimitKey(grantor, core, p)
	limit, ok := vm.Load[ledger.Limit](c.Journal, key)
	invariant.Check(ok && amount <= limit.Used, "limit of %s for %s: free %d of %d used", grantor, core, amount, limit.Used)
	limit.Used -= amount
	vm.Store(c.Journal, key, &limit)
}

func purpose(p ledger.LimitPurpose) string {
	if p == ledger.LimitIssue {
		return "issuing"
	}
	return "financing"
}
