package exec

import (
	"aval/internal/vm"
	"aval/ledger"
)

func loadClock(j *vm.Journal) ledger.ClockRecord {
	rec, _ := vm.Load[ledger.ClockRecord](j, ledger.ClockKey())
	return rec
}

// clockKey is made once, because every transaction asks for the clock.
var clockKey = ledger.ClockKey()

// clockTarget is where the clock is being advanced to, 0 if it is not.
func clockTarget(j *vm.Journal) ledger.Time {
	if rec := vm.Peek[ledger.ClockRecord](j, clockKey); rec != nil {
		return rec.Target
	}
	return 0
}

// ClockOffset returns what the proposer of height h adds to wall time, given the state after h − Lag.
func ClockOffset(view vm.View) (ledger.Time, error) {
	j := vm.NewJournal(view)
	offset := loadClock(j).Offset
	return offset, j.Err()
}

// WorkPending reports whether the next block has something to do at ledger time now even if it holds no transaction: the
// clock is being advanced, or due-date work waits.
func WorkPending(j *vm.Journal, now ledger.Time) (bool, error) {
	pending := workPending(j, now)
	return pending, j.Err()
}

func workPending(j *vm.Journal, now ledger.Time) bool {
	if clockTarget(j) != 0 {
		return true
	}
	days := dueDays(j)
	return len(days) > 0 && days[0] <= now.Date()
}

// dueDays are the days on which due-date work waits. Nobody may change them.
func dueDays(j *vm.Journal) []ledger.Date {
	if days := vm.Peek[ledger.Days](j, ledger.DueDaysKey()); days != nil {
		return days.Days
	}
	return nil
}

// authorizeClock fails unless the key that the genesis names for its clock has signed.
func (x *Executor) authorizeClock(auth vm.Authorizer, op *ledger.Op) error {
	switch {
	case x.genesis.Clock != ledger.ClockLab:
		return ledger.Failf(ledger.CodeClock, "the clock of this network is real; nothing moves it")
	case op.Party != "":
		return ledger.Failf(ledger.CodeArgument, "the clock is moved in no party's name")
	case !auth.HasKey(x.genesis.ClockKey):
		return ledger.Failf(ledger.CodeKeyUnknown, "the clock key of the genesis has not signed")
	}
	return nil
}

// clockAdvance begins to move the lab clock; advance carries it out at the next blocks.
func clockAdvance(c *vm.Context, op *ledger.ClockAdvance) error {
	switch {
	case op.To <= c.Time:
		return ledger.Failf(ledger.CodeClock, "the clock moves forward only: it is %s, after %s", c.Time, op.To)
	case op.To-c.Time > ledger.AdvanceMax || op.To > ledger.DateMax.Start():
		return ledger.Failf(ledger.CodeClock, "the clock moves at most %d days at once; it is %s", ledger.AdvanceMax/ledger.Day, c.Time)
	}
	rec := loadClock(c.Journal)
	rec.Target = op.To
	vm.Store(c.Journal, ledger.ClockKey(), &rec)
	c.Emit(ledger.Event{Kind: "clock.advancing", Note: op.To.String()})
	return nil
}

// advance takes the clock one stop towards its target: the next day on which due-date work waits, or the target itself.
// The work up to today is done. The header's time follows the record of Lag heights before: while it lags behind, wait.
func advance(c *vm.Context, h *ledger.Header) {
	rec := loadClock(c.Journal)
	if rec.Target == 0 || rec.Offset != h.Time-h.Wall {
		return
	}
	if h.Time >= rec.Target {
		rec.Target = 0
		vm.Store(c.Journal, ledger.ClockKey(), &rec)
		c.Emit(ledger.Event{Kind: "clock.advanced", Note: h.Time.String()})
		return
	}
	stop := rec.Target
	for _, day := range dueDays(c.Journal) {
		if day > c.Today() {
			stop = min(stop, day.Start())
			break
		}
	}
	rec.Offset = stop - h.Wall
	vm.Store(c.Journal, ledger.ClockKey(), &rec)
	c.Emit(ledger.Event{Kind: "clock.moved", Note: stop.String()})
}
