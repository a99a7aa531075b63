package cli

import (
	"os"

	"github.com/spf13/cobra"

	"aval/internal/demo"
	"aval/ledger"
)

// devHome is where a sandbox lives unless --home or $AVAL_HOME says otherwise.
const devHome = "aval-dev"

func newDevCmd(s *session) *cobra.Command {
	var c demo.DevConfig
	suiteName, clock := "", ""
	cmd := &cobra.Command{
		Use: "dev", Short: "Keep a sandbox: one node, and parties that are ready to trade",
		Long: "Dev runs one node that orders alone, with a real clock. On the first start it makes a network and six sandbox parties with keys,\n" +
			"accounts and a credit limit, and prints commands to copy; later it goes on with what it finds.\n\n" +
			"The sandbox lives in --home, else $AVAL_HOME, else ./" + devHome + ", which is also the home of the command line: after\n" +
			"export AVAL_HOME=$PWD/" + devHome + " every other command speaks to it. The passphrase of all its keys is in the file passphrase there, which\n" +
			"is for a sandbox only.",
		Example: "  aval dev\n  aval dev --listen 127.0.0.1:9090 --home ./trial\n  aval dev --clock lab --home ./lab",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// An old sandbox keeps its suite and clock, so only what was asked for is passed on.
			var err error
			if cmd.Flags().Changed("suite") {
				if c.Suite, err = s.chooseSuite(suiteName); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("clock") {
				if c.Clock, err = pick(clock, []string{"real", "lab"}, []ledger.ClockMode{ledger.ClockReal, ledger.ClockLab}); err != nil {
					return err
				}
			}
			c.Home = s.home
			if _, named := s.sys.Env("AVAL_HOME"); !named && !cmd.Flags().Changed("home") {
				c.Home = devHome
			}
			c.Program, c.Version, c.Env, c.Stdout = os.Args[0], programVersion(), s.sys.Env, s.sys.Stdout
			return demo.Dev(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Listen, "listen", "", "address of the HTTP interface (default 127.0.0.1:8080)")
	cmd.Flags().StringVar(&suiteName, "suite", "sm", "crypto suite of a new sandbox: sm or intl")
	cmd.Flags().StringVar(&clock, "clock", "real", "clock of a new sandbox: real, or lab for one that can be moved (aval clock advance)")
	return cmd
}
