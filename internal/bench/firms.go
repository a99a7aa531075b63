package bench

import (
	"context"
	"fmt"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// firm is a party whose decisions take two persons, a maker and a checker. The maker's key manages the party, too.
type firm struct {
	id             ledger.PartyID
	maker, checker suite.Signer
}

// circle is a core enterprise with its suppliers and their bank.
type circle struct {
	core      firm
	suppliers []firm
	bank      *firm
}

const (
	// circleSize is how many parties of a circle have keys of their own beside the bank, circleKeys how many keys that is.
	circleSize = 10
	circleKeys = 2 * circleSize
	// circleBanks is how many banks the circles share.
	circleBanks = 8
	// limitFen is every limit: as much as there can be.
	limitFen = ledger.AmountMax
)

// newFirm makes the keys of a firm and the operation that onboards it.
func (s *setup) newFirm(kind byte, n int, name string, roles ledger.Role) (firm, ledger.Op, error) {
	id, err := partyID(kind, n)
	if err != nil {
		return firm{}, ledger.Op{}, err
	}
	maker, err := s.newMember(ledger.CapAdmin|ledger.CapMaker, 0)
	if err != nil {
		return firm{}, ledger.Op{}, err
	}
	checker, err := s.newMember(ledger.CapChecker, 1)
	if err != nil {
		return firm{}, ledger.Op{}, err
	}
	op, err := s.admit(id, fmt.Sprintf("%s %d", name, n), roles, []ledger.Policy{}, maker, checker)
	return firm{id: id, maker: maker.signer, checker: checker.signer}, op, err
}

// newBanks onboards so many banks, whose codes begin with kind.
func (s *setup) newBanks(ctx context.Context, kind byte, count int) ([]firm, error) {
	banks := make([]firm, count)
	err := s.submit(ctx, "onboard the banks", count, func(i int) (_ *ledger.SignedTx, err error) {
		var op ledger.Op
		if banks[i], op, err = s.newFirm(kind, i, "Bank", ledger.RoleBank); err != nil {
			return nil, err
		}
		return s.tx([]ledger.Op{op}, s.authority, banks[i].maker, banks[i].checker)
	})
	return banks, err
}

// newCircles onboards circles, whose parties' codes begin with kind, opens their accounts and grants the core enterprises
// limits for issuing and financing.
func (s *setup) newCircles(ctx context.Context, kind byte, count int, banks []firm) ([]circle, error) {
	circles := make([]circle, count)
	today := s.net.Genesis.Start.Date()
	err := s.submit(ctx, fmt.Sprintf("onboard %d circles of %d firms", count, circleSize), count, func(i int) (*ledger.SignedTx, error) {
		c := &circles[i]
		c.bank = &banks[i%len(banks)]
		signers := []suite.Signer{s.authority, c.bank.maker, c.bank.checker}
		var ops []ledger.Op
		for k := range circleSize {
			name, roles := "Supplier", ledger.RoleSupplier
			if k == 0 {
				name, roles = "Core", ledger.RoleCore
			}
			f, op, err := s.newFirm(kind, i*circleSize+k, name, roles)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op, ledger.NewOp(c.bank.id, &ledger.AccountOpen{Holder: f.id}))
			signers = append(signers, f.maker, f.checker)
			if k == 0 {
				c.core = f
			} else {
				c.suppliers = append(c.suppliers, f)
			}
		}
		for _, p := range []ledger.LimitPurpose{ledger.LimitIssue, ledger.LimitFinance} {
			ops = append(ops, ledger.NewOp(c.bank.id, &ledger.LimitGrant{Core: c.core.id, Purpose: p, Amount: limitFen, From: today, Until: today + 400}))
		}
		return s.tx(ops, signers...)
	})
	return circles, err
}

// decided makes a transaction of one firm, signed by maker and checker.
func decided(s suite.Suite, network suite.Hash, validUntil ledger.Time, by *firm, bodies ...ledger.Body) (raw []byte, id suite.Hash, err error) {
	ops := make([]ledger.Op, len(bodies))
	for i, body := range bodies {
		ops[i] = ledger.NewOp(by.id, body)
	}
	tx, err := signedTx(s, network, validUntil, ops, by.maker, by.checker)
	if err != nil {
		return nil, id, err
	}
	raw, err = codec.Marshal(tx)
	return raw, tx.Tx.ID(s), err
}

// invoice returns the registration of an invoice that seller wrote to buyer, by its number.
func invoice(s suite.Suite, network suite.Hash, seller, buyer ledger.PartyID, number string, face ledger.Fen, today ledger.Date) *ledger.EvidenceRegister {
	issued := today - 5
	return &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: ledger.InvoiceFingerprint(s, network, seller, number),
		Twin: ledger.InvoiceTwin(s, network, seller, buyer, face, issued), Seller: seller, Buyer: buyer, Face: face, Issued: issued,
		Contract: s.Hash(ledger.DomainDocument, []byte("contract "+number)), Receipt: s.Hash(ledger.DomainDocument, []byte("receipt "+number))}
}
