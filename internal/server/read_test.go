package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"aval/api"
	"aval/internal/chain/chaintest"
	"aval/ledger"
	"aval/suite"
)

// trade is a network in which a little of everything exists.
type trade struct {
	*node
	bank, core, ann, ben, fac                      ledger.PartyID
	voucher, waiting, offer, request, hold, stored suite.Hash
	invoice, contract                              suite.Hash
	tx, attempt                                    api.Outcome
}

const yuan ledger.Fen = 100

func both(parties ...string) (signers []string) {
	for _, p := range parties {
		signers = append(signers, p+".m", p+".c")
	}
	return signers
}

func newTrade(t *testing.T) *trade {
	t.Helper()
	w := &trade{node: start(t, options{})}
	for _, p := range []struct {
		name string
		role ledger.Role
		id   *ledger.PartyID
	}{{"bank", ledger.RoleBank, &w.bank}, {"bank2", ledger.RoleBank, new(ledger.PartyID)}, {"core", ledger.RoleCore, &w.core},
		{"ann", ledger.RoleSupplier, &w.ann}, {"ben", ledger.RoleSupplier, &w.ben}, {"fac", ledger.RoleFactor, &w.fac}} {
		op, signers := w.n.Onboard(t, p.name, p.role)
		w.run(signers, op)
		*p.id = w.n.Party(p.name)
	}
	for _, holder := range []string{"core", "ann", "ben", "fac"} {
		w.run(both("bank", holder), ledger.NewOp(w.bank, &ledger.AccountOpen{Holder: w.n.Party(holder)}))
	}
	w.run(both("bank"), ledger.NewOp(w.bank, &ledger.MoneyMint{Holder: w.core, Amount: 1 << 40, Ref: "opening"}))
	today := chaintest.Start.Date()
	w.run(both("bank"), ledger.NewOp(w.bank, &ledger.LimitGrant{Core: w.core, Purpose: ledger.LimitIssue, Amount: 5000 * yuan, From: today, Until: today + 300}))
	w.invoice = w.register("ann", "core", "INV-1")
	soon := w.n.Now() + ledger.Day
	issue := &ledger.VoucherIssue{Payee: w.ann, Face: 300 * yuan, Due: today + 100, Bank: w.bank,
		Evidence: []ledger.EvidenceUse{{Invoice: w.invoice, Amount: 300 * yuan}}, AcceptBy: soon}
	w.voucher = w.run(both("core"), ledger.NewOp(w.core, issue)).Events[0].Subject
	w.run(both("ann"), ledger.NewOp(w.ann, &ledger.VoucherAccept{Voucher: w.voucher}))
	second := w.register("ann", "core", "INV-2")
	issue.Evidence = []ledger.EvidenceUse{{Invoice: second, Amount: 300 * yuan}}
	w.waiting = w.run(both("core"), ledger.NewOp(w.core, issue)).Events[0].Subject
	own := w.register("ben", "ann", "INV-1")
	w.run(both("ann"), ledger.NewOp(w.ann, &ledger.VoucherOffer{Voucher: w.voucher, AcceptBy: soon, Parts: []ledger.OfferPart{
		{Amount: 100 * yuan, To: w.ben, Evidence: []ledger.EvidenceUse{{Invoice: own, Amount: 100 * yuan}}, Discharge: ledger.DischargeAtPayment},
		{Amount: 200 * yuan}}}))
	w.offer = decode[api.List[api.Incoming]](w.node, w.get(api.Path(api.PathPartyIncoming, string(w.ben)))).Items[0].ID
	w.run(both("ben"), ledger.NewOp(w.ben, &ledger.OfferAccept{Offer: w.offer}))
	w.run(both("ann"), ledger.NewOp(w.ann, &ledger.FinanceRequest{Voucher: w.voucher, From: 100 * yuan, To: 200 * yuan, Funders: []ledger.PartyID{w.fac}, AcceptBy: soon}))
	w.request = decode[api.List[api.Incoming]](w.node, w.get(api.Path(api.PathPartyIncoming, string(w.fac)))).Items[0].ID
	w.run(both("fac"), ledger.NewOp(w.fac, &ledger.FinanceQuote{Request: w.request, RateBps: 380, Basis: 360, PayBank: w.bank, ValidUntil: soon}))
	w.hold = event(w.run(both("core"), ledger.NewOp(w.core, &ledger.MoneyHold{Bank: w.bank, Beneficiary: w.ann, Amount: 7 * yuan})), "money.held").Ref
	w.run(both("bank", "bank2"), ledger.NewOp(w.bank, &ledger.MandateGrant{Creditor: w.n.Party("bank2"), Cap: 9 * yuan, NotAfter: today + 9}))
	w.stored = event(w.run([]string{"core.m"}, ledger.NewOp(w.core, &ledger.ProposalCreate{Parties: []ledger.PartyID{w.core}, Expires: soon, Note: "pay",
		Ops: []ledger.Op{ledger.NewOp(w.core, &ledger.MoneyTransfer{Bank: w.bank, To: w.ann, ToBank: w.bank, Amount: 5 * yuan, Ref: "r"})}})), "proposal.created").Subject
	w.attempt = w.submit(w.n.Tx(t, []string{"authority.m"}, w.n.OpenScope("/z")), "")
	w.tx = w.submit(w.n.Scope(t, "/a"), "?wait=proven")
	return w
}

