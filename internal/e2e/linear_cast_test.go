package e2e

import (
	"context"
	"fmt"

	"aval/api"
	"aval/client"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// trader is a party one key of which decides on everything.
type trader struct {
	id  ledger.PartyID
	key suite.Signer
}

// market is what stands on the ledger before a history: a bank, an issuer, and the holders, who have accounts and invoices among
// each other that nobody can use up.
type market struct {
	w       *world
	bank    trader
	core    trader
	holders [holders]trader
	// sales are the invoices by which holder [seller] may be paid by holder [buyer]; issued the one behind the vouchers.
	sales  [holders][holders]suite.Hash
	issued suite.Hash
}

const (
	// purse is what every holder begins with: little enough that payments are refused now and then.
	purse ledger.Fen = 1000
	// faceValue is the face of every voucher.
	faceValue ledger.Fen = 1_000_000
)

// oneKey lets one key decide.
var oneKey = []ledger.Policy{{Class: ledger.ClassMoney, Makers: 1}, {Class: ledger.ClassTrade, Makers: 1}, {Class: ledger.ClassFinance, Makers: 1}}

// newMarket opens the market through c.
func (w *world) newMarket(ctx context.Context, c *client.Client) *market {
	w.t.Helper()
	m := &market{w: w}
	authority := w.net.Keys[genesis.KeyAuthorityAdmin]
	var ops []ledger.Op
	signers := []suite.Signer{authority}
	join := func(n int, roles ledger.Role) trader {
		p, op := w.admit(n, roles)
		ops, signers = append(ops, op), append(signers, p.key)
		return p
	}
	m.bank, m.core = join(1, ledger.RoleBank), join(2, ledger.RoleCore)
	ops = append(ops, ledger.NewOp(m.bank.id, &ledger.AccountOpen{Holder: m.core.id}))
	for i := range m.holders {
		m.holders[i] = join(10+i, ledger.RoleSupplier)
		ops = append(ops, ledger.NewOp(m.bank.id, &ledger.AccountOpen{Holder: m.holders[i].id}),
			ledger.NewOp(m.bank.id, &ledger.MoneyMint{Holder: m.holders[i].id, Amount: purse}))
	}
	today := w.net.Genesis.Start.Date()
	ops = append(ops, ledger.NewOp(m.bank.id, &ledger.LimitGrant{Core: m.core.id, Purpose: ledger.LimitIssue, Amount: ledger.AmountMax,
		From: today, Until: today + 400}))
	m.do(ctx, c, ops, signers...)
	m.issued = m.invoice(ctx, c, m.holders[0], m.core)
	for seller := range m.holders {
		for buyer := range m.holders {
			if seller != buyer {
				m.sales[seller][buyer] = m.invoice(ctx, c, m.holders[seller], m.holders[buyer])
			}
		}
	}
	return m
}

func (m *market) do(ctx context.Context, c *client.Client, ops []ledger.Op, signers ...suite.Signer) *api.Outcome {
	m.w.t.Helper()
	o, err := c.Do(ctx, ops, signers...)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return o
}

// admit makes the n-th party and the operation that onboards it.
func (w *world) admit(n int, roles ledger.Role) (trader, ledger.Op) {
	w.t.Helper()
	id, err := ledger.CompleteUSCC(fmt.Sprintf("91990000H%08d", n))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := w.net.Suite.GenerateKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	g, issuer := w.net.Genesis, w.net.Keys[genesis.KeyIdentity]
	until := g.Start + 5*365*ledger.Day
	person := ledger.PersonCommitment(w.net.Suite, genesis.IssuerSecret(w.net.Suite, issuer), "person", id)
	credential, err := ledger.SignCredential(issuer, ledger.Credential{Network: g.NetworkID(w.net.Suite), Party: id, Key: key.Public(),
		Person: person, NotAfter: until})
	if err != nil {
		w.t.Fatal(err)
	}
	op := &ledger.PartyOnboard{ID: id, Name: fmt.Sprintf("Party %d", n), Scope: "/", Roles: roles, Size: ledger.SizeMedium, Policies: oneKey,
		Evidence: w.net.Suite.Hash(ledger.DomainDocument, []byte(id)),
		Members: []ledger.MemberGrant{{Key: key.Public(), Caps: ledger.CapAdmin | ledger.CapMaker, NotBefore: g.Start, NotAfter: until,
			Credential: credential}}}
	return trader{id, key}, ledger.NewOp(g.Authority.ID, op)
}

// invoice registers an invoice that seller wrote to buyer and returns its fingerprint.
func (m *market) invoice(ctx context.Context, c *client.Client, seller, buyer trader) suite.Hash {
	m.w.t.Helper()
	s, network := m.w.net.Suite, m.w.net.Genesis.NetworkID(m.w.net.Suite)
	number := fmt.Sprintf("%s-%s", seller.id, buyer.id)
	issued := m.w.net.Genesis.Start.Date() - 5
	op := &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: ledger.InvoiceFingerprint(s, network, seller.id, number),
		Twin: ledger.InvoiceTwin(s, network, seller.id, buyer.id, ledger.AmountMax, issued), Seller: seller.id, Buyer: buyer.id,
		Face: ledger.AmountMax, Issued: issued, Contract: s.Hash(ledger.DomainDocument, []byte("contract "+number)),
		Receipt: s.Hash(ledger.DomainDocument, []byte("receipt "+number))}
	m.do(ctx, c, []ledger.Op{ledger.NewOp(seller.id, op)}, seller.key)
	m.do(ctx, c, []ledger.Op{ledger.NewOp(buyer.id, &ledger.EvidenceConfirm{Fingerprint: op.Fingerprint})}, buyer.key)
	return op.Fingerprint
}

// voucher issues a voucher to holder 0, who accepts it.
func (m *market) voucher(ctx context.Context, c *client.Client) suite.Hash {
	m.w.t.Helper()
	start := m.w.net.Genesis.Start
	issue := &ledger.VoucherIssue{Payee: m.holders[0].id, Face: faceValue, Due: start.Date() + 180, Bank: m.bank.id, AcceptBy: start + 7*ledger.Day,
		Evidence: []ledger.EvidenceUse{{Invoice: m.issued, Amount: faceValue}}}
	o := m.do(ctx, c, []ledger.Op{ledger.NewOp(m.core.id, issue)}, m.core.key)
	id := ledger.DerivedID(m.w.net.Suite, o.ID, 0, 0)
	m.do(ctx, c, []ledger.Op{ledger.NewOp(m.holders[0].id, &ledger.VoucherAccept{Voucher: id})}, m.holders[0].key)
	return id
}

// holder returns the index of a party among the holders.
func (m *market) holder(id ledger.PartyID) int {
	for i := range m.holders {
		if m.holders[i].id == id {
			return i
		}
	}
	m.w.t.Errorf("%s is no holder", id)
	return 0
}
