package cli

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"aval/internal/demo"
)

func newDemoCmd(s *session) *cobra.Command {
	var c demo.Config
	suiteName := ""
	cmd := &cobra.Command{
		Use: "demo", Short: "Play the life of a voucher on four validators and a gateway of your own",
		Long: "Demo starts four validators and a gateway as processes on loopback, in a lab network whose clock it moves, and plays a case through\n" +
			"the public interface with keys for every party: a car maker's promise of 12,000,000.00 travels four tiers of suppliers, is financed\n" +
			"three times and is paid. It tries what must be refused, prints who holds what, and stays up until Ctrl-C.\n\n" +
			"With --check it verifies every figure on every node, kills and restarts a validator in the middle, and exits with 0, or with 1\n" +
			"after naming what differs.",
		Example: "  aval demo\n  aval demo --check\n  aval demo --suite intl --dir ./trial\n  aval demo --check --json | jq .refusals",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Suite, err = s.chooseSuite(suiteName); err != nil {
				return err
			}
			c.JSON, c.Program = s.json, os.Args[0]
			c.Stdout, c.Stderr = s.sys.Stdout, s.sys.Stderr
			c.Terminal = isTerminal(s.sys.Stdout) && isTerminal(s.sys.Stderr)
			return demo.Run(cmd.Context(), c)
		},
	}
	cmd.Flags().BoolVar(&c.Check, "check", false, "verify everything, kill a validator in the middle, and exit")
	cmd.Flags().StringVar(&c.Dir, "dir", "", "new directory for nodes, keys and logs (default a temporary one, removed in the end)")
	cmd.Flags().StringVar(&suiteName, "suite", "sm", "crypto suite: sm or intl")
	return cmd
}

// isTerminal reports whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
