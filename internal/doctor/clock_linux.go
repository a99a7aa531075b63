package doctor

import "golang.org/x/sys/unix"

// clockKept reports whether the system's clock is synchronised, as the kernel was told (adjtimex(2)), and whether that is known.
func clockKept() (kept, known bool) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, false
	}
	return t.Status&unix.STA_UNSYNC == 0, true
}
