package sm3lanes

import (
	"time"

	"golang.org/x/sys/unix"
)

// now returns the processor time that this thread has used, so that other work on the machine does not count.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}
