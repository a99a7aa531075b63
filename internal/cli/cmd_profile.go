package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"aval/client"
	"aval/internal/config"
	"aval/ledger"
)

func newProfileCmd(s *session) *cobra.Command {
	return group("profile", "Your profile: which nodes to ask, which network, short names for parties",
		"  aval profile init --node http://127.0.0.1:8080 --genesis genesis.cbor\n  aval profile party huachen 91310000MA1FL0000N",
		profileInit(s), profileParty(s), profileShow(s))
}

func profileInit(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make a profile from --node and --genesis",
		Long: "Init writes client.toml and a copy of the genesis to your home. Without --genesis it fetches the genesis from the node and prints\n" +
			"the network id: compare it with what the network's operators told you before you trust it.",
		Example: "  aval profile init --node http://127.0.0.1:8080 --genesis genesis.cbor\n  aval profile init --node http://127.0.0.1:8080", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.homeless(); err != nil {
				return err
			}
			path := filepath.Join(s.home, config.ProfileName)
			if _, err := os.Stat(path); err == nil {
				return fmt.Errorf("%s exists; edit it, or choose another --home", path)
			}
			if len(s.nodes) == 0 {
				return usage("still needed: --node URL")
			}
			raw, err := s.obtainGenesis(cmd)
			if err != nil {
				return err
			}
			g, st, err := ledger.DecodeGenesis(raw)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(s.home, 0o700); err != nil {
				return err
			}
			if err := writeFile(filepath.Join(s.home, config.GenesisName), raw, false); err != nil {
				return err
			}
			p := config.Profile{Nodes: s.nodes, Genesis: config.GenesisName, Parties: map[string]string{"authority": string(g.Authority.ID)}}
			if err := p.Save(s.home); err != nil {
				return err
			}
			id := g.NetworkID(st)
			return s.print(map[string]string{"network": id.String(), "name": g.Name, "profile": path}, func(o *output) {
				o.line("Profile for network %q in %s.", g.Name, path)
				o.line("Network id %s: compare it with the operators' before you trust it.", id)
			})
		},
	}
}

// obtainGenesis reads --genesis, or fetches what the node serves.
func (s *session) obtainGenesis(cmd *cobra.Command) ([]byte, error) {
	if s.genesisPath != "" {
		return readFile(s.genesisPath, ledger.GenesisBytesMax)
	}
	c, err := client.New(client.Config{Endpoints: s.nodes})
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	ctx, cancel := s.within(cmd.Context())
	defer cancel()
	return c.FetchGenesis(ctx)
}

func profileParty(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "party NAME ID", Short: "Give a party a short name", Example: "  aval profile party huachen 91310000MA1FL0000N", Args: needArgs("NAME", "ID"),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := s.loadProfile()
			if err != nil {
				return err
			}
			if err := ledger.PartyID(args[1]).Check(); err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			if p.Parties == nil {
				p.Parties = map[string]string{}
			}
			p.Parties[args[0]] = args[1]
			if err := p.Save(s.home); err != nil {
				return err
			}
			return s.print(p.Parties, func(o *output) { o.line("%s is %s.", args[0], args[1]) })
		},
	}
}

func profileShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show your profile", Example: "  aval profile show", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := s.loadProfile()
			if err != nil {
				return err
			}
			v := struct {
				Home    string            `json:"home"`
				Nodes   []string          `json:"nodes"`
				Genesis string            `json:"genesis"`
				Parties map[string]string `json:"parties"`
			}{s.home, p.Nodes, p.Genesis, p.Parties}
			return s.print(v, func(o *output) {
				o.fields("Home", v.Home, "Genesis", v.Genesis)
				for _, n := range v.Nodes {
					o.line("Node  %s", n)
				}
				var names []string
				for name := range v.Parties {
					names = append(names, name)
				}
				slices.Sort(names)
				var rows [][]string
				for _, name := range names {
					rows = append(rows, []string{name, v.Parties[name]})
				}
				o.table([]string{"party", "legal id"}, rows)
			})
		},
	}
}
