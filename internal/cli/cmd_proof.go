package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"aval/client"
	"aval/ledger"
	"aval/suite"
)

func newProofCmd(s *session) *cobra.Command {
	get := group("get", "Fetch a proof, verify it and write it to a file", "  aval proof get tx 5f3a… --out proof.cbor",
		proofGet(s, "tx ID", "Prove what became of a transaction", "  aval proof get tx 5f3a… --out proof.cbor", nil),
		proofGet(s, "state KEY", "Prove what stands under a raw state key, in hexadecimal", "  aval proof get state 1e5f3a… --out proof.cbor",
			func(a []string) ([]byte, error) { return hex.DecodeString(a[0]) }),
		proofGet(s, "party PARTY", "Prove a party's record", "  aval proof get party huachen --out proof.cbor",
			func(a []string) ([]byte, error) {
				id, err := s.party(a[0])
				return ledger.PartyKey(id), err
			}),
		proofGet(s, "voucher VOUCHER", "Prove a voucher's record", "  aval proof get voucher 5f3a… --out proof.cbor",
			func(a []string) ([]byte, error) {
				id, err := parseHash(a[0])
				return ledger.VoucherKey(id), err
			}),
		proofGet(s, "lot VOUCHER FROM", "Prove the lot that begins at a point of a voucher", "  aval proof get lot 5f3a… 3,500,000.00 --out proof.cbor",
			func(a []string) ([]byte, error) {
				id, err := parseHash(a[0])
				if err != nil {
					return nil, err
				}
				from, err := parseAmount(a[1])
				return ledger.LotKey(id, from), err
			}),
		proofGet(s, "account BANK HOLDER", "Prove an account", "  aval proof get account dongjiang huachen --out proof.cbor",
			func(a []string) ([]byte, error) {
				bank, err := s.party(a[0])
				if err != nil {
					return nil, err
				}
				holder, err := s.party(a[1])
				return ledger.AccountKey(bank, holder), err
			}))
	return group("proof", "Portable proofs, which anyone can verify with the genesis alone",
		"  aval proof get tx 5f3a… --out proof.cbor\n  aval proof show proof.cbor\n  aval verify proof.cbor --genesis genesis.cbor", get, proofShow(s), proofAccusation(s))
}

