package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"aval/api"
	"aval/internal/config"
	"aval/ledger"
)

// reporter prints a performance: lines of the story and a progress bar while it goes on, tables in the end.
type reporter struct {
	// story receives the lines and tables; the bar, if there is one, stands on a terminal below them.
	story io.Writer
	bar   io.Writer
	done  int
	total int
	doing string
	// names are what parties are called.
	names map[ledger.PartyID]string
	// err is the first error of writing.
	err error
}

// say prints a line of the story.
func (r *reporter) say(day ledger.Date, format string, args ...any) {
	r.printf("  %s  %s\n", day, fmt.Sprintf(format, args...))
}

// printf prints above the bar.
func (r *reporter) printf(format string, args ...any) {
	r.erase()
	r.write(r.story, fmt.Sprintf(format, args...))
	r.draw()
}

// step says what is being done now; the bar grows by one.
func (r *reporter) step(doing string) {
	r.erase()
	r.done++
	r.doing = doing
	r.draw()
}

// finish removes the bar.
func (r *reporter) finish() {
	r.erase()
	r.bar = nil
}

const barWidth = 28

func (r *reporter) draw() {
	if r.bar == nil || r.total == 0 {
		return
	}
	full := min(barWidth, barWidth*(r.done-1)/r.total)
	r.write(r.bar, fmt.Sprintf("\r[%s%s] %3d %%  %s\x1b[K", strings.Repeat("=", max(full, 0)), strings.Repeat(" ", barWidth-max(full, 0)),
		100*max(r.done-1, 0)/r.total, r.doing))
}

func (r *reporter) erase() {
	if r.bar != nil && r.total > 0 {
		r.write(r.bar, "\r\x1b[K")
	}
}

func (r *reporter) write(w io.Writer, text string) {
	if _, err := io.WriteString(w, text); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *reporter) table(title string, t *table) {
	r.printf("\n%s\n\n", title)
	if err := t.write(r.story); err != nil && r.err == nil {
		r.err = err
	}
}

// result prints everything that a performance came to.
func (r *reporter) result(res *Result) {
	r.finish()
	r.lots(res)
	r.financings(res)
	r.payments(res)
	r.refusals(res)
	r.checks(res)
}

func (r *reporter) lots(res *Result) {
	t := newTable(">#", "Holder", "Tier", ">From", ">Amount", "State")
	for i, l := range res.Lots {
		tier := ""
		if l.Tier > 0 {
			tier = fmt.Sprint(l.Tier)
		}
		t.row(i+1, l.Holder, tier, l.From, l.Amount, l.Note)
	}
	t.total = []string{"", "", "", "", sum(res.Lots, func(l *Lot) ledger.Fen { return l.Amount }).String(), ""}
	r.table(fmt.Sprintf("Who holds voucher %s on %s", short(res.Voucher), dayFinance3), t)
}

func (r *reporter) financings(res *Result) {
	t := newTable("Date", "Seller", "Funder", ">Principal", ">Rate", ">Days", ">Interest", ">Net paid", "Registered as")
	for _, f := range res.Financings {
		t.row(f.Date, f.Holder, f.Funder, f.Principal, percent(f.RateBps), f.Days, f.Interest, f.Net, f.Registration)
	}
	t.total = []string{"", "", "", sum(res.Financings, func(f *Financing) ledger.Fen { return f.Principal }).String(), "", "",
		sum(res.Financings, func(f *Financing) ledger.Fen { return f.Interest }).String(),
		sum(res.Financings, func(f *Financing) ledger.Fen { return f.Net }).String(), ""}
	r.table("Financed on the car maker's credit, actual days / 360", t)
}

func (r *reporter) payments(res *Result) {
	t := newTable(">#", "Holder of the lot", "Paid to", ">Amount", "How")
	for i, p := range res.Payments {
		t.row(i+1, p.Holder, p.Paid, p.Amount, p.Way)
	}
	t.total = []string{"", "", "", sum(res.Payments, func(p *Payment) ledger.Fen { return p.Amount }).String(), ""}
	r.table(fmt.Sprintf("Cleared on %s: Huachen Auto had set the money aside, the ledger paid every holder", dayDue), t)
	t = newTable("Account of", "With", ">Balance", ">Held")
	for _, b := range res.Balances {
		t.row(b.Holder, b.Bank, b.Balance, b.Held)
	}
	r.table("Accounts afterwards", t)
	r.printf("\n  Interbank: Dongjiang Bank owes Linhai Bank %s under their mandate of %s.\n", res.Interbank, mandateCap)
}

func (r *reporter) refusals(res *Result) {
	t := newTable("Tried", "Outcome", "In the ledger's words")
	for _, f := range res.Refusals {
		outcome := f.Name
		if f.Want != 0 {
			outcome = fmt.Sprintf("%d %s", uint16(f.Got), f.Name)
		}
		if !f.OK {
			outcome = "WRONG " + outcome
		}
		t.row(f.Case, outcome, clip(r.plain(f.Message), 100))
	}
	r.table("What must not work, and did not", t)
}

func (r *reporter) checks(res *Result) {
	if len(res.Checks) == 0 {
		return
	}
	t := newTable("", "Verified", "")
	for _, c := range res.Checks {
		mark := "ok"
		if !c.OK {
			mark = "WRONG"
		}
		t.row(mark, c.Name, clip(c.Detail, 110))
	}
	r.table("Verified on every node", t)
}

// longID matches ids and keys.
var longID = regexp.MustCompile(`\b[0-9a-f]{60,70}\b`)

// plain puts names for legal ids and shortens other ids.
func (r *reporter) plain(text string) string {
	for id, name := range r.names {
		text = strings.ReplaceAll(text, string(id), name)
	}
	return longID.ReplaceAllStringFunc(text, func(id string) string { return id[:8] })
}

// clip shortens text to n runes.
func clip(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// writeJSON prints res for programs.
func writeJSON(w io.Writer, res *Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(res)
}

// lookFurther prints what a reader may try while the network is up.
func (r *reporter) lookFurther(res *Result, program, client string) {
	gateway := res.Gateway
	path := func(pattern string, args ...string) string { return gateway + api.Path(pattern, args...) }
	id := res.Voucher.String()
	r.printf("\nLook further while the network is up (this is a lab network: its clock was moved, nothing here is a real obligation)\n\n")
	for _, c := range []struct{ what, command string }{
		{"how the network is", fmt.Sprintf("%s --home %s status", program, client)},
		{"the voucher", fmt.Sprintf("%s --home %s voucher show %s", program, client, id)},
		{"its lots", fmt.Sprintf("%s --home %s voucher lots %s", program, client, id)},
		{"who passed what to whom", fmt.Sprintf("%s --home %s voucher transfers %s", program, client, id)},
		{"what a party has", fmt.Sprintf("%s --home %s party show %s", program, client, hengxin)},
		{"the same over HTTP", "curl " + path(api.PathVoucherLots, id)},
		{"a block", "curl " + path(api.PathBlock, "5")},
		{"the interface", "curl " + gateway + api.PathOpenAPI},
		{"verify a proof, offline", fmt.Sprintf("%s verify %s/%s --genesis %s/%s --lab", program, res.Dir, proofIssue, res.Dir, config.GenesisName)},
		{"logs", fmt.Sprintf("ls %s/*.log", res.Dir)},
	} {
		r.printf("  %-26s %s\n", c.what, c.command)
	}
}
