package ledger_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aval/ledger"
)

var china = time.FixedZone("UTC+8", 8*60*60)

// TestDatesAgainstStdlib compares the calendar arithmetic with package time.
func TestDatesAgainstStdlib(t *testing.T) {
	check := func(fatalf func(string, ...any), d ledger.Date) {
		want := time.Unix(int64(d.Start()/1000), 0).In(china)
		y, m, day := d.Civil()
		if y != want.Year() || m != int(want.Month()) || day != want.Day() || d.Weekday() != int(want.Weekday()) || want.Hour() != 0 {
			fatalf("day %d is %d-%d-%d, weekday %d; package time says %s", d, y, m, day, d.Weekday(), want)
		}
		if back := ledger.CivilDate(y, m, day); back != d {
			fatalf("day %d is %s, which is day %d", d, d, back)
		}
		if got := d.String(); got != want.Format("2006-01-02") {
			fatalf("day %d prints as %s, package time says %s", d, got, want.Format("2006-01-02"))
		}
		if got, err := ledger.ParseDate(d.String()); err != nil || got != d {
			fatalf("%s reads as day %d, %v", d, got, err)
		}
	}
	for d := ledger.CivilDate(1890, 1, 1); d < ledger.CivilDate(2110, 1, 1); d++ {
		check(t.Fatalf, d)
	}
	check(t.Fatalf, ledger.DateMin)
	check(t.Fatalf, ledger.DateMax)
	rapid.Check(t, func(t *rapid.T) {
		d := ledger.Date(rapid.Int32Range(int32(ledger.DateMin), int32(ledger.DateMax)).Draw(t, "day"))
		check(t.Fatalf, d)
		at := d.Start() + ledger.Time(rapid.Int64Range(0, int64(ledger.Day)-1).Draw(t, "ms"))
		if at.Date() != d {
			t.Fatalf("%d is in day %d, not %d", at, at.Date(), d)
		}
		if want := time.UnixMilli(int64(at)).In(china).Format("2006-01-02T15:04:05.000-07:00"); at.String() != want {
			t.Fatalf("%d prints as %s, package time says %s", at, at, want)
		}
	})
}

// TestTimesBeyondTheCalendar: no time, however far, names a wrong day or breaks its printer.
func TestTimesBeyondTheCalendar(t *testing.T) {
	for at, want := range map[ledger.Time]ledger.Date{
		math.MaxInt64: ledger.DateMax, math.MinInt64: ledger.DateMin, ledger.DateMax.Start() + ledger.Day: ledger.DateMax,
		ledger.DateMin.Start() - 1: ledger.DateMin, -1: 0, -8 * ledger.Hour: 0, -8*ledger.Hour - 1: -1, 16 * ledger.Hour: 1,
	} {
		if got := at.Date(); got != want {
			t.Errorf("%d falls on day %d, not %d", at, got, want)
		}
	}
	for at, want := range map[ledger.Time]string{
		0: "1970-01-01T08:00:00.000+08:00", math.MaxInt64: "9223372036854775807 ms", math.MinInt64: "-9223372036854775808 ms",
	} {
		if got := at.String(); got != want {
			t.Errorf("%d prints as %s, not %s", int64(at), got, want)
		}
	}
}

func TestParseDateRefuses(t *testing.T) {
	for _, s := range []string{
		"", "2026-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32", "2026-1-1", "20260101", "2026/01/01", "+026-01-01",
		"2026-01-01 ", "２026-01-01", "0000-00-00", "2026-01-0a",
	} {
		if d, err := ledger.ParseDate(s); err == nil {
			t.Errorf("%q was read as %s", s, d)
		}
	}
	if d, err := ledger.ParseDate("2024-02-29"); err != nil || d.String() != "2024-02-29" {
		t.Errorf("leap day: %s, %v", d, err)
	}
}

// TestCalendar: weekends and holidays are closed, exchanged weekend days are open, and Following finds the next open day.
func TestCalendar(t *testing.T) {
	day := func(s string) ledger.Date {
		d, err := ledger.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// National day 2026 as a calendar might have it: closed from Thursday to Wednesday, Saturday after it worked.
	c := ledger.Calendar{Workdays: []ledger.Date{day("2026-10-10")}}
	for d := day("2026-10-01"); d <= day("2026-10-07"); d++ {
		c.Holidays = append(c.Holidays, d)
	}
	for from, want := range map[string]string{
		"2026-09-30": "2026-09-30", "2026-10-01": "2026-10-08", "2026-10-04": "2026-10-08", "2026-10-10": "2026-10-10",
		"2026-10-11": "2026-10-12", "2027-01-13": "2027-01-13", "2026-09-26": "2026-09-28",
	} {
		if got := c.Following(day(from)); got != day(want) {
			t.Errorf("the business day from %s on is %s, not %s", from, got, want)
		}
	}
	closed := ledger.Calendar{}
	for d := range ledger.Date(100) {
		closed.Holidays = append(closed.Holidays, d)
	}
	if got := closed.Following(0); got != ledger.ClosedDaysMax {
		t.Errorf("banks closed for 100 days: %d", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		holidays := rapid.SliceOfNDistinct(rapid.Int32Range(0, 60), 0, 20, rapid.ID).Draw(t, "holidays")
		var c ledger.Calendar
		set := map[ledger.Date]bool{}
		for d := range ledger.Date(61) {
			for _, h := range holidays {
				if ledger.Date(h) == d {
					c.Holidays, set[d] = append(c.Holidays, d), true
				}
			}
		}
		d := ledger.Date(rapid.Int32Range(0, 60).Draw(t, "day"))
		want := d
		for set[want] || time.Unix(int64(want)*86400, 0).UTC().Weekday()%6 == 0 {
			want++
		}
		if got := c.Following(d); got != want && want-d <= ledger.ClosedDaysMax {
			t.Fatalf("the business day from %d on is %d, looking day by day says %d; holidays %v", d, got, want, c.Holidays)
		}
	})
}