// proofGet makes the command that fetches one kind of proof; key is nil for that of a transaction.
func proofGet(s *session, use, short, example string, key func(args []string) ([]byte, error)) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: needArgs(strings.Fields(use)[1:]...),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usage("still needed: --out FILE")
			}
			if err := s.loadGenesis(); err != nil {
				return err
			}
			ctx, cancel := s.within(cmd.Context())
			defer cancel()
			p, err := s.fetchProof(ctx, args, key)
			if err != nil {
				return err
			}
			if err := writeFile(out, p.File, false); err != nil {
				return err
			}
			return s.print(newVerdictView(p.Verdict), func(o *output) {
				o.line("%s", verdictLine(p.Verdict))
				lab := ""
				if p.Verdict.Lab {
					lab = " --lab"
				}
				o.line("Written to %s (%d bytes). Verify with   aval verify %s --genesis GENESIS%s", out, len(p.File), out, lab)
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write, which must not exist")
	return cmd
}

func (s *session) fetchProof(ctx context.Context, args []string, key func([]string) ([]byte, error)) (*client.Proven, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	if key == nil {
		id, err := parseHash(args[0])
		if err != nil {
			return nil, err
		}
		return c.TransactionProof(ctx, id)
	}
	k, err := key(args)
	if err != nil {
		return nil, err
	}
	return c.StateProof(ctx, k)
}

// verdictView is what a proof shows, as JSON.
type verdictView struct {
	Valid   bool            `json:"valid"`
	Stale   bool            `json:"stale"`
	Reason  string          `json:"reason"`
	Subject string          `json:"subject"`
	Network *suite.Hash     `json:"network,omitempty"`
	Name    string          `json:"network_name"`
	Lab     bool            `json:"lab"`
	Height  ledger.Height   `json:"height"`
	Time    ledger.Time     `json:"time"`
	Wall    ledger.Time     `json:"wall"`
	Epoch   uint64          `json:"epoch,string"`
	Signers []string        `json:"signers"`
	Receipt *ledger.Receipt `json:"receipt,omitempty"`
	Key     string          `json:"key,omitempty"`
	Present bool            `json:"present"`
	Record  any             `json:"record,omitempty"`
}

func newVerdictView(v *ledger.Verdict) *verdictView {
	out := &verdictView{Valid: true, Subject: subjectText(v), Network: &v.Network, Name: v.NetworkName, Lab: v.Lab, Height: v.Height,
		Time: v.Header.Time, Wall: v.Header.Wall, Epoch: v.Header.Epoch, Signers: v.Signers, Receipt: v.Receipt, Present: v.Present}
	if v.Kind == ledger.ProofState {
		out.Key = hex.EncodeToString(v.Key)
		if v.Present {
			out.Record = decodeRecord(v.Key, v.Value)
		}
	}
	return out
}

// subjectText says in a few words what is proven.
func subjectText(v *ledger.Verdict) string {
	if r := v.Receipt; r != nil {
		if r.Boundary {
			return fmt.Sprintf("due-date work %d: %s", r.Index, r.Code)
		}
		if !r.Final {
			return fmt.Sprintf("an attempt at transaction %s, which settles nothing: %s", r.Tx, r.Code)
		}
		return fmt.Sprintf("transaction %s: %s%s", r.Tx, r.Code, eventsText(r.Events))
	}
	if !v.Present {
		return describeKey(v.Key) + ": absent"
	}
	if plain := describe(decodeRecord(v.Key, v.Value)); plain != "" {
		return fmt.Sprintf("%s, since height %d", plain, v.Written)
	}
	return fmt.Sprintf("%s: written at height %d", describeKey(v.Key), v.Written)
}

// eventsText says in a few words what happened; `aval proof show` has all of it.
func eventsText(events []ledger.Event) string {
	const most = 3
	var words []string
	for i := range events {
		text := events[i].Kind
		if events[i].Amount != 0 {
			text += " " + events[i].Amount.String()
		}
		if i == most {
			words = append(words, fmt.Sprintf("%d more", len(events)-most))
			break
		}
		words = append(words, text)
	}
	if len(words) == 0 {
		return ""
	}
	return ", " + strings.Join(words, ", ")
}

// verdictLine is the one line about a valid proof.
func verdictLine(v *ledger.Verdict) string {
	lab := ""
	if v.Lab {
		lab = " LAB"
	}
	return fmt.Sprintf("VALID%s | %s | network %s %s | height %d | time %s | epoch %d | signed by %s", lab, subjectText(v),
		v.NetworkName, v.Network, v.Height, v.Header.Time, v.Header.Epoch, strings.Join(v.Signers, ", "))
}

func proofShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Verify a proof and print what it shows in full, as JSON", Example: "  aval proof show proof.cbor --genesis genesis.cbor",
		Args: needArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := s.verifyFile(args[0], true, 0)
			if err != nil {
				return fmt.Errorf("INVALID: %w", err)
			}
			s.json = true
			return s.print(newVerdictView(v), nil)
		},
	}
}

func proofAccusation(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "accusation FILE", Short: "Verify a node's proof that validators attested a batch falsely, offline",
		Long: "A node that audits (audit = true) keeps a proof under its data directory when a batch that validators said they had\n" +
			"verified holds an invalid signature. Accusation checks such a proof against the genesis alone and prints who lied.\n\n" +
			"Exit codes: 0 proven, 1 not proven, 2 wrong usage or unreadable file.",
		Example: "  aval proof accusation data/false-attestations/5f3a….proof --genesis genesis.cbor", Args: needArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := s.loadGenesis(); err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			b, err := readFile(args[0], ledger.FalseAttestationBytesMax)
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			f, err := ledger.DecodeFalseAttestation(b)
			if err != nil {
				return fmt.Errorf("NOT PROVEN: %s is no such proof, or a damaged one: %w", args[0], err)
			}
			a, err := f.Verify(s.suite, s.genesis.NetworkID(s.suite), s.genesis.Validators)
			if err != nil {
				return fmt.Errorf("NOT PROVEN: %w", err)
			}
			return s.print(a, func(o *output) {
				o.line("PROVEN | batch %s | transaction %s has an invalid signature by key %s | said to be verified by %s",
					a.Batch, a.Tx, a.Key, strings.Join(a.Validators, ", "))
			})
		},
	}
}

