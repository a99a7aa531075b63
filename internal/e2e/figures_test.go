package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestFiguresAtRest measures what each process costs when nothing happens: its share of one core over 60 s, from /proc,
// beginning 10 s after the last transaction.
func TestFiguresAtRest(t *testing.T) {
	rest, span := 2*time.Second, 3*time.Second
	if *figures {
		rest, span = 10*time.Second, time.Minute
	}
	w := newWorld(t, "sm")
	w.mustOpenScope(w.client(0))
	<-time.After(rest)
	heights := make([]string, len(w.nodes))
	before := make([]time.Duration, len(w.nodes))
	for i, p := range w.processes {
		before[i] = cpuTime(t, p.cmd.Process.Pid)
		s, err := w.status(i)
		if err != nil {
			t.Fatal(err)
		}
		heights[i] = fmt.Sprint(s.Heights.Committed)
	}
	<-time.After(span)
	for i, p := range w.processes {
		s, err := w.status(i)
		if err != nil {
			t.Fatal(err)
		}
		if now := fmt.Sprint(s.Heights.Committed); now != heights[i] {
			t.Errorf("%s went from height %s to %s although nothing happened", w.nodes[i].Name, heights[i], now)
		}
		used := cpuTime(t, p.cmd.Process.Pid) - before[i]
		t.Logf("%s (leader %s): %.2f %% of a core over %v at height %s", w.nodes[i].Name, s.Engine.Leader,
			100*used.Seconds()/span.Seconds(), span, heights[i])
	}
}

// cpuTime returns the user and system time of a process so far (proc(5), fields 14 and 15 of stat, in 1/100 s).
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
