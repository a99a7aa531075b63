package ledger

import (
	"fmt"
	"strconv"
)

// Time is milliseconds since 1970-01-01T00:00:00Z. Whether it is wall or ledger time its field says.
type Time int64

// Durations in milliseconds, for arithmetic on Time.
const (
	Second Time = 1000
	Minute      = 60 * Second
	Hour        = 60 * Minute
	Day         = 24 * Hour
)

// zoneOffset is UTC+8: every date of the ledger is a day in China Standard Time.
const zoneOffset = 8 * Hour

// Date returns the day number at UTC+8 in which t falls, at least DateMin and at most DateMax.
func (t Time) Date() Date {
	switch {
	case t < DateMin.Start():
		return DateMin
	case t >= DateMax.Start():
		return DateMax
	}
	local := t + zoneOffset
	day := local / Day
	if local%Day < 0 {
		day--
	}
	return Date(day)
}

// String returns t as an RFC 3339 time at UTC+8 with milliseconds.
func (t Time) String() string {
	d := t.Date()
	ms := t - d.Start()
	if ms < 0 || ms >= Day {
		return strconv.FormatInt(int64(t), 10) + " ms" // outside the years 0000 to 9999
	}
	return fmt.Sprintf("%sT%02d:%02d:%02d.%03d+08:00", d, ms/Hour, ms/Minute%60, ms/Second%60, ms%Second)
}

// MarshalText returns t in milliseconds, as decimal digits.
func (t Time) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(t), 10), nil }

// UnmarshalText reads decimal milliseconds.
func (t *Time) UnmarshalText(b []byte) error {
	n, err := strconv.ParseInt(string(b), 10, 64)
	*t = Time(n)
	return err
}

// Date is a day number: 0 is 1970-01-01 at UTC+8.
type Date int32

// The first and the last date the ledger speaks of, 0000-01-01 and 9999-12-31.
const (
	DateMin Date = -719528
	DateMax Date = 2932896
)

// Start returns the first millisecond of d.
func (d Date) Start() Time { return Time(d)*Day - zoneOffset }

// Civil returns the proleptic Gregorian year, month (1…12) and day (1…31) of d.
func (d Date) Civil() (year, month, day int) {
	// Days are counted from 0000-03-01, so that the leap day is the last of its year.
	z := int(d) + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// CivilDate returns the date of a proleptic Gregorian year, month and day; it does not check their ranges.
func CivilDate(year, month, day int) Date {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := (153*((month+9)%12)+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return Date(era*146097 + doe - 719468)
}

// Weekday returns 0 for Sunday to 6 for Saturday.
func (d Date) Weekday() int { return int(((int64(d)+4)%7 + 7) % 7) }

// String returns d as YYYY-MM-DD.
func (d Date) String() string {
	y, m, dd := d.Civil()
	return fmt.Sprintf("%04d-%02d-%02d", y, m, dd)
}

// ParseDate reads YYYY-MM-DD and refuses dates that do not exist.
func ParseDate(s string) (Date, error) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return 0, fmt.Errorf("date %q is not of the form YYYY-MM-DD", s)
	}
	y, err1 := strconv.ParseUint(s[:4], 10, 16)
	m, err2 := strconv.ParseUint(s[5:7], 10, 8)
	dd, err3 := strconv.ParseUint(s[8:], 10, 8)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, fmt.Errorf("date %q is not of the form YYYY-MM-DD", s)
	}
	d := CivilDate(int(y), int(m), int(dd))
	if d.String() != s {
		return 0, fmt.Errorf("date %q does not exist", s)
	}
	return d, nil
}

// MarshalText returns d as YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Date) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDate(string(b))
	return err
}

// Calendar says which days banks are closed on. Both lists are sorted, without repeats.
type Calendar struct {
	// Holidays are closed days other than weekends.
	Holidays []Date `cbor:"1,keyasint" json:"holidays"`
	// Workdays are Saturdays and Sundays worked in exchange for a holiday.
	Workdays []Date `cbor:"2,keyasint" json:"workdays"`
}

// IsBusinessDay reports whether banks settle on d.
func (c *Calendar) IsBusinessDay(d Date) bool {
	if containsDate(c.Holidays, d) {
		return false
	}
	if w := d.Weekday(); w != 0 && w != 6 {
		return true
	}
	return containsDate(c.Workdays, d)
}

// Following returns d, or the first business day after it if d is none (ISDA "following" convention).
// A calendar with no business day within ClosedDaysMax yields d plus that many days.
func (c *Calendar) Following(d Date) Date {
	for i := 0; i < ClosedDaysMax && !c.IsBusinessDay(d); i++ {
		d++
	}
	return d
}

func containsDate(sorted []Date, d Date) bool {
	lo, hi := 0, len(sorted)
	for lo < hi {
		mid := (lo + hi) / 2
		if sorted[mid] < d {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(sorted) && sorted[lo] == d
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
