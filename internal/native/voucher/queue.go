package voucher

import (
	"aval/codec"
	"aval/internal/invariant"
	"aval/internal/vm"
	"aval/ledger"
)

// Due-date work waits in one queue per day of settlement, first come first served. At acceptance a voucher joins the pool of its
// issuer, bank and day, and the pool enters the queue; its work is one pass over its vouchers when the day has come. What is
// funded later enters the queue again, as one voucher or as the pool. Nothing else is ever in it. Several days have work at once
// only while something is overdue; see turn for which goes first.

// turn returns the day that has the turn at this height, of those up to today on which work waits: the newest at every other
// height, so that whoever pays an old debt fen by fen cannot keep what settles today from being paid, and one day after the other
// at the heights between, so that nobody's old debt waits for ever either.
func turn(c *vm.Context) (day ledger.Date, ok bool) {
	days, _ := vm.Load[ledger.Days](c.Journal, ledger.DueDaysKey())
	n, today := 0, c.Today()
	for n < len(days.Days) && days.Days[n] <= today {
		n++
	}
	switch {
	case n == 0:
		return 0, false
	case c.Height%2 == 0:
		return days.Days[n-1], true
	}
	return days.Days[int(uint64(c.Height/2)%uint64(n))], true
}

// push puts item at the end of day's queue.
func push(c *vm.Context, day ledger.Date, item ledger.DueItem) {
	vm.Append(c.Journal, ledger.DueOn(day), codec.MustMarshal(&item))
	insertDay(c, ledger.DueDaysKey(), day)
}

// front returns the first item of day's queue, which is not empty.
func front(c *vm.Context, day ledger.Date) ledger.DueItem {
	cursor, _ := vm.Load[ledger.DueCursor](c.Journal, ledger.DueCursorKey(day))
	var item ledger.DueItem
	err := codec.Unmarshal(vm.Item(c.Journal, ledger.DueOn(day), cursor.Next), &item)
	invariant.Check(err == nil, "queue of %s at %d: %v", day, cursor.Next, err)
	return item
}

// pop takes the first item off day's queue. Pages that are done with, and an empty queue, leave the state.
func pop(c *vm.Context, day ledger.Date) {
	name, key := ledger.DueOn(day), ledger.DueCursorKey(day)
	cursor, _ := vm.Load[ledger.DueCursor](c.Journal, key)
	page := cursor.Next / ledger.ListPageItems
	cursor.Next++
	if cursor.Next == vm.Count(c.Journal, name) {
		c.Delete(ledger.ListPageKey(name, page))
		c.Delete(ledger.ListHeadKey(name))
		c.Delete(key)
		removeDay(c, ledger.DueDaysKey(), day)
		return
	}
	if cursor.Next%ledger.ListPageItems == 0 {
		c.Delete(ledger.ListPageKey(name, page))
	}
	vm.Store(c.Journal, key, &cursor)
}

// poolKey is where the pool stands to which v belongs.
func poolKey(v *ledger.Voucher) []byte { return ledger.DayPoolKey(v.Issuer, v.Bank, v.Settles) }

// need is what of v is neither paid nor funded by itself.
func need(v *ledger.Voucher) ledger.Fen { return v.Face - v.Paid - v.Funded }

// joinPool adds an accepted voucher to its pool, and the pool to the day's queue.
func joinPool(c *vm.Context, v *ledger.Voucher) {
	pool, _ := vm.Load[ledger.DayPool](c.Journal, poolKey(v))
	vm.Append(c.Journal, ledger.PoolOf(v.Issuer, v.Bank, v.Settles), v.ID[:])
	pool.Need += need(v)
	queuePool(c, v.Issuer, v.Bank, v.Settles, &pool)
	vm.Store(c.Journal, poolKey(v), &pool)
}

// queuePool puts a pool into its day's queue unless it is there. The caller stores the pool.
func queuePool(c *vm.Context, issuer, bank ledger.PartyID, day ledger.Date, pool *ledger.DayPool) {
	if !pool.Queued {
		pool.Queued = true
		push(c, day, ledger.DueItem{Issuer: issuer, Bank: bank})
	}
}

// queueVoucher puts v by itself into its day's queue unless it is there. The caller stores v.
func queueVoucher(c *vm.Context, v *ledger.Voucher) {
	if !v.Queued {
		v.Queued = true
		push(c, v.Settles, ledger.DueItem{Issuer: v.Issuer, Bank: v.Bank, Voucher: v.ID})
	}
}
