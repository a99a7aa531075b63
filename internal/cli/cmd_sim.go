package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aval/internal/sim"
)

func newSimCmd(s *session) *cobra.Command {
	var m sim.Many
	jsonPath, logPath := "", ""
	cmd := &cobra.Command{
		Use: "sim", Short: "Run whole faulty networks in one thread each, everything decided by a seed",
		Long: "Sim runs validators in one process on a fake clock: intake, batches, certificates, storage, execution, state and recovery are the\n" +
			"product's own code, ordering is a small reference engine. The seed decides what befalls them: links that lose, delay, repeat and\n" +
			"part; disks that lie, fill up, rot and lose power in the middle of a write; clocks that jump; validators that lie. Clients live\n" +
			"through the life of vouchers meanwhile. Checkers that share no code with what they judge look for two certified blocks at one\n" +
			"height, acknowledged transactions lost or applied twice, money or ranges of vouchers that do not add up, unequal roots, proofs that\n" +
			"do not verify, and a network that does not go on once the faults are over.\n\n" +
			"The same seed gives the same trace, always. A seed that does not hold is named with the command that repeats it. Exits with 0 only\n" +
			"if every seed holds.",
		Example: "  aval sim --seed 1\n  aval sim --seed 1 --count 200\n  aval sim --seed 7 --nodes 7 --log trace.txt\n  aval sim --seed 1 --count 5000 --json totals.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			m.Progress = s.sys.Stderr
			if logPath != "" {
				file, failed := os.Create(logPath)
				if failed != nil {
					return failed
				}
				defer func() { err = errors.Join(err, file.Close()) }()
				m.Log = file
			}
			if err := m.Validate(); err != nil {
				return usage("%w", err)
			}
			totals, err := sim.RunMany(cmd.Context(), m)
			if totals == nil {
				return err
			}
			return errors.Join(err, reportSim(s, totals, jsonPath))
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&m.First, "seed", 1, "the first seed")
	f.IntVar(&m.Count, "count", 1, "how many seeds, one after the other")
	f.IntVar(&m.Nodes, "nodes", 4, "how many validators: 4 to 7")
	f.StringVar(&m.Suite, "suite", "", "crypto suite: sm or intl (default sm for odd seeds, intl for even ones)")
	f.IntVar(&m.Workers, "workers", 0, "how many seeds at once (default: one per processor)")
	f.StringVar(&jsonPath, "json", "", "file that receives the totals as JSON; - for standard output instead of the summary")
	f.StringVar(&logPath, "log", "", "file that receives what the nodes say and what befalls them, of one seed")
	return cmd
}

// reportSim prints what came of the seeds, and fails if one does not hold.
func reportSim(s *session, t *sim.Totals, jsonPath string) error {
	if jsonPath != "" {
		b, err := json.MarshalIndent(t, "", "  ")
		if err != nil {
			return err
		}
		b = append(b, '\n')
		if jsonPath == "-" {
			_, err = s.sys.Stdout.Write(b)
		} else {
			err = os.WriteFile(jsonPath, b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	if jsonPath != "-" {
		var counts []string
		for _, what := range slices.Sorted(maps.Keys(t.Counts)) {
			counts = append(counts, fmt.Sprintf("%s %d", what, t.Counts[what]))
		}
		_, err := fmt.Fprintf(s.sys.Stdout, "%d of %d seeds from %d hold, %d nodes each: %d events, %d blocks, %d transactions, %d vouchers\n"+
			"what happened: %s\nlongest recovery %d ms; %.0f s of network life in %.1f s, %.1f seeds in a second; trace %s\n",
			t.Held, t.Seeds, t.First, t.Nodes, t.Events, t.Blocks, t.Transactions, t.Vouchers, strings.Join(counts, ", "),
			t.RecoveryMs, t.SimulatedSeconds, t.Seconds, t.SeedsPerSecond, t.Trace)
		if err != nil {
			return err
		}
	}
	if t.Held < t.Seeds {
		return fmt.Errorf("%d of %d seeds do not hold", t.Seeds-t.Held, t.Seeds)
	}
	return nil
}
