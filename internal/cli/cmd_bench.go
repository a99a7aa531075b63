package cli

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"aval/internal/bench"
)

func newBenchCmd(s *session) *cobra.Command {
	var c bench.Config
	suiteName := ""
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure what a network costs per transaction, on validators of your own",
		Long: "Bench starts validators as processes on loopback, sets up parties with keys of their own through the public interface, signs\n" +
			"transactions ahead, each once and for itself, loads the validators from another process and prints a table: throughput, latency,\n" +
			"processor time, memory and disk per transaction. Then one more, empty node catches up. In the end it stops all nodes and counts\n" +
			"on their ledgers.\n\n" +
			"Ctrl-C prints what was measured until then.",
		Example: "  aval bench\n  aval bench --suite intl --json intl.json\n  aval bench --keys 2000 --duration 10s\n  aval bench --overload 3",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Suite, err = s.chooseSuite(suiteName); err != nil {
				return err
			}
			if !cmd.Flags().Changed("catch-up") {
				c.CatchUp = c.Workload == bench.WorkloadTransfer
			}
			c.Version, c.Stdout, c.Stderr, c.Terminal = programVersion(), s.sys.Stdout, s.sys.Stderr, isTerminal(s.sys.Stderr)
			return bench.Run(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&suiteName, "suite", "sm", "crypto suite: sm or intl")
	f.IntVar(&c.Validators, "validators", 4, "how many validators: 1, or at least 4")
	f.StringVar(&c.Workload, "workload", "transfer", "transfer (one signature moves money) or voucher (the life of vouchers, maker and checker sign)")
	f.IntVar(&c.Keys, "keys", 100_000, "distinct keys that sign")
	f.DurationVar(&c.Duration, "duration", 0, "how long load is counted after the warm-up (default 1m)")
	f.IntVar(&c.Preload, "preload", 0, "live lots that stand on the ledger before the load")
	f.IntVar(&c.ThenPreload, "then-preload", 0, "live lots to put on the ledger after the other loads, to measure the full load once more")
	f.Float64Var(&c.Overload, "overload", 0, "then offer so many times the peak; keeps the load to a processor of its own")
	f.BoolVar(&c.CatchUp, "catch-up", true, "in the end let an empty node catch up (default for the workload transfer only)")
	f.Float64Var(&c.Rate, "rate", 0, "transactions to offer in a second (default: as many as the network takes)")
	f.IntVar(&c.InFlight, "in-flight", 4000, "transactions under way at a time under full load")
	f.StringVar(&c.Plot, "plot", "", "file that receives a plot of latency against throughput (SVG), measured at several more rates")
	f.StringVar(&c.JSON, "json", "", "file that receives the result as JSON; - for standard output instead of the table")
	f.StringVar(&c.Dir, "dir", "", "new directory to keep logs, ledgers and profiles in (default a temporary one, removed in the end)")
	cmd.AddCommand(newBenchLoadCmd(), newBenchTableCmd(s))
	return cmd
}

// newBenchLoadCmd is the load process, which bench starts for itself.
func newBenchLoadCmd() *cobra.Command {
	return &cobra.Command{
		Use: "load", Short: "The load process that bench starts: an order on standard input, reports on standard output", Hidden: true,
		Example: "  aval bench load <order.json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.Generate(cmd.Context(), os.Stdin, cmd.OutOrStdout())
		},
	}
}

func newBenchTableCmd(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "table FILE…", Short: "Print results that --json wrote as one table in Markdown",
		Example: "  aval bench table sm.json intl.json", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := bench.Table(args)
			if err != nil {
				return err
			}
			_, err = io.WriteString(s.sys.Stdout, text)
			return err
		},
	}
}
