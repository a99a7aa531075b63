package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"aval/client"
	"aval/ledger"
)

// provision onboards the sandbox parties, opens their accounts and grants the limit, in one transaction: all of it has been done or
// nothing. It tells whether the sandbox is new.
func (s *sandbox) provision(ctx context.Context, url string) (fresh bool, err error) {
	d, err := newDesk(s.network, []string{url})
	if err != nil {
		return false, err
	}
	if _, err := d.front.Party(ctx, d.p("core").id); !client.IsNotFound(err) {
		return false, err
	}
	var members []string
	var opens []act
	var holders []*party
	for _, o := range devCast[1:] {
		members = append(members, o.alias)
		if o.bank != "" {
			opens = append(opens, d.as(o.bank, &ledger.AccountOpen{Holder: d.p(o.alias).id}))
			holders = append(holders, d.p(o.alias))
		}
	}
	acts, err := d.onboarding(authority, members...)
	if err != nil {
		return false, err
	}
	today := s.genesis.Start.Date()
	acts = append(acts, opens...)
	acts = append(acts,
		d.as("bank", &ledger.LimitGrant{Core: d.p("core").id, Purpose: ledger.LimitIssue, Amount: devLimit, From: today, Until: today + keyYears*365}),
		d.as("bank", &ledger.MoneyMint{Holder: d.p("core").id, Amount: devDeposit, Ref: "deposit"}),
		d.as("bank", &ledger.MoneyMint{Holder: d.p("factor").id, Amount: devDeposit, Ref: "deposit"}))
	_, err = d.deal(acts...).allKeys(d.parties(members...)...).cosign(holders...).submit(ctx)
	return err == nil, err
}

// guide prints what a newcomer may do: a voucher of their own, from the invoice to the split.
func (s *sandbox) guide(cfg *DevConfig, url string, fresh bool) error {
	d, err := newDesk(s.network, []string{url})
	if err != nil {
		return err
	}
	info, err := d.front.NetworkInfo(context.Background())
	if err != nil {
		return err
	}
	// A ledger at rest has the time of its last block; the commands run now.
	today := max(info.Time, info.Wall+info.Offset, s.genesis.Start)
	t := newTable("Party", "Name", "Legal id", "Keys")
	for _, o := range devCast {
		p := s.parties[o.alias]
		t.row(o.alias, o.name, p.id, strings.Join([]string{p.admin.name, p.maker.name, p.checker.name}, " "))
	}
	var sb strings.Builder
	fmt.Fprintf(&sb, "Aval sandbox: one node at %s, suite %s, %s clock, ledger date %s\nHome %s\n\n", url, s.suite.Name(), info.Clock,
		today.Date(), s.home)
	if err := t.write(&sb); err != nil {
		return err
	}
	numbers := [2]string{"INV-1", "INV-7"}
	if fresh {
		fmt.Fprintf(&sb, "\n  bank has granted core a limit of %s; core and factor have %s each with bank.\n", devLimit, devDeposit)
	} else {
		// An invoice is registered once, so the commands name others each time.
		numbers = [2]string{fmt.Sprintf("INV-%d", info.Height+1), fmt.Sprintf("INV-%d", info.Height+7)}
		fmt.Fprintf(&sb, "\n  The sandbox goes on at height %d with what was done in it.\n", info.Height)
	}
	sb.WriteString("\nIn another terminal, a voucher of your own:\n\n")
	for _, line := range s.commands(cfg.Program, today.Date(), numbers) {
		sb.WriteString(line + "\n")
	}
	sb.WriteString("\nThe passphrase file is for the sandbox only: keys of value get a passphrase that stands in no file.\n" +
		"Ctrl-C stops the node; everything stays in its home, and `aval dev` goes on with it. Delete the directory to begin anew.\n")
	_, err = fmt.Fprint(cfg.Stdout, sb.String())
	return err
}

// commands are the lines to copy. Each runs as it stands in a POSIX shell, after the ones before
// it. invoices are the numbers of the two that are registered.
func (s *sandbox) commands(program string, today ledger.Date, invoices [2]string) []string {
	papers := func(name string) string { return filepath.Join("$AVAL_HOME", devPapers, name) }
	both := func(alias string) string {
		return fmt.Sprintf("--as %s --sign %s --sign %s", alias, s.parties[alias].maker.name, s.parties[alias].checker.name)
	}
	invoice := func(seller, buyer, number, face string) string {
		return fmt.Sprintf("%s evidence register --seller %s --buyer %s --number %s --face %s --issued %s \\\n    --contract %q --receipt %q %s",
			program, seller, buyer, number, face, today, papers(contractAs), papers(receiptAs), both(seller))
	}
	capture := func(name, word string) string {
		return fmt.Sprintf("  %s=$(echo \"$OUT\" | awk '$1 == %q { print $2; exit }')", name, word)
	}
	return []string{
		fmt.Sprintf("  export AVAL_HOME=%q", s.home),
		"  export AVAL_PASSPHRASE=\"$(cat \"$AVAL_HOME/" + passphraseName + "\")\"",
		"",
		"  # supplier1 has delivered to core, and supplier2 to supplier1: both register their invoices",
		"  " + invoice("supplier1", "core", invoices[0], "100,000.00"),
		"  " + invoice("supplier2", "supplier1", invoices[1], "40,000.00"),
		"",
		"  # core promises to pay in 120 days; the voucher's id is kept for the next commands",
		fmt.Sprintf("  OUT=$(%s voucher issue --payee supplier1 --face 100,000.00 --due %s --bank bank --invoice %s \\\n    --accept-by 7d %s); echo \"$OUT\"",
			program, today+120, invoices[0], both("core")),
		capture("VOUCHER", "voucher"),
		"",
		"  # supplier1 accepts, and pays supplier2 with a part of it",
		fmt.Sprintf("  %s voucher accept $VOUCHER %s", program, both("supplier1")),
		fmt.Sprintf("  OUT=$(%s voucher offer $VOUCHER --lot 0.00 --part '40,000.00 to supplier2 invoice %s' --part 'rest keep' \\\n    --accept-by 7d %s); echo \"$OUT\"",
			program, invoices[1], both("supplier1")),
		capture("OFFER", "offer"),
		fmt.Sprintf("  %s voucher accept-offer $OFFER %s", program, both("supplier2")),
		"",
		"  # who holds what now",
		fmt.Sprintf("  %s voucher lots $VOUCHER", program),
	}
}
