package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// write prints the table and writes the files that were asked for.
func (r *Result) write(c *Config) error {
	if c.Plot != "" {
		if err := r.writePlot(c.Plot); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	raw = append(raw, '\n')
	switch c.JSON {
	case "-":
		_, err = c.Stdout.Write(raw)
		return err
	case "":
	default:
		if err := os.WriteFile(c.JSON, raw, 0o644); err != nil { //nolint:gosec // a result, to be read by anybody
			return err
		}
	}
	_, err = fmt.Fprint(c.Stdout, r.table())
	return err
}

// table returns the figures for people.
func (r *Result) table() string {
	var t strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&t, "  %-42s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&t, "\n%s, suite %s, %d validators, %d keys, %.0f s counted", r.Workload, r.Suite, r.Validators, r.Keys, r.DurationS)
	if r.Interrupted {
		t.WriteString(" (interrupted: not everything was measured)")
	}
	t.WriteString("\n\n")
	r.addFigures(row)
	if r.RanOut {
		row("", "the transactions signed ahead ran out: the count ended early")
	}
	if r.FirstFailure != "" {
		row("first refusal or failure", "%s", r.FirstFailure)
	}
	r.addStages(&t)
	r.addOverload(row)
	if l := r.WithLots; l != nil {
		row(fmt.Sprintf("with %d lots on the ledger", l.Lots), "%.0f tx/s committed, %.0f %% of that without, %.4f ms/tx", l.TxPerS, 100*l.ShareOfPeak, l.CPUMSPerTx)
		row("  memory of one validator, at most", "%.0f MB", l.RSSMB)
	}
	for _, line := range r.Counted {
		fmt.Fprintf(&t, "  counted: %s\n", line)
	}
	return t.String()
}

// addFigures adds the rows of what was measured: an interrupted run did not come to all of it.
func (r *Result) addFigures(row func(name, format string, args ...any)) {
	if r.TxPerS > 0 {
		row("committed", "%.0f tx/s", r.TxPerS)
		row("latency under this load, committed", "p50 %.0f ms, p99 %.0f ms", r.P50MS, r.P99MS)
	}
	if r.LightTxPerS > 0 {
		row(fmt.Sprintf("latency at %.0f tx/s, committed", r.LightTxPerS), "p50 %.1f ms, p99 %.1f ms", r.LightP50MS, r.LightP99MS)
		row(fmt.Sprintf("latency at %.0f tx/s, proven", r.LightTxPerS), "p50 %.1f ms", r.LightProofP50MS)
	}
	if r.CPUMSPerTx > 0 {
		row("processor time of all validators", "%.4f ms/tx", r.CPUMSPerTx)
	}
	row("one stock verification", "%.1f µs", r.VerifyUS)
	if r.CPUMSPerTx > 0 {
		row("processor time over (f+1) verifications", "%.2f", r.BoundRatio)
	}
	if r.TxPerS > 0 {
		row("memory of one validator, at most", "%.0f MB", r.RSSMBPerValidator)
		row("disk of all validators", "%.0f bytes/tx", r.DiskBytesPerTx)
		row("made and signed before the clock started", "%.1f µs/tx", r.SignUSPerTx)
		row("load process", "%.1f µs/tx", r.LoadUSPerTx)
	}
	if r.CatchUpTxPerS > 0 {
		row("an empty node catches up", "%.0f tx/s, %.2f times the %.0f tx/s at which they were made", r.CatchUpTxPerS, r.CatchUpRatio, r.MadeTxPerS)
		row("processor time of that node", "%.4f ms/tx", r.CatchUpCPUMSPerTx)
	}
	row("transactions of all loads", "%d committed, %d refused, %d failed", r.Transactions, r.Refused, r.Failed)
	if r.Machine.LoadAverage != "" {
		row("load average of the machine before", "%s", r.Machine.LoadAverage)
	}
}

func (r *Result) addStages(t *strings.Builder) {
	if len(r.Stages) == 0 {
		return
	}
	t.WriteString("\n  where the validators' processor time goes       µs/tx   share\n")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "    %-42s %7.1f  %5.1f %%\n", s.Stage, s.USPerTx, 100*s.Share)
	}
	t.WriteString("\n")
}

func (r *Result) addOverload(row func(name, format string, args ...any)) {
	if o := r.Overload; o != nil {
		row(fmt.Sprintf("at %.3g times that load (%.0f tx/s)", o.Factor, o.OfferedPS), "%.0f tx/s committed, %.0f %% of the peak, which is %.0f tx/s after it", o.TxPerS, 100*o.ShareOfTop, o.PeakAfter)
		row("  processor time of all validators", "%.4f ms for each committed", o.CPUMSPerTx)
		row("  refused", "%d, of which %d were told to come back", o.Refused, o.ToldBusy)
		row("  memory of one validator, at most", "%.0f MB", o.RSSMB)
	}
}