// verifyFile verifies a proof file offline and moves the pinned epoch. A pin that cannot be kept is said on standard error.
func (s *session) verifyFile(path string, lab bool, maxAge ledger.Time) (*ledger.Verdict, error) {
	if err := s.loadGenesis(); err != nil {
		return nil, err
	}
	b, err := readFile(path, ledger.ProofBytesMax)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	p, err := ledger.DecodeProof(b)
	if err != nil {
		return nil, fmt.Errorf("%s is no proof, or a damaged one: %w", path, err)
	}
	pins := client.PinDir(s.inHome("pins"))
	var pin *ledger.Pin
	if s.home != "" {
		if pin, err = pins.Load(s.genesis.NetworkID(s.suite)); err != nil {
			return nil, &exitError{code: exitUsage, err: err}
		}
	}
	v, err := ledger.VerifyProof(s.suite, s.genesis, p, ledger.VerifyOptions{Lab: lab, MaxAge: maxAge, Now: s.wall(), Pin: pin})
	if v == nil {
		return nil, err
	}
	if s.home == "" {
		fmt.Fprintf(s.sys.Stderr, "Note: the verified epoch was not kept: %v\n", s.homeless())
	} else if pin == nil || pin.Epoch != v.Pin.Epoch || pin.Height != v.Pin.Height {
		if serr := pins.Save(&v.Pin); serr != nil {
			fmt.Fprintf(s.sys.Stderr, "Note: the verified epoch was not kept: %v\n", serr)
		}
	}
	return v, err
}

func newVerifyCmd(s *session) *cobra.Command {
	var lab bool
	var maxAge string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Verify a proof file with the genesis alone, offline",
		Long: "Verify checks every signature and hash in a proof file against the genesis, without asking any node, and prints one line.\n" +
			"It remembers the newest epoch it has verified and refuses histories that differ from it.\n\n" +
			"Exit codes: 0 valid, 1 invalid, 2 wrong usage or unreadable file, 3 valid but older than --max-age.",
		Example: "  aval verify proof.cbor --genesis genesis.cbor\n  aval verify proof.cbor --genesis genesis.cbor --max-age 24h --lab",
		Args:    needArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			age, err := parseSpan(maxAge)
			if err != nil {
				return fmt.Errorf("--max-age: %w", err)
			}
			if err := s.loadGenesis(); err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			v, err := s.verifyFile(args[0], lab, age)
			return s.printVerdict(v, err)
		},
	}
	cmd.Flags().BoolVar(&lab, "lab", false, "accept a lab network, whose clock can be moved")
	cmd.Flags().StringVar(&maxAge, "max-age", "0", "refuse proofs whose header is older than this `duration`, such as 24h or 7d; 0 accepts any")
	return cmd
}

// printVerdict prints the one line and returns what decides the exit code.
func (s *session) printVerdict(v *ledger.Verdict, err error) error {
	var exit *exitError
	if errors.As(err, &exit) {
		return err
	}
	var line string
	code := exitOK
	view := &verdictView{Signers: []string{}}
	switch {
	case err == nil:
		line, view = verdictLine(v), newVerdictView(v)
	case errors.Is(err, ledger.ErrStaleProof):
		line, view, code = strings.Replace(verdictLine(v), "VALID", "STALE", 1)+" | "+err.Error(), newVerdictView(v), exitStale
		view.Stale, view.Reason = true, err.Error()
	case errors.Is(err, ledger.ErrLabProof):
		line, code = "INVALID | "+err.Error()+"; --lab accepts it", exitFailed
		view.Reason = err.Error()
	default:
		line, code = "INVALID | "+err.Error(), exitFailed
		view.Reason = err.Error()
	}
	if s.json {
		b, jerr := json.Marshal(view)
		if jerr != nil {
			return jerr
		}
		line = string(b)
	}
	if _, werr := fmt.Fprintln(s.sys.Stdout, strings.ReplaceAll(line, "\n", "; ")); werr != nil {
		return werr
	}
	if code != exitOK {
		return &exitError{code: code, err: err, silent: true}
	}
	return nil
}
