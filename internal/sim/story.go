package sim

import (
	"fmt"
	"slices"
	"time"

	"aval/internal/sim/check"
	"aval/ledger"
	"aval/suite"
)

// coreFen is what the core enterprise has, supplierFen each supplier.
const (
	coreFen     ledger.Fen = 1_000_000_000_00
	supplierFen ledger.Fen = 1_000_000_00
)

// by makes an operation of a firm, signed by its maker and checker.
func by(f *firm, body ledger.Body) ([]ledger.Op, []suite.Signer) {
	return []ledger.Op{ledger.NewOp(f.id, body)}, []suite.Signer{f.maker, f.checker}
}

// begin starts all clients: the parties are admitted, then they live.
func (c *clients) begin() {
	cast := c.w.cast
	firms := []*firm{&cast.bank, &cast.core}
	for i := range cast.suppliers {
		firms = append(firms, &cast.suppliers[i])
	}
	onboard := func(*lane, ledger.Time) (ops []ledger.Op, signers []suite.Signer) {
		signers = append(signers, cast.authority.maker)
		for _, f := range firms {
			op, err := cast.onboard(f)
			if err != nil {
				c.w.judge.Report(check.Progress, "a credential cannot be signed: %v", err)
			}
			ops, signers = append(ops, op), append(signers, f.maker, f.checker)
		}
		return ops, signers
	}
	accounts := func(*lane, ledger.Time) (ops []ledger.Op, signers []suite.Signer) {
		for _, f := range firms {
			signers = append(signers, f.maker, f.checker)
			if f == &cast.bank {
				continue
			}
			amount := supplierFen
			if f == &cast.core {
				amount = coreFen
			}
			ops = append(ops, ledger.NewOp(cast.bank.id, &ledger.AccountOpen{Holder: f.id}),
				ledger.NewOp(cast.bank.id, &ledger.MoneyMint{Holder: f.id, Amount: amount}))
		}
		today := start.Date()
		for _, p := range []ledger.LimitPurpose{ledger.LimitIssue, ledger.LimitFinance} {
			ops = append(ops, ledger.NewOp(cast.bank.id, &ledger.LimitGrant{Core: cast.core.id, Purpose: p, Amount: coreFen, From: today, Until: today + 400}))
		}
		return ops, signers
	}
	c.add(&lane{name: "setup", steps: []step{onboard, accounts}, finished: c.live})
}

// live starts the clients of the parties.
func (c *clients) live() {
	c.ready = true
	r := c.w.story
	trades := 2
	for i := range trades {
		l := c.add(c.trade(i, r.IntN(2) == 0))
		l.finished = func() {
			if trades--; trades == 0 && r.IntN(2) == 0 {
				c.add(c.maturity())
			}
		}
	}
	c.add(c.payments("payments", 3+r.IntN(5)))
	c.after(c.mischief)
}

func (c *clients) after(fn func()) {
	c.w.after(spread(c.w.story, 50*time.Millisecond, 900*time.Millisecond), fn)
}

// dueDays is how long vouchers run.
const dueDays = 3

// trade is the life of one voucher: two invoices, issue, acceptance, a part passed on and accepted; financed, that part is sold
// to the bank.
func (c *clients) trade(i int, financed bool) *lane {
	cast, r := c.w.cast, c.w.story
	first := r.IntN(suppliers)
	second := (first + 1 + r.IntN(suppliers-1)) % suppliers
	a, b := &cast.suppliers[first], &cast.suppliers[second]
	face := ledger.Fen(1000 + r.IntN(1_000_000))
	part := 1 + ledger.Fen(r.Int64N(int64(face-1)))
	today := start.Date()
	sale := c.invoice(a, cast.core.id, fmt.Sprintf("A-%d", i), face)
	purchase := c.invoice(b, a.id, fmt.Sprintf("B-%d", i), part)
	soon := func(now ledger.Time) ledger.Time { return now + ledger.Day }
	made := func(l *lane, step, n int) suite.Hash { return ledger.DerivedID(c.w.suite, l.ids[step], 0, n) }
	steps := []step{
		func(*lane, ledger.Time) ([]ledger.Op, []suite.Signer) { return by(a, sale) },
		func(*lane, ledger.Time) ([]ledger.Op, []suite.Signer) { return by(b, purchase) },
		func(_ *lane, now ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(&cast.core, &ledger.VoucherIssue{Payee: a.id, Face: face, Due: today + dueDays, Bank: cast.bank.id, AcceptBy: soon(now),
				Evidence: []ledger.EvidenceUse{{Invoice: sale.Fingerprint, Amount: face}}})
		},
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(a, &ledger.VoucherAccept{Voucher: made(l, 2, 0)})
		},
		func(l *lane, now ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(a, &ledger.VoucherOffer{Voucher: made(l, 2, 0), AcceptBy: soon(now), Parts: []ledger.OfferPart{
				{Amount: face - part, Evidence: []ledger.EvidenceUse{}},
				{Amount: part, To: b.id, Evidence: []ledger.EvidenceUse{{Invoice: purchase.Fingerprint, Amount: part}}, Discharge: ledger.DischargeAtPayment},
			}})
		},
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(b, &ledger.OfferAccept{Offer: made(l, 4, 1)})
		},
	}
	if financed {
		steps = append(steps, c.finance(b, face-part, face, made)...)
	}
	steps = append(steps, func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
		return by(&cast.core, &ledger.VoucherFund{Voucher: made(l, 2, 0), Amount: face})
	})
	return &lane{name: fmt.Sprintf("trade %d", i), steps: steps}
}

// rateBps is at what rate the bank buys.
const rateBps = 345

