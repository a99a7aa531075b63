package voucher

import (
	"slices"

	"aval/internal/invariant"
	"aval/internal/vm"
	"aval/ledger"
)

// The ladder of an issuer says what it owes on which day of settlement, over all banks and scopes.

// Overdue reports whether something of v is unpaid after its day of settlement.
func Overdue(v *ledger.Voucher, today ledger.Date) bool {
	return v.Status == ledger.VoucherActive && today > v.Settles
}

// Defaulted reports whether something of v is unpaid more than grace days after its day of settlement.
func Defaulted(v *ledger.Voucher, today ledger.Date, grace uint16) bool {
	return v.Status == ledger.VoucherActive && int(today) > int(v.Settles)+int(grace)
}

// Barred reports whether issuer may issue nothing, because something it owes is unpaid, and since which day of settlement. What
// lies under court orders does not count, nor does a day whose next business day has not begun: banks may still be at work on it.
func Barred(c *vm.Context, issuer ledger.PartyID) (since ledger.Date, barred bool) {
	days, _ := vm.Load[ledger.Days](c.Journal, ledger.LadderDaysKey(issuer))
	for _, day := range days.Days {
		if c.Today() < c.Params.Calendar.Following(day+1) {
			break
		}
		if rung := ladderDay(c, issuer, day); rung.Outstanding > rung.Frozen {
			return day, true
		}
	}
	return 0, false
}

func checkNotBarred(c *vm.Context, issuer ledger.PartyID) error {
	if day, barred := Barred(c, issuer); barred {
		rung := ladderDay(c, issuer, day)
		return ledger.Failf(ledger.CodeIssuerBarred, "%s has not paid %s that was due for settlement on %s; it issues nothing before that is paid",
			issuer, rung.Outstanding-rung.Frozen, day)
	}
	return nil
}

func ladderDay(c *vm.Context, issuer ledger.PartyID, day ledger.Date) ledger.LadderDay {
	rung, _ := vm.Load[ledger.LadderDay](c.Journal, ledger.LadderKey(issuer, day))
	return rung
}

func addToLadder(c *vm.Context, issuer ledger.PartyID, day ledger.Date, amount ledger.Fen) {
	rung := ladderDay(c, issuer, day)
	if rung.Outstanding == 0 {
		insertDay(c, ledger.LadderDaysKey(issuer), day)
	}
	// Each voucher is at most AmountMax, and 64 bits hold more than eighteen thousand of them; a limit bounds the sum far below.
	rung.Outstanding += amount
	vm.Store(c.Journal, ledger.LadderKey(issuer, day), &rung)
}

// takeFromLadder takes amount off what issuer owes on day, of which frozen lay under court orders.
func takeFromLadder(c *vm.Context, issuer ledger.PartyID, day ledger.Date, amount, frozen ledger.Fen) {
	rung := ladderDay(c, issuer, day)
	invariant.Check(amount <= rung.Outstanding && frozen <= rung.Frozen, "ladder of %s on %s: take %d and %d of %d and %d",
		issuer, day, amount, frozen, rung.Outstanding, rung.Frozen)
	rung.Outstanding -= amount
	rung.Frozen -= frozen
	key := ledger.LadderKey(issuer, day)
	if rung.Outstanding > 0 {
		vm.Store(c.Journal, key, &rung)
		return
	}
	c.Delete(key)
	removeDay(c, ledger.LadderDaysKey(issuer), day)
}

// changeFrozen adds to and takes from what court orders cover of what issuer owes on day.
func changeFrozen(c *vm.Context, issuer ledger.PartyID, day ledger.Date, add, take ledger.Fen) {
	if add == 0 && take == 0 {
		return
	}
	rung := ladderDay(c, issuer, day)
	rung.Frozen += add
	invariant.Check(take <= rung.Frozen && rung.Frozen-take <= rung.Outstanding, "ladder of %s on %s: thaw %d of %d frozen",
		issuer, day, take, rung.Frozen)
	rung.Frozen -= take
	vm.Store(c.Journal, ledger.LadderKey(issuer, day), &rung)
}

// insertDay puts day into the sorted list under key, if it is not there.
func insertDay(c *vm.Context, key []byte, day ledger.Date) {
	days, _ := vm.Load[ledger.Days](c.Journal, key)
	i, found := slices.BinarySearch(days.Days, day)
	if found {
		return
	}
	days.Days = slices.Insert(days.Days, i, day)
	vm.Store(c.Journal, key, &days)
}

// removeDay takes day out of the sorted list under key, and the list out of state when it is empty.
func removeDay(c *vm.Context, key []byte, day ledger.Date) {
	days, _ := vm.Load[ledger.Days](c.Journal, key)
	i, found := slices.BinarySearch(days.Days, day)
	invariant.Check(found, "day %s is not in list %x", day, key)
	days.Days = slices.Delete(days.Days, i, i+1)
	if len(days.Days) == 0 {
		c.Delete(key)
		return
	}
	vm.Store(c.Journal, key, &days)
}
