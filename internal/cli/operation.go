package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
	"aval/codec"
	"aval/ledger"
)

// operation is a command that does one operation on the ledger.
type operation struct {
	// use is the command's name; the binder adds the arguments.
	use, short, example string
	// more is said in the help below the short text, if anything.
	more string
	// body declares arguments and flags and returns the body that they fill.
	body func(b *binder) ledger.Body
}

// signing are the flags that every operation command has.
type signing struct {
	as       string
	keys     []string
	draft    string
	addTo    string
	validFor time.Duration
	wait     string
}

// command makes the command of one operation.
func (o operation) command(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: o.use, Short: o.short, Example: o.example}
	b := newBinder(s, cmd)
	body := o.body(b)
	info, _ := body.Kind().Info()
	if o.more != "" {
		o.more = "\n\n" + o.more
	}
	cmd.Long = fmt.Sprintf("%s.%s\n\nOperation %s; who must sign follows from the acting party's policy for %s.", o.short, o.more, info.Name, info.Class)
	f := &signing{}
	byParty := info.Class != ledger.ClassSystem
	if byParty {
		cmd.Flags().StringVar(&f.as, "as", "", "party in whose name it is done: legal id or short name")
		b.completeParties("as")
	} else {
		cmd.Long = o.short + ".\n\nOperation " + info.Name + "; it is signed by a key of the genesis."
	}
	s.signingFlags(cmd, f)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := b.check(cmd, args); err != nil {
			return err
		}
		return f.check(byParty)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := b.resolve(cmd.Context(), args); err != nil {
			return err
		}
		var acting ledger.PartyID
		if byParty {
			var err error
			if acting, err = s.party(f.as); err != nil {
				return err
			}
		}
		return s.operate(cmd.Context(), f, ledger.NewOp(acting, body))
	}
	return cmd
}

func (s *session) signingFlags(cmd *cobra.Command, f *signing) {
	cmd.Flags().StringArrayVar(&f.keys, "sign", nil, "sign with this key; repeat for more")
	cmd.Flags().StringVar(&f.draft, "draft", "", "write the transaction to this new file instead of submitting it")
	cmd.Flags().StringVar(&f.addTo, "add-to", "", "add the operation to the draft in this file, or begin one")
	cmd.Flags().DurationVar(&f.validFor, "valid-for", 5*time.Minute, "how long a new transaction may be submitted, at most 10m")
	cmd.Flags().StringVar(&f.wait, "wait", "committed", "wait until committed or proven, or none")
	must(cmd.RegisterFlagCompletionFunc("sign", s.completeKeys))
}

// check refuses flags that do not go together.
func (f *signing) check(byParty bool) error {
	if byParty && f.as == "" {
		return usage("still needed: --as, the party in whose name it is done")
	}
	if f.draft != "" && f.addTo != "" {
		return usage("--draft begins a new file, --add-to goes on with one: choose one of them")
	}
	if len(f.keys) == 0 && f.draft == "" && f.addTo == "" {
		return usage("still needed: --sign KEY, or --draft FILE to have others sign")
	}
	if f.validFor <= 0 || ledger.Time(f.validFor.Milliseconds()) > ledger.TxWindowMax {
		return usage("--valid-for must be more than 0 and at most %s", time.Duration(ledger.TxWindowMax)*time.Millisecond)
	}
	_, err := f.waits()
	return err
}

func (f *signing) waits() (api.Wait, error) {
	return pick(f.wait, []string{"none", "committed", "proven"}, []api.Wait{api.WaitNone, api.WaitCommitted, api.WaitProven})
}

