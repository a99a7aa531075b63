package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
	"aval/ledger"
)

// version is stamped by the linker; a plain `go build` leaves it empty.
var version string

// The exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitStale   = 3
	exitUnknown = 4
	exitQuorum  = 5
	timeoutText = "60s"
)

// System is what the command line has of the machine.
type System struct {
	Stdin          *os.File
	Stdout, Stderr io.Writer
	// Env looks up the environment, Environ lists it.
	Env     func(string) (string, bool)
	Environ func() []string
	// Now is the wall clock.
	Now func() time.Time
}

// Machine returns the real System.
func Machine() System {
	return System{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.LookupEnv, Environ: os.Environ, Now: time.Now}
}

// exitError is an error with an exit code of its own. A silent one has been printed already.
type exitError struct {
	code   int
	err    error
	silent bool
}

// Error returns the cause's text.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// usage makes an error about how a command was called.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// Main runs one command and returns the exit code.
func Main(ctx context.Context, sys System, args []string) int {
	s := &session{sys: sys}
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(sys.Stdin)
	root.SetOut(sys.Stdout)
	root.SetErr(sys.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
		if exit.silent {
			return code
		}
	} else if isCobraUsage(err) {
		code = exitUsage
	}
	s.printError(err, advise(err, code, cmd))
	return code
}

// isCobraUsage recognises what cobra itself refuses, for which it has no types.
func isCobraUsage(err error) bool {
	for _, prefix := range []string{"unknown command", "unknown flag", "unknown shorthand", "required flag", "invalid argument",
		"flag needs an argument", "accepts ", "requires ", "if any flags in the group", "bad flag syntax"} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}

// printError writes err, and a hint if there is one, to standard error, as JSON if asked.
func (s *session) printError(err error, hint string) {
	if !s.json {
		fmt.Fprintf(s.sys.Stderr, "Error: %s\n", s.names().Replace(err.Error()))
		if hint != "" {
			fmt.Fprintln(s.sys.Stderr, hint)
		}
		return
	}
	out := struct {
		Error struct {
			Message string      `json:"message"`
			Code    ledger.Code `json:"code"`
			Name    string      `json:"name"`
			Hint    string      `json:"hint"`
			// Tx and File are of a transaction of which it is not known whether it takes effect.
			Tx   string `json:"tx,omitempty"`
			File string `json:"file,omitempty"`
		} `json:"error"`
	}{}
	out.Error.Message, out.Error.Hint = err.Error(), hint
	var exit *exitError
	switch {
	case errors.Is(err, client.ErrUnreachable):
		out.Error.Name = "UNREACHABLE"
	case errors.As(err, &exit) && exit.code == exitUsage || isCobraUsage(err):
		out.Error.Name = "USAGE"
	}
	if code, ok := client.CodeOf(err); ok {
		out.Error.Code, out.Error.Name = code, code.String()
	}
	var p *api.Problem
	if errors.As(err, &p) {
		out.Error.Name, out.Error.Hint = p.Name, p.Hint
	}
	var unsettled *unsettledError
	if errors.As(err, &unsettled) {
		out.Error.Name, out.Error.Tx, out.Error.File = "UNSETTLED", unsettled.tx, unsettled.file
	}
	b, jerr := json.MarshalIndent(out, "", "  ")
	if jerr != nil {
		b = []byte(jerr.Error())
	}
	fmt.Fprintln(s.sys.Stderr, string(b))
}

// advise says what to do next after errors that come from below, and where to look after wrong usage.
func advise(err error, code int, cmd *cobra.Command) string {
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return "Is a node running? Name one with --node URL, or in client.toml."
	case errors.Is(err, client.ErrNoGenesis):
		return "Name it with --genesis FILE, or in client.toml."
	case code == exitUsage:
		return fmt.Sprintf("See %q.", cmd.CommandPath()+" --help")
	}
	return ""
}

func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "aval",
		Short: "One ledger for promises to pay, run together by companies and banks",
		Long: "Aval runs nodes of a permissioned ledger of payable vouchers, and is the command line of those who use it.\n\n" +
			"Amounts are in yuan (12,000,000.00), dates are YYYY-MM-DD, times YYYY-MM-DDTHH:MM, both at UTC+8; a duration such as\n" +
			"72h or 7d counts from the ledger's time. Parties are legal ids or the short names of your profile.\n\n" +
			"Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 a proof older than --max-age (aval verify); 4 not known whether the\n" +
			"transaction takes effect, and how to learn it is said; 5 the network has lost its quorum (aval status). With --json, results are on standard output and errors on standard error.",
		Example:       "  aval dev                                   # try it out on one node\n  aval party show huachen\n  aval voucher show 5f3a…\n  aval verify proof.cbor --genesis genesis.cbor",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	s.globalFlags(root)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{code: exitUsage, err: err} })
	root.AddGroup(&cobra.Group{ID: "ledger", Title: "On the ledger:"}, &cobra.Group{ID: "tools", Title: "Keys, transactions, proofs:"},
		&cobra.Group{ID: "node", Title: "Nodes and networks:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("ledger", newPartyCmd(s), newMoneyCmd(s), newLimitCmd(s), newEvidenceCmd(s), newVoucherCmd(s), newFinanceCmd(s),
		newProposalCmd(s), newClockCmd(s))
	add("tools", newKeyCmd(s), newCredentialCmd(s), newTxCmd(s), newProofCmd(s), newVerifyCmd(s), newProfileCmd(s))
	add("node", newNetworkCmd(s), newConfigCmd(s), newStatusCmd(s), newDoctorCmd(s))
	addNodeCommands(s, add)
	root.AddCommand(newVersionCmd(s))
	s.completeArgs(root)
	return root
}

// globalFlags declares what every command understands.
func (s *session) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.StringVar(&s.home, "home", "", "directory of profile and keys, or of a node (default $AVAL_HOME, else ~/.aval)")
	f.StringArrayVar(&s.nodes, "node", nil, "URL of a node; repeat for more (default $AVAL_NODES, else from client.toml)")
	f.StringVar(&s.genesisPath, "genesis", "", "genesis file of the network (default from client.toml)")
	f.StringVar(&s.passphraseFile, "passphrase-file", "", "file with the passphrase of your keys (default $AVAL_PASSPHRASE, else asked)")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "how long to try at most")
	root.PersistentPreRun = func(*cobra.Command, []string) { s.resolveHome() }
}

// resolveHome fills in the default home. Without any it stays empty, which only matters to what needs one; see homeless.
func (s *session) resolveHome() {
	if s.home != "" {
		return
	}
	if home, ok := s.sys.Env("AVAL_HOME"); ok && home != "" {
		s.home = home
	} else if user, ok := s.sys.Env("HOME"); ok && user != "" {
		s.home = filepath.Join(user, ".aval")
	}
}

// homeless is the error of what needs a home when there is none.
func (s *session) homeless() error {
	if s.home == "" {
		return usage("neither --home, $AVAL_HOME nor $HOME says where your profile and keys are")
	}
	return nil
}

// programVersion returns what the linker stamped, else what the Go tool recorded.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
				return setting.Value[:12]
			}
		}
	}
	return "devel"
}

func newVersionCmd(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  aval version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.print(map[string]string{"version": programVersion()}, func(o *output) { o.line("aval %s", programVersion()) })
		},
	}
}