// finance sells [from, to) of the voucher of step 2 to the bank.
func (c *clients) finance(holder *firm, from, to ledger.Fen, made func(l *lane, step, n int) suite.Hash) []step {
	cast := c.w.cast
	until := start + 2*ledger.Day
	terms := ledger.QuoteTerms{RateBps: rateBps, Basis: 360, PayBank: cast.bank.id, ValidUntil: until}
	request := func(l *lane) suite.Hash { return made(l, 6, 0) }
	return []step{
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(holder, &ledger.FinanceRequest{Voucher: made(l, 2, 0), From: from, To: to, AcceptBy: until, Funders: []ledger.PartyID{cast.bank.id}})
		},
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(&cast.bank, &ledger.FinanceQuote{Request: request(l), RateBps: rateBps, Basis: 360, PayBank: cast.bank.id, ValidUntil: until})
		},
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(holder, &ledger.FinanceAccept{Request: request(l), Funder: cast.bank.id, Terms: terms})
		},
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(&cast.bank, &ledger.FinanceApprove{Request: request(l)})
		},
		func(l *lane, _ ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(&cast.bank, &ledger.FinanceRegister{Request: request(l), Number: "REG-" + l.name, At: start - ledger.Hour})
		},
		func(l *lane, now ledger.Time) ([]ledger.Op, []suite.Signer) {
			days := cast.genesis.Params.Calendar.Following(start.Date()+dueDays) - now.Date()
			interest, err := ledger.Interest(to-from, rateBps, uint32(days), 360)
			if err != nil {
				c.w.judge.Report(check.Progress, "interest: %v", err)
			}
			return by(&cast.bank, &ledger.FinanceDisburse{Request: request(l), Net: to - from - interest})
		},
	}
}

// invoice returns the registration of an invoice that seller wrote to buyer.
func (c *clients) invoice(seller *firm, buyer ledger.PartyID, number string, face ledger.Fen) *ledger.EvidenceRegister {
	s, network, issued := c.w.suite, c.w.cast.network, start.Date()-5
	return &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: ledger.InvoiceFingerprint(s, network, seller.id, number),
		Twin: ledger.InvoiceTwin(s, network, seller.id, buyer, face, issued), Seller: seller.id, Buyer: buyer, Face: face, Issued: issued,
		Contract: s.Hash(ledger.DomainDocument, []byte("contract "+number)), Receipt: s.Hash(ledger.DomainDocument, []byte("receipt "+number))}
}

// payments is a supplier that pays others little by little, and does not care whether a payment was made when it expired.
func (c *clients) payments(name string, count int) *lane {
	cast, r := c.w.cast, c.w.story
	l := &lane{name: name, careless: true}
	for range count {
		from := r.IntN(suppliers)
		to := (from + 1 + r.IntN(suppliers-1)) % suppliers
		amount := ledger.Fen(1 + r.IntN(1000))
		l.steps = append(l.steps, func(*lane, ledger.Time) ([]ledger.Op, []suite.Signer) {
			return by(&cast.suppliers[from], &ledger.MoneyTransfer{Bank: cast.bank.id, To: cast.suppliers[to].id, ToBank: cast.bank.id, Amount: amount})
		})
	}
	return l
}

// nudge is something harmless that makes a block.
func (c *clients) nudge() *lane {
	cast := c.w.cast
	return &lane{name: "nudge", careless: true, steps: []step{func(*lane, ledger.Time) ([]ledger.Op, []suite.Signer) {
		path := ledger.Scope(fmt.Sprintf("/nudge-%d", c.salt))
		return []ledger.Op{ledger.NewOp(cast.authority.id, &ledger.ScopeOpen{Path: path, Authority: cast.authority.id})}, []suite.Signer{cast.authority.maker}
	}}}
}

// maturity moves the lab clock beyond the due date of all vouchers.
func (c *clients) maturity() *lane {
	return &lane{name: "maturity", steps: []step{func(_ *lane, now ledger.Time) ([]ledger.Op, []suite.Signer) {
		due := c.w.cast.genesis.Params.Calendar.Following(start.Date() + dueDays).Start()
		return []ledger.Op{ledger.NewOp("", &ledger.ClockAdvance{To: max(due, now) + ledger.Hour})}, []suite.Signer{c.w.cast.clock}
	}}}
}

// mischief submits, now and then, what must be refused or must happen once: too much money, a broken signature, one payment at
// all nodes at once, the same one half signed.
func (c *clients) mischief() {
	if c.stop || c.w.healed {
		return
	}
	w, cast := c.w, c.w.cast
	from, to := w.story.IntN(suppliers), w.story.IntN(suppliers)
	amount := ledger.Fen(1 + w.story.IntN(100))
	if w.story.IntN(3) == 0 {
		amount = coreFen
	}
	ops, signers := by(&cast.suppliers[from], &ledger.MoneyTransfer{Bank: cast.bank.id, To: cast.suppliers[to].id, ToBank: cast.bank.id, Amount: amount})
	broken, half := w.story.IntN(4) == 0, w.story.IntN(4) == 0
	if half {
		signers = signers[:1]
	}
	_, raw := c.sign(ops, signers, c.wall()+c.window())
	if broken {
		raw = slices.Clone(raw)
		raw[len(raw)-1-w.story.IntN(20)] ^= 1
	}
	for _, n := range w.nodes {
		if n.up && w.story.IntN(3) > 0 {
			n.do(func() {
				if _, err := n.intake.Admit(raw); err != nil {
					w.counts["refused"]++
				}
			})
		}
	}
	c.after(c.mischief)
}
