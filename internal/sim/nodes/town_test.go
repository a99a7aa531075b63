package nodes

import (
	"fmt"
	"math/rand/v2"

	"aval/codec"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// firm is a party that decides with a maker and a checker.
type firm struct {
	id             ledger.PartyID
	maker, checker suite.Signer
}

// town is who trades: a bank, a core enterprise and its suppliers.
type town struct {
	suite     suite.Suite
	net       *genesis.Network
	id        suite.Hash // of the network
	keys      *rand.ChaCha8
	bank      firm
	core      firm
	suppliers []firm
}

const suppliers = 3

// firm makes the keys of a party and the operation that onboards it.
func (t *town) firm(kind byte, n int, roles ledger.Role) (firm, ledger.Op, error) {
	id, err := ledger.CompleteUSCC(fmt.Sprintf("91990000%c%08d", kind, n))
	if err != nil {
		return firm{}, ledger.Op{}, err
	}
	g := t.net.Genesis
	issuer := t.net.Keys[genesis.KeyIdentity]
	until := g.Start + 5*365*ledger.Day
	op := &ledger.PartyOnboard{ID: id, Name: fmt.Sprintf("Firm %c%d", kind, n), Scope: "/", Roles: roles, Size: ledger.SizeMedium,
		Policies: []ledger.Policy{}, Evidence: t.suite.Hash(ledger.DomainDocument, []byte(id))}
	var signers []suite.Signer
	for i, caps := range []ledger.Capability{ledger.CapAdmin | ledger.CapMaker, ledger.CapChecker} {
		key, err := t.suite.GenerateKey(t.keys)
		if err != nil {
			return firm{}, ledger.Op{}, err
		}
		person := ledger.PersonCommitment(t.suite, genesis.IssuerSecret(t.suite, issuer), fmt.Sprint("person ", i), id)
		c, err := ledger.SignCredential(issuer, ledger.Credential{Network: t.id, Party: id, Key: key.Public(), Person: person, NotAfter: until})
		if err != nil {
			return firm{}, ledger.Op{}, err
		}
		op.Members = append(op.Members, ledger.MemberGrant{Key: key.Public(), Caps: caps, NotBefore: g.Start, NotAfter: until, Credential: c})
		signers = append(signers, key)
	}
	return firm{id, signers[0], signers[1]}, ledger.NewOp(g.Authority.ID, op), nil
}

// founding returns the transactions that found the town, to be committed one after another.
func (t *town) founding(now ledger.Time) (txs []*ledger.SignedTx, err error) {
	var bank, op ledger.Op
	if t.bank, bank, err = t.firm('B', 0, ledger.RoleBank); err != nil {
		return nil, err
	}
	authority := t.net.Keys[genesis.KeyAuthorityAdmin]
	first, err := t.tx(now, []ledger.Op{bank}, authority, t.bank.maker, t.bank.checker)
	if err != nil {
		return nil, err
	}
	var ops []ledger.Op
	signers := []suite.Signer{authority, t.bank.maker, t.bank.checker}
	for i := range suppliers + 1 {
		roles := ledger.RoleSupplier
		if i == 0 {
			roles = ledger.RoleCore
		}
		var f firm
		if f, op, err = t.firm('A', i, roles); err != nil {
			return nil, err
		}
		ops = append(ops, op, ledger.NewOp(t.bank.id, &ledger.AccountOpen{Holder: f.id}))
		signers = append(signers, f.maker, f.checker)
		if i == 0 {
			t.core = f
		} else {
			t.suppliers = append(t.suppliers, f)
		}
	}
	today := now.Date()
	for _, p := range []ledger.LimitPurpose{ledger.LimitIssue, ledger.LimitFinance} {
		ops = append(ops, ledger.NewOp(t.bank.id, &ledger.LimitGrant{Core: t.core.id, Purpose: p, Amount: ledger.AmountMax, From: today, Until: today + 300}))
	}
	second, err := t.tx(now, ops, signers...)
	return []*ledger.SignedTx{first, second}, err
}

// window is how long transactions may take to be included.
const window = 2 * ledger.Minute

// tx makes a signed transaction.
func (t *town) tx(now ledger.Time, ops []ledger.Op, signers ...suite.Signer) (*ledger.SignedTx, error) {
	tx := &ledger.SignedTx{Tx: ledger.Tx{Version: ledger.TxVersion, Network: t.id, ValidUntil: now + window, Ops: ops}}
	if _, err := t.keys.Read(tx.Tx.Salt[:]); err != nil {
		return nil, err
	}
	for _, s := range signers {
		if err := tx.Sign(t.suite, s); err != nil {
			return nil, err
		}
	}
	return tx, nil
}

// step is one transaction of a story: who decides what. It is made when its turn comes.
type step struct {
	by   *firm
	body ledger.Body
}

// story is the life of one voucher as far as it needs no due date: invoices, issue, acceptance, a part passed on, that part
// accepted; then perhaps financed, and some money of it moved. make is called with the ids of the transactions before.
type story struct {
	town          *town
	number        string
	first, second *firm
	finance       bool
	now           ledger.Time
}

const (
	faceFen ledger.Fen = 10_000_00
	partFen ledger.Fen = 4_000_00
	// tenor is how many days vouchers run.
	tenor = 60
	// rateBps is at what rate parts are sold.
	rateBps = 360
)

// story draws one.
func (t *town) story(rng *rand.Rand, number string, now ledger.Time) *story {
	first := rng.IntN(len(t.suppliers))
	second := (first + 1 + rng.IntN(len(t.suppliers)-1)) % len(t.suppliers)
	return &story{town: t, number: number, first: &t.suppliers[first], second: &t.suppliers[second], finance: rng.IntN(2) == 0, now: now}
}

// step returns step k, given the ids of the transactions before; false after the last.
func (s *story) step(k int, ids []suite.Hash) (step, bool) {
	t := s.town
	made := func(k, n int) suite.Hash { return ledger.DerivedID(t.suite, ids[k], 0, n) }
	accept := s.now + 5*ledger.Day
	sale, purchase := s.invoice(s.first.id, t.core.id, "A", faceFen), s.invoice(s.second.id, s.first.id, "B", partFen)
	switch k {
	case 0:
		return step{s.first, sale}, true
	case 1:
		return step{s.second, purchase}, true
	case 2:
		return step{&t.core, &ledger.VoucherIssue{Payee: s.first.id, Face: faceFen, Due: s.now.Date() + tenor, Bank: t.bank.id, AcceptBy: accept,
			Evidence: []ledger.EvidenceUse{{Invoice: sale.Fingerprint, Amount: faceFen}}}}, true
	case 3:
		return step{s.first, &ledger.VoucherAccept{Voucher: made(2, 0)}}, true
	case 4:
		return step{s.first, &ledger.VoucherOffer{Voucher: made(2, 0), AcceptBy: accept, Parts: []ledger.OfferPart{
			{Amount: faceFen - partFen, Evidence: []ledger.EvidenceUse{}},
			{Amount: partFen, To: s.second.id, Evidence: []ledger.EvidenceUse{{Invoice: purchase.Fingerprint, Amount: partFen}},
				Discharge: ledger.DischargeAtPayment},
		}}}, true
	case 5:
		return step{s.second, &ledger.OfferAccept{Offer: made(4, 1)}}, true
	}
	if !s.finance {
		return step{}, false
	}
	return s.financing(k, made, accept)
}

func (s *story) financing(k int, made func(k, n int) suite.Hash, accept ledger.Time) (step, bool) {
	t := s.town
	terms := ledger.QuoteTerms{RateBps: rateBps, Basis: 360, PayBank: t.bank.id, ValidUntil: accept}
	switch k {
	case 6:
		return step{s.second, &ledger.FinanceRequest{Voucher: made(2, 0), From: faceFen - partFen, To: faceFen, AcceptBy: accept,
			Funders: []ledger.PartyID{t.bank.id}}}, true
	case 7:
		return step{&t.bank, &ledger.FinanceQuote{Request: made(6, 0), RateBps: terms.RateBps, Basis: terms.Basis, PayBank: terms.PayBank,
			ValidUntil: terms.ValidUntil}}, true
	case 8:
		return step{s.second, &ledger.FinanceAccept{Request: made(6, 0), Funder: t.bank.id, Terms: terms}}, true
	case 9:
		return step{&t.bank, &ledger.FinanceApprove{Request: made(6, 0)}}, true
	case 10:
		return step{&t.bank, &ledger.FinanceRegister{Request: made(6, 0), Number: "REG-" + s.number, At: s.now - ledger.Hour}}, true
	case 11:
		calendar := &t.net.Genesis.Params.Calendar
		interest, err := ledger.Interest(partFen, rateBps, uint32(calendar.Following(s.now.Date()+tenor)-s.now.Date()), 360)
		if err != nil {
			return step{}, false
		}
		return step{&t.bank, &ledger.FinanceDisburse{Request: made(6, 0), Net: partFen - interest}}, true
	case 12, 13, 14:
		return step{s.second, &ledger.MoneyTransfer{Bank: t.bank.id, To: s.first.id, ToBank: t.bank.id, Amount: 100_00}}, true
	}
	return step{}, false
}

// invoice returns the registration of an invoice that seller wrote to buyer.
func (s *story) invoice(seller, buyer ledger.PartyID, series string, face ledger.Fen) *ledger.EvidenceRegister {
	t, number, issued := s.town, series+s.number, s.now.Date()-5
	return &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: ledger.InvoiceFingerprint(t.suite, t.id, seller, number),
		Twin: ledger.InvoiceTwin(t.suite, t.id, seller, buyer, face, issued), Seller: seller, Buyer: buyer, Face: face, Issued: issued,
		Contract: t.suite.Hash(ledger.DomainDocument, []byte("contract "+number)), Receipt: t.suite.Hash(ledger.DomainDocument, []byte("receipt "+number))}
}

// sign makes the transaction of a step.
func (t *town) sign(now ledger.Time, s step) (raw []byte, id, signed suite.Hash, err error) {
	tx, err := t.tx(now, []ledger.Op{ledger.NewOp(s.by.id, s.body)}, s.by.maker, s.by.checker)
	if err != nil {
		return nil, id, signed, err
	}
	raw, err = codec.Marshal(tx)
	return raw, tx.Tx.ID(t.suite), t.suite.Hash(ledger.DomainSignedTx, raw), err
}

// scope makes a transaction with which the authority opens a scope.
func (t *town) scope(now ledger.Time, path string) ([]byte, error) {
	authority := t.net.Genesis.Authority.ID
	op := ledger.NewOp(authority, &ledger.ScopeOpen{Path: ledger.Scope(path), Authority: authority})
	tx, err := t.tx(now, []ledger.Op{op}, t.net.Keys[genesis.KeyAuthorityAdmin])
	if err != nil {
		return nil, err
	}
	return codec.Marshal(tx)
}
