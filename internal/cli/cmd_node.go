package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"aval/internal/node"
)

// addNodeCommands adds the commands that run nodes.
func addNodeCommands(s *session, add func(group string, cmds ...*cobra.Command)) {
	add("node", newNodeCmd(s), newSnapshotCmd(s), newDemoCmd(s), newDevCmd(s), newBenchCmd(s), newSimCmd(s))
}

func newNodeCmd(s *session) *cobra.Command {
	run := &cobra.Command{
		Use: "run", Short: "Run the node whose home is --home, until interrupted",
		Long: "Run starts a validator or gateway as config.toml in its home says; $AVAL_NODE_… and flags override the file.\n" +
			"The passphrase of the node's key comes from --passphrase-file or passphrase_file, else $AVAL_PASSPHRASE, else the terminal.\n" +
			"Interrupt or SIGTERM shuts it down in order.",
		Example: "  aval node run --home trial/validator-0\n  aval node run --home trial/gateway-0 --http-listen 0.0.0.0:8080 --log-format json",
		Args:    cobra.NoArgs,
	}
	set := bindSettings(run)
	restored := run.Flags().Bool("restored", false, "the data came from elsewhere by other means than aval node restore: observe before voting")
	run.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.nodeConfig(set())
		if err != nil {
			return err
		}
		source := s.passphrases()
		source.File = c.Path(c.PassphraseFile)
		passphrase, err := source.Get("the key of " + c.Name)
		if err != nil {
			return err
		}
		nc, err := node.Load(c, passphrase)
		if err != nil {
			return fmt.Errorf("%s: %w", s.home, err)
		}
		nc.Version = programVersion()
		if nc.Logger, err = c.Log.Logger(s.sys.Stderr); err != nil {
			return err
		}
		nc.Restored = *restored
		return node.Run(cmd.Context(), nc)
	}
	return group("node", "Run a node, back it up, restore it", run.Example, run, nodeBackup(s), nodeRestore(s), nodePrune(s))
}
