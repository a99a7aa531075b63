package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"aval/client"
	"aval/codec"
	"aval/ledger"
)

func newTxCmd(s *session) *cobra.Command {
	return group("tx", "Transactions: drafts to be signed by several, and what became of them",
		"  aval tx show draft.tx\n  aval tx sign draft.tx --sign hc-wang\n  aval tx submit draft.tx",
		txShow(s), txSign(s), txSubmit(s), txStatus(s))
}

func mustEncode(tx *ledger.SignedTx) []byte { return codec.MustMarshal(tx) }

func txShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE|ID", Short: "Show a draft, or what became of a transaction", Example: "  aval tx show draft.tx\n  aval tx show 5f3a…",
		Args: needArgs("FILE or ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.loadGenesis(); err != nil {
				return err
			}
			tx, err := s.readDraft(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return s.showOutcome(cmd.Context(), args[0])
			}
			if err != nil {
				return err
			}
			v, err := s.viewTx(tx)
			if err != nil {
				return err
			}
			return s.print(v, func(o *output) { s.showTx(o, v) })
		},
	}
}

func (s *session) showTx(o *output, v *txView) {
	expired := ""
	if v.Expired {
		expired = " (over)"
	}
	o.fields("Transaction", v.ID, "Network", v.Network, "Submit before", when(v.ValidUntil)+expired)
	s.showOperations(o, v.Operations)
	for _, sig := range v.Signatures {
		state := "valid"
		if !sig.Valid {
			state = "NOT VALID"
		}
		o.line("Signed by %s %s: %s", sig.Key, sig.Name, state)
	}
	if len(v.Signatures) == 0 {
		o.line("Not signed yet")
	}
}

// showOutcome looks a transaction up by its id, or by the hash that includes its signatures.
func (s *session) showOutcome(ctx context.Context, text string) error {
	h, err := parseHash(text)
	if err != nil {
		return usage("%q is neither a file nor an id of 64 hexadecimal digits", text)
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	out, err := c.Transaction(ctx, h)
	if client.IsNotFound(err) {
		if attempt, aerr := c.Attempt(ctx, h); aerr == nil {
			out, err = attempt, nil
		}
	}
	if err != nil {
		return err
	}
	return s.printOutcome(out)
}

func txStatus(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status ID", Short: "Ask what became of a transaction", Example: "  aval tx status 5f3a…", Args: needArgs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error { return s.showOutcome(cmd.Context(), args[0]) },
	}
}

func txSign(s *session) *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Sign a draft after looking at it", Example: "  aval tx show draft.tx\n  aval tx sign draft.tx --sign hc-wang",
		Args: needArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(keys) == 0 {
				return usage("still needed: --sign KEY")
			}
			if err := s.loadGenesis(); err != nil {
				return err
			}
			tx, err := s.readDraft(args[0])
			if err != nil {
				return err
			}
			if tx.Tx.ValidUntil < s.wall() {
				return fmt.Errorf("%s could be submitted until %s, which is over; begin a new draft", args[0], when(tx.Tx.ValidUntil))
			}
			if err := s.sign(tx, keys); err != nil {
				return err
			}
			return s.saveDraft(args[0], tx, true, "You have signed:")
		},
	}
	cmd.Flags().StringArrayVar(&keys, "sign", nil, "sign with this key; repeat for more")
	must(cmd.RegisterFlagCompletionFunc("sign", s.completeKeys))
	return cmd
}

func txSubmit(s *session) *cobra.Command {
	f := &signing{}
	cmd := &cobra.Command{
		Use: "submit FILE", Short: "Submit a signed draft and wait for its receipt", Example: "  aval tx submit draft.tx --wait proven",
		Args: needArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			wait, err := f.waits()
			if err != nil {
				return err
			}
			if err := s.loadGenesis(); err != nil {
				return err
			}
			tx, err := s.readDraft(args[0])
			if err != nil {
				return err
			}
			if err := errors.Join(tx.CheckForm(s.genesis.NetworkID(s.suite)), tx.VerifySignatures(s.suite)); err != nil {
				return err
			}
			return s.submit(cmd.Context(), tx, wait)
		},
	}
	cmd.Flags().StringVar(&f.wait, "wait", "committed", "wait until committed or proven, or none")
	return cmd
}

// needArgs asks for exactly the named arguments.
func needArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usage("still needed: %s", names[len(args)])
		}
		if len(args) > len(names) {
			return usage("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}