func event(r *ledger.Receipt, kind string) ledger.Event {
	for _, e := range r.Events {
		if e.Kind == kind {
			if e.Ref.IsZero() {
				e.Ref = e.Subject
			}
			return e
		}
	}
	panic(fmt.Sprintf("no event %s in %+v", kind, r.Events))
}

// register records an invoice over 300 yuan, signed by both sides.
func (w *trade) register(seller, buyer, number string) suite.Hash {
	w.Helper()
	s, id, to := w.n.Suite, w.n.Party(seller), w.n.Party(buyer)
	issued := chaintest.Start.Date() - 3
	w.contract = s.Hash(ledger.DomainDocument, []byte(number))
	op := &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: ledger.InvoiceFingerprint(s, w.n.ID, id, number),
		Twin: ledger.InvoiceTwin(s, w.n.ID, id, to, 300*yuan, issued), Seller: id, Buyer: to, Face: 300 * yuan, Issued: issued, Contract: w.contract, Receipt: w.contract}
	w.run(both(seller, buyer), ledger.NewOp(id, op))
	return op.Fingerprint
}

// read asks for a resource and decodes it strictly.
func read[T any](w *trade, pattern string, args ...string) T {
	w.Helper()
	a := w.get(api.Path(pattern, args...))
	if a.status != http.StatusOK {
		w.Fatalf("%s %q: %d %s", pattern, args, a.status, a.body)
	}
	return decode[T](w.node, a)
}

// TestEveryRoute asks every route of the interface for something that exists, and says what must stand there.
func TestEveryRoute(t *testing.T) {
	w := newTrade(t)
	asked := map[string]bool{api.PathTransactions: true, api.PathBatches: true, api.PathOpenAPI: true} // have tests of their own
	ok := func(path string, fine bool, what any) {
		t.Helper()
		asked[path] = true
		if !fine {
			t.Errorf("%s: %+v", path, what)
		}
	}
	w.routesOfParties(ok)
	w.routesOfVouchers(ok)

	tx := read[api.Outcome](w, api.PathTransaction, w.tx.ID.String())
	ok(api.PathTransaction, tx.Proven && tx.Receipt.Code == ledger.CodeOK && tx.Height == w.tx.Height, tx)
	attempt := read[api.Outcome](w, api.PathAttempt, w.attempt.Signed.String())
	ok(api.PathAttempt, attempt.Receipt.Code == ledger.CodePolicyUnmet && !attempt.Receipt.Final, attempt)
	v := w.verdict(w.get(api.Path(api.PathTransactionProof, w.tx.ID.String())))
	ok(api.PathTransactionProof, v.Receipt.Tx == w.tx.ID, v)
	v = w.verdict(w.get(api.Path(api.PathStateProof, fmt.Sprintf("%x", ledger.VoucherKey(w.voucher)))))
	ok(api.PathStateProof, v.Present && v.Height >= w.tx.Height, v)
	v = w.verdict(w.get(api.Path(api.PathStateProof, fmt.Sprintf("%x", ledger.VoucherKey(w.invoice)))))
	ok(api.PathStateProof, !v.Present, v)

	block := read[api.Block](w, api.PathBlock, "1")
	ok(api.PathBlock, block.Header.Height == 1 && block.Hash == block.Header.Hash(w.n.Suite) && len(block.Signers) == 1 && len(block.Receipts) == 1 &&
		block.Receipts[0].Name == "OK", block)
	status := read[api.Status](w, api.PathStatus)
	ok(api.PathStatus, status.Network.ID == w.n.ID && status.Cause != "" && status.Peers[0].Height == 1<<60 && status.Disk.DataBytes == 1<<60, status)
	network := read[api.Network](w, api.PathNetwork)
	ok(api.PathNetwork, network.ID == w.n.ID && len(network.Validators) == 1, network)
	genesis := w.get(api.PathGenesis)
	g, s, err := ledger.DecodeGenesis(genesis.body)
	ok(api.PathGenesis, err == nil && g.NetworkID(s) == w.n.ID && genesis.header.Get("Content-Type") == api.MediaCBOR, err)
	health := read[api.Health](w, api.PathHealth)
	ok(api.PathHealth, health.OK && health.Height >= w.tx.Height, health)
	metrics := string(w.get(api.PathMetrics).body)
	ok(api.PathMetrics, strings.Contains(metrics, `aval_http_requests_total{route="GET /v1/blocks/{height}",status="200"} 2`) &&
		strings.Contains(metrics, "aval_chain_height") && strings.Contains(metrics, "aval_intake_admitted_total"), metrics)
	for name, path := range pathsOfAPI(t) {
		if !asked[path] {
			t.Errorf("%s: nobody asks for %s", name, path)
		}
	}
}

