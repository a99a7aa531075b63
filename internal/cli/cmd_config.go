package cli

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"aval/internal/config"
)

// bindSettings declares a flag for every setting of a node and returns what was set.
func bindSettings(cmd *cobra.Command) func() map[string]string {
	for _, setting := range config.Settings() {
		if setting.Key == "genesis" || setting.Key == "passphrase_file" {
			continue // global flags of the same meaning
		}
		cmd.Flags().String(setting.Flag(), "", setting.Usage+" ($"+setting.Env()+")")
		if setting.Switch() {
			cmd.Flags().Lookup(setting.Flag()).NoOptDefVal = "true"
		}
	}
	return func() map[string]string {
		out := map[string]string{}
		for _, setting := range config.Settings() {
			if f := cmd.Flags().Lookup(setting.Flag()); f != nil && f.Changed {
				out[setting.Key] = fromHere(setting.Key, f.Value.String())
			}
		}
		return out
	}
}

// fromHere makes the paths among flags absolute, because they are meant from the working directory, not from the home.
func fromHere(key, value string) string {
	switch key {
	case "genesis", "key", "passphrase_file", "data_dir":
		if abs, err := filepath.Abs(value); err == nil {
			return abs
		}
	}
	return value
}

func newConfigCmd(s *session) *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Print a node's configuration as it takes effect: file, then environment, then flags",
		Example: "  aval config show --home trial/validator-0\n  AVAL_NODE_LOG_LEVEL=debug aval config show --home trial/validator-0", Args: cobra.NoArgs,
	}
	set := bindSettings(show)
	show.RunE = func(*cobra.Command, []string) error {
		n, err := s.nodeConfig(set())
		if err != nil {
			return err
		}
		text, err := n.Encode()
		if err != nil {
			return err
		}
		return s.print(n, func(o *output) { o.b.Write(text) })
	}
	return group("config", "A node's configuration", show.Example, show)
}

// nodeConfig loads the configuration of the node whose home is --home.
func (s *session) nodeConfig(flags map[string]string) (*config.Node, error) {
	if err := s.homeless(); err != nil {
		return nil, err
	}
	n, err := config.Load(s.home, s.sys.Env, flags)
	err = errors.Join(err, config.CheckEnviron(s.sys.Environ()))
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return n, nil
}