// operate puts op into a transaction, signs it, and submits it or writes the draft.
func (s *session) operate(ctx context.Context, f *signing, op ledger.Op) error {
	if err := s.loadGenesis(); err != nil {
		return err
	}
	path := f.draft
	tx := client.NewTx(s.genesis.NetworkID(s.suite), s.wall()+ledger.Time(f.validFor.Milliseconds()), op)
	if f.addTo != "" {
		path = f.addTo
		old, err := s.readDraft(path)
		switch {
		case err == nil:
			if len(old.Sigs) > 0 {
				return fmt.Errorf("%s is signed already, and another operation would make the signatures void; begin a new draft", path)
			}
			tx.Tx.Ops = append(slices.Clone(old.Tx.Ops), op)
			if len(tx.Tx.Ops) > ledger.TxOpsMax {
				return fmt.Errorf("%s has %d operations, the most in one transaction", path, ledger.TxOpsMax)
			}
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if err := s.sign(tx, f.keys); err != nil {
		return err
	}
	if path != "" {
		return s.saveDraft(path, tx, f.addTo != "", "")
	}
	wait, err := f.waits()
	if err != nil {
		return err
	}
	return s.submit(ctx, tx, wait)
}

// sign adds the signatures of the named keys.
func (s *session) sign(tx *ledger.SignedTx, keys []string) error {
	for _, name := range keys {
		signer, err := s.signer(name)
		if err != nil {
			return err
		}
		if err := s.suite.CheckPublicKey(signer.Public()); err != nil {
			return fmt.Errorf("key %s is not of the network's suite %s: %w", name, s.suite.Name(), err)
		}
		if err := tx.Sign(s.suite, signer); err != nil {
			return err
		}
	}
	return nil
}

// readDraft reads a transaction from a file. Drafts may lack signatures.
func (s *session) readDraft(path string) (*ledger.SignedTx, error) {
	b, err := readFile(path, ledger.TxBytesMax)
	if err != nil {
		return nil, err
	}
	tx, err := ledger.DecodeSignedTx(b)
	if err != nil {
		return nil, fmt.Errorf("%s is not a transaction: %w", path, err)
	}
	if network := s.genesis.NetworkID(s.suite); tx.Tx.Network != network {
		return nil, fmt.Errorf("%s is for network %s, your genesis is of %s", path, tx.Tx.Network, network)
	}
	return tx, nil
}

// saveDraft writes tx and says what to do with it. Under a heading it shows the operations, too.
func (s *session) saveDraft(path string, tx *ledger.SignedTx, replace bool, heading string) error {
	b, err := codec.Marshal(tx)
	if err != nil {
		return err
	}
	if err := writeFile(path, b, replace); err != nil {
		return err
	}
	v, err := s.viewTx(tx)
	if err != nil {
		return err
	}
	return s.print(v, func(o *output) {
		if heading != "" {
			o.line("%s", heading)
			s.showOperations(o, v.Operations)
		}
		o.line("Draft in %s: %d operation(s), %d signature(s).", path, len(tx.Tx.Ops), len(tx.Sigs))
		o.line("Others sign with   aval tx sign %s --sign KEY", path)
		o.line("then submit with   aval tx submit %s   before %s.", path, when(tx.Tx.ValidUntil))
	})
}

// submit sends tx and prints its receipt. A failed one is an error, after it was printed.
func (s *session) submit(ctx context.Context, tx *ledger.SignedTx, wait api.Wait) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	if err := s.sayIfUnreachable(ctx, c); err != nil {
		return err
	}
	out, err := c.Submit(ctx, tx, wait)
	var failed *client.FailedError
	var unknown *client.UnknownError
	switch {
	case errors.As(err, &unknown):
		return s.keepUnsettled(tx, unknown)
	case err != nil && !errors.As(err, &failed):
		return err
	}
	if perr := s.printOutcome(out); perr != nil {
		return perr
	}
	if failed != nil {
		return &exitError{code: exitFailed, err: failed, silent: true}
	}
	return nil
}

// sayIfUnreachable tells a person that no node answers now, because submitting goes on until one does or the time is over.
func (s *session) sayIfUnreachable(ctx context.Context, c *client.Client) error {
	_, err := c.NetworkInfo(ctx)
	if s.json || !errors.Is(err, client.ErrUnreachable) {
		return nil // a node that answers is asked what matters; a program waits for the end
	}
	_, err = fmt.Fprintf(s.sys.Stderr, "%v\nTrying for up to %v; Ctrl-C ends it.\n", err, s.timeout)
	return err
}

// unsettledDir is where transactions of unknown fate are kept, below the home.
const unsettledDir = "unsettled"

// unsettledError reports a transaction that may or may not take effect, and where it was kept.
type unsettledError struct {
	tx, file string
	until    ledger.Time
	cause    error
}

// Error says what is not known and how to learn it.
func (e *unsettledError) Error() string {
	text := fmt.Sprintf("it is not known whether the transaction takes effect: %v\n"+
		"It may until %s. Ask with   aval tx status %s", e.cause, when(e.until), e.tx)
	if e.file != "" {
		text += "\nor submit the very same again, which is safe, with   aval tx submit " + e.file
	}
	return text
}

// Unwrap returns why no answer came.
func (e *unsettledError) Unwrap() error { return e.cause }

// keepUnsettled keeps a transaction of unknown fate, so that the very same can be submitted again.
func (s *session) keepUnsettled(tx *ledger.SignedTx, unknown *client.UnknownError) error {
	e := &unsettledError{tx: tx.Tx.ID(s.suite).String(), until: tx.Tx.ValidUntil, cause: unknown.Cause}
	path := filepath.Join(s.inHome(unsettledDir), e.tx+".tx")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err == nil && writeFile(path, mustEncode(tx), true) == nil {
		e.file = path
	}
	return &exitError{code: exitUnknown, err: e}
}
