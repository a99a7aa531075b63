package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Table returns a table in Markdown of the results in files, a column each.
func Table(files []string) (string, error) {
	results := make([]Result, len(files))
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(raw, &results[i]); err != nil {
			return "", fmt.Errorf("%s is not a result of bench: %w", file, err)
		}
	}
	var t strings.Builder
	row := func(name string, cell func(r *Result) string) {
		fmt.Fprintf(&t, "| %s |", name)
		for i := range results {
			fmt.Fprintf(&t, " %s |", cell(&results[i]))
		}
		t.WriteByte('\n')
	}
	t.WriteString("| |")
	for _, file := range files {
		fmt.Fprintf(&t, " %s |", strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	}
	t.WriteString("\n|---|" + strings.Repeat("---:|", len(files)) + "\n")
	addRows(row)
	return t.String(), nil
}

// addRows adds the rows that every result has; what was not measured shows a dash.
func addRows(row func(name string, cell func(r *Result) string)) {
	number := func(format string, value func(r *Result) float64) func(r *Result) string {
		return func(r *Result) string {
			v := value(r)
			if v == 0 {
				return "–"
			}
			return fmt.Sprintf(format, v)
		}
	}
	row("workload, suite", func(r *Result) string { return r.Workload + ", " + r.Suite })
	row("validators, keys, seconds counted", func(r *Result) string { return fmt.Sprintf("%d, %d, %.0f", r.Validators, r.Keys, r.DurationS) })
	row("lots before the load", number("%.0f", func(r *Result) float64 { return float64(r.Preload) }))
	row("committed, tx/s", number("%.0f", func(r *Result) float64 { return r.TxPerS }))
	row("p50 / p99 under this load, ms", func(r *Result) string { return fmt.Sprintf("%.0f / %.0f", r.P50MS, r.P99MS) })
	row("p50 / p99 at 10 % of it, ms", func(r *Result) string { return fmt.Sprintf("%.1f / %.1f", r.LightP50MS, r.LightP99MS) })
	row("p50 until proven at 10 %, ms", number("%.1f", func(r *Result) float64 { return r.LightProofP50MS }))
	row("validators' processor time, ms/tx", number("%.4f", func(r *Result) float64 { return r.CPUMSPerTx }))
	row("one stock verification, µs", number("%.1f", func(r *Result) float64 { return r.VerifyUS }))
	row("processor time over (f+1) verifications", number("%.2f", func(r *Result) float64 { return r.BoundRatio }))
	for _, s := range stages {
		row("… "+string(s)+", µs/tx", number("%.1f", func(r *Result) float64 {
			for _, part := range r.Stages {
				if part.Stage == s {
					return part.USPerTx
				}
			}
			return 0
		}))
	}
	row("memory of one validator, MB", number("%.0f", func(r *Result) float64 { return r.RSSMBPerValidator }))
	row("disk of all validators, bytes/tx", number("%.0f", func(r *Result) float64 { return r.DiskBytesPerTx }))
	row("at a multiple of the peak, tx/s (share)", func(r *Result) string {
		if r.Overload == nil {
			return "–"
		}
		return fmt.Sprintf("%.0f (%.0f %%) at %.3g×", r.Overload.TxPerS, 100*r.Overload.ShareOfTop, r.Overload.Factor)
	})
	row("with lots put on the ledger then, tx/s (share), MB", func(r *Result) string {
		if r.WithLots == nil {
			return "–"
		}
		return fmt.Sprintf("%.0f (%.0f %%), %.0f, %d lots", r.WithLots.TxPerS, 100*r.WithLots.ShareOfPeak, r.WithLots.RSSMB, r.WithLots.Lots)
	})
	row("an empty node catches up, tx/s (times the rate of making)", func(r *Result) string {
		if r.CatchUpTxPerS == 0 {
			return "–"
		}
		return fmt.Sprintf("%.0f (%.2f)", r.CatchUpTxPerS, r.CatchUpRatio)
	})
	row("processor time of that node, ms/tx", number("%.4f", func(r *Result) float64 { return r.CatchUpCPUMSPerTx }))
	row("committed / refused / failed in all loads", func(r *Result) string { return fmt.Sprintf("%d / %d / %d", r.Transactions, r.Refused, r.Failed) })
	row("load average before", func(r *Result) string { return r.Machine.LoadAverage })
}
