package exectest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// blocksMax bounds the blocks that one command makes.
const blocksMax = 10_000

// Run runs every transcript in dir, each in a world of its own.
func Run(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts in %s: %v", dir, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { runFile(t, path) })
	}
}

func runFile(t *testing.T, path string) {
	t.Helper()
	s := &script{}
	if err := s.fresh("intl", "lab"); err != nil {
		t.Fatal(err)
	}
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		t.Helper()
		out, err := s.command(d)
		if err != nil {
			d.Fatalf(t, "%s: %v", d.Cmd, err)
		}
		return out
	})
}

// script is one transcript and its world.
type script struct{ *World }

func (s *script) fresh(name, clock string) error {
	cs, err := suite.ByName(name)
	if err != nil {
		return err
	}
	mode := ledger.ClockLab
	if clock == "real" {
		mode = ledger.ClockReal
	}
	s.World, err = NewWorld(cs, mode)
	return err
}

// args are the arguments of a command.
type args struct{ d *datadriven.TestData }

func (a args) has(key string) bool { return a.d.HasArg(key) }

func (a args) list(key string) []string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == key {
			return slices.DeleteFunc(slices.Clone(arg.Vals), func(v string) bool { return v == "" })
		}
	}
	return nil
}

func (a args) text(key, otherwise string) string {
	if vals := a.list(key); len(vals) > 0 {
		return strings.Join(vals, ",")
	}
	return otherwise
}

// words are the arguments without a value.
func (a args) words() []string {
	var out []string
	for _, arg := range a.d.CmdArgs {
		if len(arg.Vals) == 0 {
			out = append(out, arg.Key)
		}
	}
	return out
}

func (a args) name() (string, error) {
	if w := a.words(); len(w) > 0 {
		return w[0], nil
	}
	return "", errors.New("a name is missing")
}

func (s *script) command(d *datadriven.TestData) (string, error) {
	a := args{d}
	switch d.Cmd {
	case "new":
		return "ok", s.fresh(a.text("suite", "intl"), a.text("clock", "lab"))
	case "tx", "queue":
		return s.submit(a, d.Input, d.Cmd == "queue")
	case "block":
		return s.blocks(a)
	case "resend":
		return s.resend(a)
	case "raw":
		return s.raw(a)
	case "advance":
		return s.advance(a)
	case "show":
		var words []string
		for _, arg := range d.CmdArgs {
			words = append(words, arg.Key)
		}
		if len(words) == 0 {
			return "", errors.New("show what?")
		}
		return s.show(words)
	}
	name, err := a.name()
	if err != nil {
		return "", err
	}
	switch d.Cmd {
	case "party":
		s.DeclareParty(name, ledger.PartyID(a.text("id", "")))
		return "ok", nil
	case "member":
		return "ok", s.declare(name, a)
	case "onboard":
		return s.onboard(name, a)
	case "bank":
		return s.bank(name, a)
	case "propose":
		return s.propose(name, a, d.Input)
	case "approve":
		return s.onProposal(name, a, &ledger.ProposalApprove{Proposal: s.hashes[name]})
	case "holds":
		return s.holds(name), nil
	case "withdraw":
		return s.onProposal(name, a, &ledger.ProposalWithdraw{Proposal: s.hashes[name]})
	}
	return "", errors.New("no such command")
}

// signers returns the keys that a transaction is signed by.
func (s *script) signers(a args, ops []ledger.Op) ([]*Member, error) {
	names := a.list("signers")
	if !a.has("signers") {
		for _, op := range ops {
			names = append(names, s.defaultSigners(op)...)
		}
	}
	return s.keys(append(names, a.list("also")...))
}

func (s *script) defaultSigners(op ledger.Op) []string {
	party := s.names[string(op.Party)]
	info, _ := op.Kind.Info()
	switch info.Class {
	case ledger.ClassSystem:
		return []string{"clock"}
	case ledger.ClassAdmin:
		return []string{party + ".a"}
	case ledger.ClassPropose:
		return []string{party + ".m"}
	default:
		return []string{party + ".m", party + ".c"}
	}
}