func (w *trade) routesOfParties(ok func(path string, fine bool, what any)) {
	w.Helper()
	bank, core := string(w.bank), string(w.core)
	party := read[api.Party](w, api.PathParty, core)
	ok(api.PathParty, party.ID == w.core && len(party.Keys) == 3 && party.RoleNames[0] == "core" && !party.Barred && party.AsOf.Height > 0, party)
	lots := read[api.List[api.Lot]](w, api.PathPartyLots, string(w.ann))
	ok(api.PathPartyLots, lots.Count == 2 && len(lots.Items) == 2 && lots.Items[0].Holder == w.ann, lots)
	issued := read[api.List[api.Voucher]](w, api.PathPartyIssued, core)
	ok(api.PathPartyIssued, issued.Count == 2 && issued.Items[0].ID == w.voucher && issued.Items[1].ID == w.waiting, issued)
	incoming := read[api.List[api.Incoming]](w, api.PathPartyIncoming, string(w.ann))
	ok(api.PathPartyIncoming, incoming.Count == 1 && incoming.Items[0].Kind == "voucher" && incoming.Items[0].Voucher.State == "offered", incoming)
	incoming = read[api.List[api.Incoming]](w, api.PathPartyIncoming, string(w.fac))
	ok(api.PathPartyIncoming, incoming.Count == 1 && incoming.Items[0].Request.ID == w.request, incoming)
	accounts := read[api.List[api.Account]](w, api.PathPartyAccounts, core)
	ok(api.PathPartyAccounts, accounts.Count == 1 && accounts.Items[0].Bank == w.bank, accounts)
	member := read[api.Member](w, api.PathMember, w.n.Signer("core.m").Public().String())
	ok(api.PathMember, member.Valid && member.CapNames[0] == "maker", member)
	account := read[api.Account](w, api.PathAccount, bank, core)
	ok(api.PathAccount, account.Balance+account.Held == 1<<40 && account.Held == 7*yuan, account)
	hold := read[api.Hold](w, api.PathHold, w.hold.String())
	ok(api.PathHold, hold.Amount == 7*yuan, hold)
	mandate := read[api.Mandate](w, api.PathMandate, bank, string(w.n.Party("bank2")))
	ok(api.PathMandate, mandate.Valid && mandate.Free == 9*yuan, mandate)
	proposal := read[api.Proposal](w, api.PathProposal, w.stored.String())
	ok(api.PathProposal, proposal.State == "open" && len(proposal.Operations) == 1 && proposal.Operations[0].Kind == ledger.KindMoneyTransfer, proposal)
	limit := read[api.Limit](w, api.PathLimit, bank, core, "issue")
	ok(api.PathLimit, limit.Valid && limit.Free == 4400*yuan, limit)
}

