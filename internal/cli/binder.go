package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aval/ledger"
	"aval/suite"
)

// binder declares what a command reads from its arguments and flags, and which field each fills. Filling happens after
// parsing, in the order of declaration, when the profile is known and a node can be asked.
type binder struct {
	s     *session
	cmd   *cobra.Command
	args  []*field
	flags []*field
	// after runs once everything is filled.
	after []func(ctx context.Context) error
}

// field is one argument or flag.
type field struct {
	name     string
	values   []string // as typed; several only for a list
	list     bool
	required bool
	fill     func(ctx context.Context, text string) error
}

// optional lets the field be left out.
func (f *field) optional() *field { f.required = false; return f }

func newBinder(s *session, cmd *cobra.Command) *binder { return &binder{s: s, cmd: cmd} }

// arg declares a positional argument.
func (b *binder) arg(name string, fill func(ctx context.Context, text string) error) {
	b.args = append(b.args, &field{name: name, required: true, fill: fill})
	b.cmd.Use += " " + name
}

// flag declares a required flag with one value.
func (b *binder) flag(name, usage string, fill func(ctx context.Context, text string) error) *field {
	f := &field{name: name, required: true, fill: fill, values: make([]string, 1)}
	b.flags = append(b.flags, f)
	b.cmd.Flags().StringVar(&f.values[0], name, "", usage)
	return f
}

// each declares a required flag that may be repeated; fill runs for every value.
func (b *binder) each(name, usage string, fill func(ctx context.Context, text string) error) *field {
	f := &field{name: name, required: true, list: true, fill: fill}
	b.flags = append(b.flags, f)
	b.cmd.Flags().StringArrayVar(&f.values, name, nil, usage)
	return f
}

// then runs fn after everything is filled.
func (b *binder) then(fn func(ctx context.Context) error) { b.after = append(b.after, fn) }

// check refuses a call with arguments or flags missing, all at once.
func (b *binder) check(_ *cobra.Command, args []string) error {
	var missing []string
	for i, f := range b.args {
		if i >= len(args) {
			missing = append(missing, f.name)
		}
	}
	for _, f := range b.flags {
		if f.required && !b.cmd.Flags().Changed(f.name) {
			missing = append(missing, "--"+f.name)
		}
	}
	if len(missing) > 0 {
		return usage("still needed: %s", strings.Join(missing, ", "))
	}
	if len(args) > len(b.args) {
		return usage("%q is one argument too many", args[len(b.args)])
	}
	return nil
}

// resolve fills every field.
func (b *binder) resolve(ctx context.Context, args []string) error {
	for i, f := range b.args {
		if err := f.fill(ctx, args[i]); err != nil {
			return err
		}
	}
	for _, f := range b.flags {
		if !b.cmd.Flags().Changed(f.name) {
			continue
		}
		for _, v := range f.values {
			if err := f.fill(ctx, v); err != nil {
				return err
			}
		}
	}
	for _, fn := range b.after {
		if err := fn(ctx); err != nil {
			return err
		}
	}
	return nil
}

// into returns a filler that stores what parse reads.
func into[T any](p *T, parse func(string) (T, error)) func(context.Context, string) error {
	return func(_ context.Context, text string) (err error) {
		*p, err = parse(text)
		return err
	}
}

// id declares a positional id.
func (b *binder) id(p *suite.Hash, name string) { b.arg(name, into(p, parseHash)) }

// party declares a flag that takes a legal id or short name.
func (b *binder) party(p *ledger.PartyID, name, usage string) *field {
	f := b.flag(name, usage, into(p, b.s.party))
	b.completeParties(name)
	return f
}

func (b *binder) amount(p *ledger.Fen, name, usage string) *field {
	return b.flag(name, usage+", `yuan`", into(p, parseAmount))
}

func (b *binder) date(p *ledger.Date, name, usage string) *field {
	return b.flag(name, usage+", `YYYY-MM-DD`", into(p, parseDate))
}

// moment declares a flag that takes a time, a date or a duration.
func (b *binder) moment(p *ledger.Time, name, usage string) *field {
	return b.flag(name, usage+": `time`, date or duration", func(ctx context.Context, text string) (err error) {
		*p, err = b.s.parseMoment(ctx, text)
		return err
	})
}

func (b *binder) text(p *string, name, usage string) *field {
	return b.flag(name, usage, into(p, func(text string) (string, error) { return text, nil }))
}

// document declares a flag that takes a file or its fingerprint.
func (b *binder) document(p *suite.Hash, name, usage string) *field {
	return b.flag(name, usage+": a `file`, or its fingerprint", into(p, b.s.document))
}

// key declares a flag that takes a key's name or its hexadecimal digits.
func (b *binder) key(p *suite.PublicKey, name, usage string) *field {
	return b.flag(name, usage+": a `key`'s name, or hexadecimal digits", into(p, b.s.publicKey))
}

func (b *binder) yes(p *bool, name, usage string) { b.cmd.Flags().BoolVar(p, name, false, usage) }

// stretch declares the range [from, from + amount) of a voucher.
func (b *binder) stretch(from, to *ledger.Fen) {
	var amount ledger.Fen
	b.amount(from, "from", "where the range begins in the voucher").optional()
	b.amount(&amount, "amount", "how long the range is")
	b.then(func(context.Context) (err error) {
		*to, err = from.Add(amount)
		return err
	})
}

// completeParties offers the profile's short names for a flag.
func (b *binder) completeParties(flag string) {
	must(b.cmd.RegisterFlagCompletionFunc(flag, b.s.offerParties))
}

// offerParties offers the profile's short names.
func (s *session) offerParties(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s.resolveHome()
	p, err := s.loadProfile()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for name := range p.Parties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeKeys offers the names of the user's keys.
func (s *session) completeKeys(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s.resolveHome()
	dir, err := s.keys()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	entries, err := dir.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// flagWords are the words that flags of a name take, whatever the command.
var flagWords = []struct {
	flag  string
	words []string
}{
	{"wait", []string{"none", "committed", "proven"}}, {"suite", []string{"sm", "intl"}}, {"clock", []string{"real", "lab"}},
	{"purpose", []string{"issue", "finance"}}, {"proceeds", []string{"pledgee", "deposit"}}, {"basis", []string{"360", "365"}}, {"size", sizeNames},
	{"role", []string{"validator", "gateway"}}, {"log-level", []string{"debug", "info", "warn", "error"}}, {"log-format", []string{"text", "json"}},
}

// completeArgs offers parties, keys, words and files where they belong, and nothing elsewhere.
func (s *session) completeArgs(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		s.completeArgs(c)
	}
	for _, f := range flagWords {
		if cmd.Flags().Lookup(f.flag) != nil {
			must(cmd.RegisterFlagCompletionFunc(f.flag, cobra.FixedCompletions(f.words, cobra.ShellCompDirectiveNoFileComp)))
		}
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
		names := strings.Fields(cmd.Use)[1:]
		if len(args) >= len(names) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		switch name := names[len(args)]; {
		case name == "PARTY" || name == "BANK" || name == "HOLDER":
			return s.offerParties(cmd, args, text)
		case name == "NAME" && cmd.Parent().Name() == "key" && cmd.Name() != "new":
			return s.completeKeys(cmd, args, text)
		case strings.Contains(name, "FILE"):
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// must stops the program at start if a command is declared wrongly.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
