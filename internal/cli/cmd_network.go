package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"aval/internal/genesis"
	"aval/ledger"
)

func newNetworkCmd(s *session) *cobra.Command {
	return group("network", "Found a network, or ask which one it is", "  aval network init --name trial --authority-id 91310000MA1FL0000N --authority-name 'Trial Authority' --dir trial",
		networkInit(s), networkShow(s))
}

// founding are the flags of network init.
type founding struct {
	name, suite, clock, start  string
	authorityID, authorityName string
	dir, host                  string
	validators, observers      int
	basePort                   int
	iterations                 uint32
	tenorDays, graceDays       uint16
	retain                     uint64
	holidays, workdays         []string
}

func networkInit(s *session) *cobra.Command {
	f := &founding{}
	cmd := &cobra.Command{
		Use: "init", Short: "Make the genesis, the keys and a home for every node of a new network",
		Long: "Init founds a network in a new directory: genesis.cbor for everybody, a home per node with its configuration and its key, and\n" +
			"client/ with a profile and the keys of the root authority, the identity issuer and, in a lab network, the clock.\n" +
			"Every key is encrypted under one passphrase; hand the homes to their operators and have them change it (aval key passwd).\n" +
			"Nothing is ever overwritten.",
		Example: "  aval network init --name trial --authority-id 91310000MA1FL0000N --authority-name 'Trial Authority' --dir trial\n" +
			"  aval network init --name lab --suite sm --clock lab --start 2026-09-15T09:00 --authority-id … --authority-name … --dir lab",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return s.found(f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.name, "name", "", "name of the network")
	fl.StringVar(&f.suite, "suite", "sm", "crypto suite: sm or intl")
	fl.StringVar(&f.clock, "clock", "real", "real, or lab for a clock that can be moved")
	fl.StringVar(&f.start, "start", "", "ledger time at which a lab network begins, such as 2026-09-15T09:00 (default now)")
	fl.StringVar(&f.authorityID, "authority-id", "", "legal id of the root authority")
	fl.StringVar(&f.authorityName, "authority-name", "", "name of the root authority")
	fl.StringVar(&f.dir, "dir", "", "directory to make")
	fl.StringVar(&f.host, "host", "127.0.0.1", "address on which the nodes listen")
	fl.IntVar(&f.validators, "validators", 4, "number of validators: 1, or at least 4")
	fl.IntVar(&f.observers, "observers", 1, "number of gateways")
	fl.IntVar(&f.basePort, "base-port", 8080, "HTTP port of the first node; node i has i more, and links 1000 above")
	fl.Uint32Var(&f.iterations, "iterations", 0, "cost of opening a key (default: about half a second)")
	fl.Uint16Var(&f.tenorDays, "tenor-days", ledger.TenorDaysMax, "longest tenor of a voucher, days")
	fl.Uint16Var(&f.graceDays, "grace-days", 5, "days after settlement until default")
	fl.Uint64Var(&f.retain, "retain-heights", 0, "heights of blocks that validators keep at least; 0: all")
	fl.StringArrayVar(&f.holidays, "holiday", nil, "day on which banks are closed, besides weekends; repeat for more")
	fl.StringArrayVar(&f.workdays, "workday", nil, "Saturday or Sunday on which banks are open; repeat for more")
	return cmd
}

// spec turns flags into what is founded.
func (f *founding) spec(s *session) (spec genesis.Spec, err error) {
	for _, need := range []struct{ flag, value string }{
		{"--name", f.name}, {"--authority-id", f.authorityID}, {"--authority-name", f.authorityName}, {"--dir", f.dir},
	} {
		if need.value == "" {
			return spec, usage("still needed: %s", need.flag)
		}
	}
	spec = genesis.Spec{Name: f.name, Wall: s.wall(), AuthorityID: ledger.PartyID(f.authorityID), AuthorityName: f.authorityName,
		Validators: f.validators, Observers: f.observers,
		Params: ledger.Params{TenorDays: f.tenorDays, GraceDays: f.graceDays, RetainHeights: f.retain}}
	if spec.Suite, err = s.chooseSuite(f.suite); err != nil {
		return spec, err
	}
	if spec.Clock, err = pick(f.clock, []string{"real", "lab"}, []ledger.ClockMode{ledger.ClockReal, ledger.ClockLab}); err != nil {
		return spec, err
	}
	if f.start != "" {
		if spec.Start, err = parseClock(f.start); err != nil {
			return spec, err
		}
	}
	for _, list := range []struct {
		texts []string
		days  *[]ledger.Date
	}{{f.holidays, &spec.Params.Calendar.Holidays}, {f.workdays, &spec.Params.Calendar.Workdays}} {
		for _, text := range list.texts {
			d, err := parseDate(text)
			if err != nil {
				return spec, err
			}
			*list.days = append(*list.days, d)
		}
	}
	return spec, nil
}

func (s *session) found(f *founding) error {
	spec, err := f.spec(s)
	if err != nil {
		return err
	}
	n, err := genesis.Found(spec)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	if most := 65535 - genesis.LinkPortOffset - f.validators - f.observers; f.basePort < 1 || f.basePort > most {
		return usage("base port %d: choose 1 to %d", f.basePort, most)
	}
	if err := genesis.CheckEmpty(f.dir); err != nil {
		return err
	}
	secret, err := s.passphrases().GetNew("all keys of the new network")
	if err != nil {
		return err
	}
	nodes, err := n.Write(genesis.Layout{Dir: f.dir, Host: f.host, BasePort: f.basePort, Passphrase: secret, Iterations: f.iterations})
	if err != nil {
		return err
	}
	home, err := filepath.Abs(filepath.Join(f.dir, genesis.ClientDir))
	if err != nil {
		return err
	}
	id := n.Genesis.NetworkID(n.Suite)
	v := struct {
		Network string         `json:"network"`
		Name    string         `json:"name"`
		Dir     string         `json:"dir"`
		Nodes   []genesis.Node `json:"nodes"`
	}{id.String(), f.name, f.dir, nodes}
	return s.print(v, func(o *output) {
		o.line("Network %q founded in %s.", f.name, f.dir)
		o.line("Network id %s", id)
		o.line("")
		var rows [][]string
		for _, node := range nodes {
			rows = append(rows, []string{node.Name, node.Role, node.Home, node.HTTP, node.Link})
		}
		o.table([]string{"node", "role", "home", "http", "links"}, rows)
		o.line("")
		o.line("All keys are encrypted under the passphrase %s.", s.passphraseSource())
		o.line("Start a node with          aval node run --home %s", nodes[0].Home)
		o.line("Use the command line with  export AVAL_HOME=%q", home)
		o.line("Admit organisations with   aval party scope, aval credential issue, aval party onboard (see their --help)")
	})
}

// passphraseSource says where the passphrase came from, because one that was set for another purpose is easily overlooked.
func (s *session) passphraseSource() string {
	if s.passphraseFile != "" {
		return "in " + s.passphraseFile
	}
	if v, ok := s.sys.Env("AVAL_PASSPHRASE"); ok && v != "" {
		return "in $AVAL_PASSPHRASE"
	}
	return "that was typed"
}

func networkShow(s *session) *cobra.Command {
	return query(s, "show", "Ask a node which network it serves", "  aval network show", func(*binder) func(context.Context) error {
		return func(ctx context.Context) error {
			n, err := s.client.NetworkInfo(ctx)
			if err != nil {
				return err
			}
			same := ""
			if s.genesis != nil && n.ID != s.genesis.NetworkID(s.suite) {
				same = "  NOT THE NETWORK OF YOUR GENESIS"
			}
			return s.print(n, func(o *output) {
				if n.Banner != "" {
					o.line("%s", n.Banner)
				}
				o.fields("Network", n.Name, "Id", n.ID.String()+same, "Suite", n.Suite, "Clock", n.Clock, "Ledger time", when(s.wall()+n.Offset),
					"Wall time", when(n.Wall), "Height", n.Height, "Epoch", fmt.Sprint(n.Epoch), "Validators", len(n.Validators))
			})
		}
	})
}