func (w *trade) routesOfVouchers(ok func(path string, fine bool, what any)) {
	w.Helper()
	id := w.voucher.String()
	voucher := read[api.Voucher](w, api.PathVoucher, id)
	ok(api.PathVoucher, voucher.State == "active" && voucher.Unpaid == 300*yuan && voucher.Issuer == w.core, voucher)
	lots := read[api.List[api.Lot]](w, api.PathVoucherLots, id)
	fine, at := len(lots.Items) == 3 && lots.Count == 3, ledger.Fen(0)
	for _, l := range lots.Items {
		fine = fine && l.From == at
		at = l.To
	}
	ok(api.PathVoucherLots, fine && at == 300*yuan, lots)
	transfers := read[api.List[api.Transfer]](w, api.PathVoucherTransfers, id)
	last := transfers.Items[len(transfers.Items)-1]
	ok(api.PathVoucherTransfers, transfers.Count == uint64(len(transfers.Items)) && last.Amount == 100*yuan, transfers)
	lot := read[api.Lot](w, api.PathLot, id, strconv.Itoa(int(100*yuan)))
	ok(api.PathLot, lot.Effective == "requested" && lot.Amount == 100*yuan && lot.Issuer == w.core, lot)
	offer := read[api.Offer](w, api.PathOffer, w.offer.String())
	ok(api.PathOffer, offer.State == "accepted" && offer.Amount == 100*yuan, offer)
	request := read[api.Request](w, api.PathRequest, w.request.String())
	ok(api.PathRequest, request.State == "open" && request.Amount == 100*yuan, request)
	quotes := read[api.List[api.Quote]](w, api.PathRequestQuotes, w.request.String())
	ok(api.PathRequestQuotes, quotes.Count == 1 && quotes.Items[0].Funder == w.fac && quotes.Items[0].Net > 0 && quotes.Items[0].Net < 100*yuan, quotes)
	quotes = read[api.List[api.Quote]](w, api.PathRequestQuotes+"?page=1", w.request.String())
	ok(api.PathRequestQuotes, quotes.Count == 1 && len(quotes.Items) == 0 && quotes.Page == 1, quotes)
	invoice := read[api.Invoice](w, api.PathInvoice, w.invoice.String())
	ok(api.PathInvoice, invoice.Headroom == 0 && invoice.Face == 300*yuan, invoice)
	w.numbersAreSmall()
}

// numbersAreSmall walks the answers that hold amounts, heights and times: no bare number may be larger than 32 bits.
func (w *trade) numbersAreSmall() {
	w.Helper()
	for _, path := range []string{
		api.PathStatus, api.PathNetwork, api.PathHealth, "/v1/blocks/1", api.Path(api.PathParty, string(w.core)),
		api.Path(api.PathPartyLots, string(w.ann)), api.Path(api.PathPartyIssued, string(w.core)), api.Path(api.PathPartyIncoming, string(w.ann)),
		api.Path(api.PathPartyAccounts, string(w.core)), api.Path(api.PathVoucher, w.voucher.String()), api.Path(api.PathVoucherTransfers, w.voucher.String()),
		api.Path(api.PathAccount, string(w.bank), string(w.core)), api.Path(api.PathHold, w.hold.String()), api.Path(api.PathOffer, w.offer.String()),
		api.Path(api.PathRequestQuotes, w.request.String()), api.Path(api.PathInvoice, w.invoice.String()), api.Path(api.PathTransaction, w.tx.ID.String()),
		api.Path(api.PathProposal, w.stored.String()), api.Path(api.PathLimit, string(w.bank), string(w.core), "issue"),
		api.Path(api.PathMember, w.n.Signer("core.m").Public().String()),
	} {
		d := json.NewDecoder(bytes.NewReader(w.get(path).body))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			w.Fatal(err)
		}
		w.walk(path, v)
	}
}

func (w *trade) walk(where string, v any) {
	w.Helper()
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			w.walk(where+"."+name, member)
		}
	case []any:
		for _, item := range v {
			w.walk(where+"[]", item)
		}
	case json.Number:
		if n, err := v.Int64(); err != nil || n > 1<<32 || n < -1<<31 {
			w.Errorf("%s is the bare number %s", where, v)
		}
	}
}