// keys resolves names of keys and of parties, which stand for their maker and checker.
func (s *script) keys(names []string) ([]*Member, error) {
	var out []*Member
	for _, name := range names {
		if _, ok := s.parties[name]; ok {
			both, err := s.keys([]string{name + ".m", name + ".c"})
			if err != nil {
				return nil, err
			}
			out = append(out, both...)
			continue
		}
		m, err := s.member(name)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (s *script) submit(a args, input string, wait bool) (string, error) {
	ops, err := s.ops(input)
	if err != nil {
		return "", err
	}
	t := s.NewTx()
	for _, n := range ops {
		t.Tx.Ops = append(t.Tx.Ops, n.op)
	}
	if a.text("network", "") == "other" {
		t.Tx.Network[0] ^= 1
	}
	if a.has("valid") {
		d, err := span(a.text("valid", ""))
		if err != nil {
			return "", err
		}
		t.Tx.ValidUntil = s.Wall + d
	}
	for i, n := range ops {
		if n.name != "" {
			s.bindIDs(n.name, t.Tx.ID(s.Suite), i)
		}
	}
	keys, err := s.signers(a, t.Tx.Ops)
	if err != nil {
		return "", err
	}
	for _, m := range keys {
		if err := t.Sign(s.Suite, m.Signer); err != nil {
			return "", err
		}
	}
	if a.has("tampered") {
		t.Sigs[0].Sig[7] ^= 1
	}
	if name := a.text("as", ""); name != "" {
		s.kept[name] = t
		s.bind("$"+name, t.Tx.ID(s.Suite))
	}
	return s.send(codec.MustMarshal(t), wait)
}

// send hands bytes to intake and, unless they wait, makes a block of them.
func (s *script) send(b []byte, wait bool) (string, error) {
	tx, err := s.Intake(b)
	if f := new(ledger.Failure); errors.As(err, &f) {
		return s.Redact("refused " + f.Error() + "\n"), nil
	}
	if wait {
		s.queue = append(s.queue, tx)
		return "queued\n", nil
	}
	receipts, err := s.Block(ledger.Second, tx)
	if err != nil {
		return "", err
	}
	if receipts[len(receipts)-1].Code != ledger.CodeOK && len(receipts) == 1 && len(s.Last.Changes) > 0 {
		return "", fmt.Errorf("a failed transaction changed %d entries", len(s.Last.Changes))
	}
	return s.receipts(receipts), nil
}

func (s *script) resend(a args) (string, error) {
	name, err := a.name()
	if err != nil {
		return "", err
	}
	t, ok := s.kept[name]
	if !ok {
		return "", fmt.Errorf("no transaction is called %q", name)
	}
	keys, err := s.keys(a.list("also"))
	if err != nil {
		return "", err
	}
	for _, m := range keys {
		if err := t.Sign(s.Suite, m.Signer); err != nil {
			return "", err
		}
	}
	return s.send(codec.MustMarshal(t), a.has("queue"))
}

func (s *script) raw(a args) (string, error) {
	if a.has("zeros") {
		n, err := strconv.Atoi(a.text("zeros", ""))
		if err != nil {
			return "", err
		}
		return s.send(make([]byte, n), false)
	}
	b, err := hex.DecodeString(a.text("hex", ""))
	if err != nil {
		return "", err
	}
	return s.send(b, false)
}

func (s *script) blocks(a args) (string, error) {
	n, err := strconv.Atoi(a.text("n", "1"))
	if err != nil || n > blocksMax {
		return "", fmt.Errorf("n=%s", a.text("n", ""))
	}
	step, err := span(a.text("wall", "+1s"))
	if err != nil {
		return "", err
	}
	var sb strings.Builder
	for range n {
		queue := s.queue
		s.queue = nil
		receipts, err := s.Block(step, queue...)
		if err != nil {
			return "", err
		}
		sb.WriteString(s.receipts(receipts))
	}
	if sb.Len() == 0 {
		return fmt.Sprintf("nothing; %d changes\n", len(s.Last.Changes)), nil
	}
	return sb.String(), nil
}

func (s *script) advance(a args) (string, error) {
	to, err := s.time(a.text("to", ""))
	if err != nil {
		return "", err
	}
	t := s.NewTx(ledger.NewOp("", &ledger.ClockAdvance{To: to}))
	if err := t.Sign(s.Suite, s.clock); err != nil {
		return "", err
	}
	out, err := s.send(codec.MustMarshal(t), false)
	if err != nil || !strings.HasPrefix(out, "ok") {
		return out, err
	}
	var sb strings.Builder
	for n := 1; s.Last.WorkLeft; n++ {
		if n > blocksMax {
			return "", fmt.Errorf("work is left after %d blocks", n)
		}
		receipts, err := s.Block(10)
		if err != nil {
			return "", err
		}
		sb.WriteString(s.receipts(receipts))
	}
	return sb.String(), nil
}

// holds binds NAME.N to the N-th hold that due-date work made in the newest block that made any.
func (s *script) holds(name string) string {
	var sb strings.Builder
	for n, ref := range s.held {
		word := fmt.Sprintf("%s.%d", name, n)
		s.hashes[word] = ref
		s.bind("$"+word, ref)
		h, _ := vm.Load[ledger.Hold](s.Journal(), ledger.HoldKey(ref))
		sb.WriteString("$" + word + " " + s.print(reflect.ValueOf(h)) + "\n")
	}
	return sb.String()
}

// receipts prints receipts. Clock stops are exact to the block's wall time, which is not worth printing.
func (s *script) receipts(receipts []ledger.Receipt) string {
	var sb strings.Builder
	for i := range receipts {
		r := &receipts[i]
		switch {
		case r.Boundary:
			sb.WriteString("boundary\n")
		case r.Code == ledger.CodeOK:
			sb.WriteString("ok\n")
		default:
			if r.FailedOp >= 0 {
				fmt.Fprintf(&sb, "op %d: ", r.FailedOp)
			}
			fmt.Fprintf(&sb, "%s: %s", r.Code, s.Redact(r.Message))
			if !r.Final {
				sb.WriteString(" (not final)")
			}
			sb.WriteString("\n")
		}
		for _, e := range r.Events {
			sb.WriteString("  " + s.event(&e) + "\n")
		}
	}
	return sb.String()
}

// event prints an event.
func (s *script) event(e *ledger.Event) string {
	out := e.Kind
	if !e.Subject.IsZero() {
		out += " " + s.Redact(e.Subject.String())
	}
	switch {
	case e.Counterparty != "":
		out += " " + s.word(reflect.ValueOf(e.Party)) + " -> " + s.word(reflect.ValueOf(e.Counterparty))
	case e.Party != "":
		out += " " + s.word(reflect.ValueOf(e.Party))
	}
	if e.To != 0 {
		out += fmt.Sprintf(" [%s, %s)", e.From, e.To)
	}
	rest := *e
	rest.Kind, rest.Subject, rest.Party, rest.Counterparty, rest.From, rest.To = "", suite.Hash{}, "", "", 0, 0
	if words := s.print(reflect.ValueOf(&rest).Elem()); words != "" {
		out += " " + words
	}
	return out
}

var _ exec.Window = (*World)(nil)
