package demo

import (
	"fmt"
	"strings"

	"aval/api"
	"aval/ledger"
	"aval/suite"
)

// Result is what one performance came to. Amounts are in fen.
type Result struct {
	Network suite.Hash `json:"network"`
	Suite   string     `json:"suite"`
	// Dir holds the nodes' homes, their logs, the genesis and the proofs.
	Dir     string `json:"dir"`
	Gateway string `json:"gateway"`
	// Nodes are the base URLs of the validators.
	Nodes []string `json:"nodes"`
	// Voucher is the case's voucher, Issued the transaction that issued it.
	Voucher    suite.Hash  `json:"voucher"`
	Issued     suite.Hash  `json:"issued"`
	Lots       []Lot       `json:"lots"`
	Financings []Financing `json:"financings"`
	Payments   []Payment   `json:"payments"`
	Balances   []Balance   `json:"balances"`
	// Interbank is what Dongjiang owes Linhai after clearing.
	Interbank ledger.Fen `json:"interbank"`
	Refusals  []Refusal  `json:"refusals"`
	// Checks are empty unless asked for.
	Checks       []Check       `json:"checks"`
	Height       ledger.Height `json:"height"`
	Transactions int           `json:"transactions"`
	ElapsedMs    int64         `json:"elapsed_ms"`
	// OK is false if a planted case or a check differs from what must be.
	OK bool `json:"ok"`
}

// Lot is one leaf lot on the day of the last financing.
type Lot struct {
	From   ledger.Fen `json:"from"`
	To     ledger.Fen `json:"to"`
	Amount ledger.Fen `json:"amount"`
	Holder string     `json:"holder"`
	Tier   int        `json:"tier"`
	Note   string     `json:"note"`
	alias  string
	pledge ledger.PartyID
}

// Financing is one lot sold to a funder.
type Financing struct {
	Date      ledger.Date `json:"date"`
	Holder    string      `json:"holder"`
	Funder    string      `json:"funder"`
	Principal ledger.Fen  `json:"principal"`
	RateBps   uint32      `json:"rate_bps"`
	Days      uint32      `json:"days"`
	Interest  ledger.Fen  `json:"interest"`
	Net       ledger.Fen  `json:"net"`
	// Registration is the number in the public registry of movable assets.
	Registration string     `json:"registration"`
	Request      suite.Hash `json:"request"`
	Tx           suite.Hash `json:"tx"`
}

// Payment is what one lot was paid at maturity.
type Payment struct {
	From   ledger.Fen `json:"from"`
	Amount ledger.Fen `json:"amount"`
	Holder string     `json:"holder"`
	// Paid is who received the money: the holder, or the pledgee.
	Paid string `json:"paid"`
	// Way says in words how the money went.
	Way string `json:"way"`
}

// Balance is one account.
type Balance struct {
	Holder  string     `json:"holder"`
	Bank    string     `json:"bank"`
	Balance ledger.Fen `json:"balance"`
	Held    ledger.Fen `json:"held"`
	alias   string
}

// Check is one thing that was verified.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail says what was compared, or what differs.
	Detail string `json:"detail"`
}

// addFinancing records a financing as the table has it; what the ledger recorded is compared with it by the checks.
func (r *Result) addFinancing(n *network, f financing, request suite.Hash, paid *done) {
	r.Financings = append(r.Financings, Financing{Date: f.day, Holder: n.parties[f.holder].name, Funder: n.parties[f.funder].name,
		Principal: f.to - f.from, RateBps: f.rateBps, Registration: f.number, Request: request, Tx: paid.id})
}

// flag records a planted case that is to be seen rather than refused.
func (r *Result) flag(name string, ok bool, detail string) {
	r.Refusals = append(r.Refusals, Refusal{Case: name, Name: "flagged", Message: detail, OK: ok})
}

// check records one verification: err says what differs, nil that nothing does.
func (r *Result) check(name, detail string, err error) {
	c := Check{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		c.Detail = err.Error()
	}
	r.Checks = append(r.Checks, c)
}

// verdict sets OK and returns an error that names everything that differs.
func (r *Result) verdict() error {
	var wrong []string
	for _, f := range r.Refusals {
		if !f.OK {
			wrong = append(wrong, fmt.Sprintf("%s: expected %s (%d), got %s (%d): %s", f.Case, f.Want, uint16(f.Want), f.Got, uint16(f.Got), f.Message))
		}
	}
	for _, c := range r.Checks {
		if !c.OK {
			wrong = append(wrong, c.Name+": "+c.Detail)
		}
	}
	if r.OK = len(wrong) == 0; r.OK {
		return nil
	}
	return fmt.Errorf("the demo differs from what must be:\n  %s", strings.Join(wrong, "\n  "))
}

// newLot describes a leaf lot in words.
func newLot(n *network, l *api.Lot) Lot {
	out := Lot{From: l.From, To: l.To, Amount: l.Amount, Note: l.Effective}
	for _, p := range n.parties {
		if p.id == l.Holder {
			out.Holder, out.Tier, out.alias = p.name, p.tier, p.alias
		}
	}
	if l.Pledge != nil {
		out.pledge = l.Pledge.Pledgee
	}
	return out
}