func TestMissingAndMalformed(t *testing.T) {
	n := start(t, options{})
	none := strings.Repeat("00", 32)
	id := string(n.n.Party("nobody"))
	for _, path := range []string{
		api.Path(api.PathTransaction, none), api.Path(api.PathTransactionProof, none), api.Path(api.PathAttempt, none), api.Path(api.PathParty, id),
		api.Path(api.PathMember, none), api.Path(api.PathVoucher, none), api.Path(api.PathVoucherLots, none), api.Path(api.PathVoucherTransfers, none),
		api.Path(api.PathLot, none, "0"), api.Path(api.PathOffer, none), api.Path(api.PathRequest, none), api.Path(api.PathRequestQuotes, none),
		api.Path(api.PathInvoice, none), api.Path(api.PathLimit, id, id, "issue"), api.Path(api.PathHold, none), api.Path(api.PathMandate, id, id),
		api.Path(api.PathAccount, id, id), api.Path(api.PathProposal, none), api.Path(api.PathBlock, "1"), api.Path(api.PathBlock, "0"),
	} {
		n.problem(path, n.get(path), http.StatusNotFound, api.NameNotFound)
	}
	for _, path := range []string{api.PathPartyLots, api.PathPartyIssued, api.PathPartyIncoming, api.PathPartyAccounts} {
		for _, page := range []string{"", "?page=7", "?page=18446744073709551615"} {
			list := decode[api.List[json.RawMessage]](n, n.get(api.Path(path, id)+page))
			if list.Count != 0 || list.Items == nil || len(list.Items) != 0 {
				t.Errorf("%s of nobody: %+v", path, list)
			}
		}
	}
	n.problem("a proof before anything is proven", n.get(api.Path(api.PathStateProof, "51")), http.StatusConflict, api.NameNotProven)
	bad := strings.Repeat("zz", 32)
	for path, status := range map[string]int{
		api.Path(api.PathTransaction, bad): 400, api.Path(api.PathTransaction, "00"): 422, api.Path(api.PathVoucher, bad): 400,
		api.Path(api.PathMember, bad): 400, api.Path(api.PathStateProof, "0g"): 400, api.Path(api.PathStateProof, strings.Repeat("0", 2000)): 422,
		api.Path(api.PathBlock, "-1"): 400, api.Path(api.PathBlock, "x"): 400, api.Path(api.PathBlock, "18446744073709551616"): 400,
		api.Path(api.PathLot, none, "x"): 422, api.Path(api.PathLimit, id, id, "other"): 422, api.Path(api.PathParty, "x"): 422,
		api.Path(api.PathVoucherLots, none) + "?page=1000001": 422, api.Path(api.PathPartyLots, id) + "?page=-1": 422,
	} {
		n.problem(path, n.get(path), status, api.NameArgument)
	}
	n.problem("a block to come", n.get(api.Path(api.PathBlock, "18446744073709551615")), http.StatusNotFound, api.NameNotFound)
}

func TestListsHavePages(t *testing.T) {
	n := start(t, options{})
	op, signers := n.n.Onboard(t, "holder", ledger.RoleSupplier)
	n.run(signers, op)
	const banks = api.PageSize + 3
	for i := range banks {
		name := fmt.Sprintf("bank%d", i)
		op, signers := n.n.Onboard(t, name, ledger.RoleBank)
		open := ledger.NewOp(n.n.Party(name), &ledger.AccountOpen{Holder: n.n.Party("holder")})
		n.run(append(signers, "holder.m", "holder.c"), op, open)
	}
	seen := map[ledger.PartyID]bool{}
	for page, want := range []int{api.PageSize, 3, 0} {
		list := decode[api.List[api.Account]](n, n.get(fmt.Sprintf("%s?page=%d", api.Path(api.PathPartyAccounts, string(n.n.Party("holder"))), page)))
		if list.Count != banks || list.Pages() != 2 || int(list.Page) != page || len(list.Items) != want {
			t.Fatalf("page %d has %d items of %d", page, len(list.Items), list.Count)
		}
		for _, a := range list.Items {
			seen[a.Bank] = true
		}
	}
	if len(seen) != banks {
		t.Errorf("the pages have %d of %d accounts", len(seen), banks)
	}
}
