package finance_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// The parties. Ann, Ben and the factor have their money with one bank, as the issuer has; Cat has it with the other.
const (
	core  ledger.PartyID = "core"
	ann   ledger.PartyID = "ann"
	ben   ledger.PartyID = "ben"
	cat   ledger.PartyID = "cat"
	fac   ledger.PartyID = "fac"
	dj    ledger.PartyID = "dj"
	lh    ledger.PartyID = "lh"
	court ledger.PartyID = "court"
)

var (
	everybody = []ledger.PartyID{core, ann, ben, cat, fac, dj, lh, court}
	holders   = []ledger.PartyID{ann, ben, cat, fac, dj, lh}
)

const (
	faceMax = 60
	// auditEvery is how many commits come between two audits of the whole state.
	auditEvery = 7
)

// fen is what the model knows of one fen of one voucher.
type fen struct {
	owner   ledger.PartyID
	paid    bool
	orders  []suite.Hash
	pledgee ledger.PartyID
	// pays says that the pledge is recorded, and where the money goes.
	pays ledger.Proceeds
}

// machine runs random operations against the real thing and against a model that keeps every fen by itself.
type machine struct {
	*world
	vouchers []suite.Hash
	offers   []suite.Hash
	requests []suite.Hash
	fens     map[suite.Hash][]fen
	cash     map[ledger.PartyID]ledger.Fen // balance and held, of all but banks
	done     map[string]int
	checked  int // the commits that have been checked
}

func newMachine(t *rapid.T, done map[string]int) *machine {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{
		world: &world{suite: s, params: ledger.DefaultParams(1), state: map[string][]byte{}, now: ledger.CivilDate(2026, 9, 15).Start()},
		fens:  map[suite.Hash][]fen{}, cash: map[ledger.PartyID]ledger.Fen{}, done: done,
	}
	roles := map[ledger.PartyID]ledger.Role{core: ledger.RoleCore, fac: ledger.RoleFactor, dj: ledger.RoleBank, lh: ledger.RoleBank,
		court: ledger.RoleCourt}
	banks := map[ledger.PartyID]ledger.PartyID{core: dj, ann: dj, ben: dj, fac: dj, cat: lh}
	j := m.journal()
	for _, p := range everybody {
		vm.Store(j, ledger.PartyKey(p), &ledger.Party{ID: p, Scope: "/", Roles: roles[p], Bank: banks[p]})
		if bank := banks[p]; bank != "" {
			vm.Store(j, ledger.AccountKey(bank, p), &ledger.Account{Bank: bank, Holder: p, Balance: 1000})
			supply, _ := vm.Load[ledger.Supply](j, ledger.SupplyKey(bank))
			vm.Store(j, ledger.SupplyKey(bank), &ledger.Supply{Bank: bank, Minted: supply.Minted + 1000})
			m.cash[p] = 1000
		}
	}
	for _, pair := range [][2]ledger.PartyID{{dj, lh}, {lh, dj}} {
		vm.Store(j, ledger.MandateKey(pair[0], pair[1]), &ledger.Mandate{Debtor: pair[0], Creditor: pair[1],
			Cap: rapid.SampledFrom([]ledger.Fen{1_000_000, 30}).Draw(t, "cap"), NotAfter: ledger.DateMax})
	}
	if err := m.commit(j); err != nil {
		t.Fatal(err)
	}
	m.must(t, dj, &ledger.LimitGrant{Core: core, Purpose: ledger.LimitIssue, Amount: 150, Until: ledger.DateMax})
	m.must(t, fac, &ledger.LimitGrant{Core: core, Purpose: ledger.LimitFinance, Amount: 60, Until: ledger.DateMax})
	for _, buyer := range append(slices.Clone(holders), core) {
		for _, seller := range holders {
			if seller != buyer {
				m.must(t, seller, m.invoice(seller, buyer))
			}
		}
	}
	return m
}

func (m *machine) must(t *rapid.T, acting ledger.PartyID, body ledger.Body) {
	if _, refused, err := m.do(acting, body); err != nil || refused != nil {
		t.Fatalf("%T: %v %v", body, refused, err)
	}
}

func (m *machine) invoice(seller, buyer ledger.PartyID) *ledger.EvidenceRegister {
	issued := m.now.Date()
	return &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: m.number(seller, buyer), Seller: seller, Buyer: buyer, Face: 500,
		Issued: issued, Contract: suite.Hash{1}, Receipt: suite.Hash{2},
		Twin: ledger.InvoiceTwin(m.suite, suite.Hash{}, seller, buyer, 500, issued)}
}

func (m *machine) number(seller, buyer ledger.PartyID) suite.Hash {
	return ledger.InvoiceFingerprint(m.suite, suite.Hash{}, seller, string(buyer))
}

func (m *machine) uses(seller, buyer ledger.PartyID, amount ledger.Fen) []ledger.EvidenceUse {
	return []ledger.EvidenceUse{{Invoice: m.number(seller, buyer), Amount: amount}}
}

// try runs an operation and reports whether it was done. An error is a fault of the program.
func (m *machine) try(t *rapid.T, acting ledger.PartyID, body ledger.Body) (suite.Hash, bool) {
	id, refused, err := m.do(acting, body)
	if err != nil {
		t.Fatalf("%T by %s: %v", body, acting, err)
	}
	if refused != nil {
		t.Logf("%T by %s: %v", body, acting, refused)
		return id, false
	}
	m.done[fmt.Sprintf("%T", body)]++
	return id, true
}

func draw[T any](t *rapid.T, from []T, name string) (out T, ok bool) {
	if len(from) == 0 {
		return out, false
	}
	return rapid.SampledFrom(from).Draw(t, name), true
}

// drawLive draws one of ids: mostly one for which live holds.
func drawLive(t *rapid.T, ids []suite.Hash, name string, live func(suite.Hash) bool) (suite.Hash, bool) {
	if rapid.IntRange(0, 9).Draw(t, "live") > 0 {
		ids = slices.DeleteFunc(slices.Clone(ids), func(id suite.Hash) bool { return !live(id) })
	}
	return draw(t, ids, name)
}

// voucher draws a voucher: mostly one in this status.
func (m *machine) voucher(t *rapid.T, status ledger.VoucherStatus) (suite.Hash, bool) {
	return drawLive(t, m.vouchers, "voucher", func(id suite.Hash) bool {
		return load[ledger.Voucher](m.world, ledger.VoucherKey(id)).Status == status
	})
}

// lot draws a lot of an accepted voucher.
func (m *machine) lot(t *rapid.T) (v ledger.Voucher, l ledger.Lot, ok bool) {
	id, ok := m.voucher(t, ledger.VoucherActive)
	if !ok {
		return v, l, false
	}
	l, ok = draw(t, m.lots(id), "lot")
	return load[ledger.Voucher](m.world, ledger.VoucherKey(id)), l, ok
}

func (m *machine) span(t *rapid.T, from, to ledger.Fen) (a, b ledger.Fen) {
	a = ledger.Fen(rapid.Uint64Range(uint64(from), uint64(to-1)).Draw(t, "from"))
	b = ledger.Fen(rapid.Uint64Range(uint64(a+1), uint64(to)).Draw(t, "to"))
	return a, b
}

func (m *machine) until(t *rapid.T) ledger.Time {
	return m.now + ledger.Time(rapid.IntRange(1, 12).Draw(t, "days"))*ledger.Day
}

// free fails unless every fen of the range may pass from owner to another.
func (m *machine) free(t *rapid.T, id suite.Hash, from, to ledger.Fen, owner ledger.PartyID) {
	for i := from; i < to; i++ {
		if f := m.fens[id][i]; f.owner != owner || f.paid || len(f.orders) > 0 || f.pledgee != "" {
			t.Fatalf("voucher %s: fen %d passes from %s, and is %+v", id, i, owner, f)
		}
	}
}

func (m *machine) give(id suite.Hash, from, to ledger.Fen, owner ledger.PartyID) {
	for i := from; i < to; i++ {
		m.fens[id][i].owner = owner
	}
}

// TestRandomOperations compares ownership per fen, and everybody's money, with the model after every operation.
func TestRandomOperations(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "70", "rapid.steps": "150", "rapid.shrinktime": "20s"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, done)
		t.Repeat(map[string]func(*rapid.T){
			"issue": m.issue, "issue again": m.issue, "answer": m.answer, "answer soon": m.answer, "answer late": m.answerLate, "cancel": m.cancel, "offer": m.offer,
			"offer more": m.offer, "offer again": m.offer, "answer offer": m.answerOffer, "answer offer soon": m.answerOffer, "pledge": m.pledge,
			"change pledge": m.changePledge, "freeze": m.freeze, "unfreeze": m.unfreeze, "unfreeze again": m.unfreeze, "fund": m.fund, "fund day": m.fundDay,
			"request": m.request, "request again": m.request, "finance": m.finance, "finance on": m.finance, "finance further": m.finance, "time": m.time, "": m.check,
		})
	})
	for _, body := range []any{&ledger.VoucherIssue{}, &ledger.VoucherAccept{}, &ledger.VoucherReject{}, &ledger.VoucherExpire{},
		&ledger.VoucherCancel{}, &ledger.VoucherOffer{}, &ledger.OfferAccept{}, &ledger.OfferReject{}, &ledger.OfferExpire{},
		&ledger.OfferWithdraw{}, &ledger.PledgeCreate{}, &ledger.PledgeRecord{}, &ledger.PledgeRelease{}, &ledger.LotFreeze{},
		&ledger.LotUnfreeze{}, &ledger.VoucherFund{}, &ledger.DayFund{}, &ledger.FinanceRequest{}, &ledger.FinanceWithdraw{},
		&ledger.FinanceQuote{}, &ledger.FinanceAccept{}, &ledger.FinanceApprove{}, &ledger.FinanceRegister{},
		&ledger.FinanceDisburse{}, &ledger.FinanceExpire{}} {
		if done[fmt.Sprintf("%T", body)] == 0 {
			t.Errorf("%T never succeeded: the test says nothing of it", body)
		}
	}
	t.Log(done)
}

func (m *machine) issue(t *rapid.T) {
	payee := rapid.SampledFrom([]ledger.PartyID{ann, ben, cat}).Draw(t, "payee")
	face := ledger.Fen(rapid.Uint64Range(1, faceMax).Draw(t, "face"))
	due := m.now.Date() + ledger.Date(rapid.IntRange(2, 30).Draw(t, "tenor"))
	id, ok := m.try(t, core, &ledger.VoucherIssue{Payee: payee, Face: face, Due: due, Bank: dj, Evidence: m.uses(payee, core, face),
		AcceptBy: min(m.until(t), due.Start())})
	if ok {
		m.vouchers = append(m.vouchers, id)
	}
}

func (m *machine) answer(t *rapid.T) {
	id, ok := m.voucher(t, ledger.VoucherOffered)
	if !ok {
		return
	}
	v := load[ledger.Voucher](m.world, ledger.VoucherKey(id))
	answers := []string{"accept", "accept", "accept", "accept", "accept", "reject", "expire"}
	if m.now >= v.AcceptBy {
		answers = append(answers, "expire", "expire", "expire")
	}
	switch rapid.SampledFrom(answers).Draw(t, "answer") {
	case "accept":
		if _, ok := m.try(t, v.Payee, &ledger.VoucherAccept{Voucher: id}); ok {
			m.fens[id] = slices.Repeat([]fen{{owner: v.Payee}}, int(v.Face))
		}
	case "reject":
		m.try(t, v.Payee, &ledger.VoucherReject{Voucher: id})
	case "expire":
		m.try(t, core, &ledger.VoucherExpire{Voucher: id})
	}
}

// answerLate lets a voucher lapse.
func (m *machine) answerLate(t *rapid.T) {
	id, ok := m.voucher(t, ledger.VoucherOffered)
	if v := load[ledger.Voucher](m.world, ledger.VoucherKey(id)); ok && v.Status == ledger.VoucherOffered && rapid.Bool().Draw(t, "late") {
		m.wait(t, max(v.AcceptBy-m.now, 0))
		m.try(t, v.Payee, &ledger.VoucherExpire{Voucher: id})
	}
}

func (m *machine) cancel(t *rapid.T) {
	if rapid.Bool().Draw(t, "keep") {
		return
	}
	if id, ok := m.voucher(t, ledger.VoucherActive); ok {
		if _, ok := m.try(t, core, &ledger.VoucherCancel{Voucher: id}); ok {
			m.free(t, id, 0, ledger.Fen(len(m.fens[id])), m.fens[id][0].owner)
			delete(m.fens, id)
		}
	}
}

func (m *machine) offer(t *rapid.T) {
	v, l, ok := m.lot(t)
	if !ok {
		return
	}
	others := append([]ledger.PartyID{""}, slices.DeleteFunc(slices.Clone(holders), func(p ledger.PartyID) bool { return p == l.Holder })...)
	var parts []ledger.OfferPart
	for at := l.From; at < l.To; {
		amount := l.To - at
		if rapid.Bool().Draw(t, "cut") {
			amount = ledger.Fen(rapid.Uint64Range(1, uint64(l.To-at)).Draw(t, "amount"))
		}
		p := ledger.OfferPart{Amount: amount}
		if to := rapid.SampledFrom(others).Draw(t, "to"); to != "" {
			p.To, p.Evidence, p.Discharge = to, m.uses(to, l.Holder, amount), ledger.DischargeAtPayment
		}
		parts = append(parts, p)
		at += amount
	}
	by := rapid.SampledFrom([]ledger.PartyID{l.Holder, l.Holder, l.Holder, l.Holder, l.Holder, l.Holder, ann}).Draw(t, "by")
	op := &ledger.VoucherOffer{Voucher: v.ID, Lot: l.From, Parts: parts, AcceptBy: min(m.until(t), v.Settles.Start())}
	if _, ok := m.try(t, by, op); !ok {
		return
	}
	m.free(t, v.ID, l.From, l.To, by)
	for i := range parts {
		if parts[i].To != "" {
			m.offers = append(m.offers, ledger.DerivedID(m.suite, m.last(), 0, i))
		}
	}
}

// last returns the id of the last transaction.
func (m *machine) last() suite.Hash {
	m.txs--
	return m.context(nil, "").Tx
}

func (m *machine) answerOffer(t *rapid.T) {
	id, ok := drawLive(t, m.offers, "offer", func(id suite.Hash) bool {
		return load[ledger.Offer](m.world, ledger.OfferKey(id)).Status == ledger.OfferOpen
	})
	if !ok {
		return
	}
	o := load[ledger.Offer](m.world, ledger.OfferKey(id))
	if o.Status == ledger.OfferOpen && rapid.IntRange(0, 7).Draw(t, "late") == 0 {
		m.wait(t, max(o.AcceptBy-m.now, 0))
	}
	answers := []string{"accept", "accept", "accept", "reject", "expire", "withdraw"}
	if m.now >= o.AcceptBy {
		answers = append(answers, "expire", "expire", "expire")
	}
	switch rapid.SampledFrom(answers).Draw(t, "answer") {
	case "accept":
		if _, ok := m.try(t, o.Transferee, &ledger.OfferAccept{Offer: id}); ok {
			m.free(t, o.Voucher, o.From, o.To, o.Transferor)
			m.give(o.Voucher, o.From, o.To, o.Transferee)
		}
	case "reject":
		m.try(t, o.Transferee, &ledger.OfferReject{Offer: id})
	case "expire":
		m.try(t, o.Transferor, &ledger.OfferExpire{Offer: id})
	case "withdraw":
		m.try(t, o.Transferor, &ledger.OfferWithdraw{Offer: id})
	}
}

func (m *machine) pledge(t *rapid.T) {
	v, l, ok := m.lot(t)
	if !ok {
		return
	}
	from, to := m.span(t, l.From, l.To)
	pledgee := rapid.SampledFrom([]ledger.PartyID{dj, fac, ben}).Draw(t, "pledgee")
	proceeds := rapid.SampledFrom([]ledger.Proceeds{ledger.ProceedsPledgee, ledger.ProceedsDeposit}).Draw(t, "proceeds")
	if _, ok := m.try(t, l.Holder, &ledger.PledgeCreate{Voucher: v.ID, From: from, To: to, Pledgee: pledgee, Proceeds: proceeds}); ok {
		m.free(t, v.ID, from, to, l.Holder)
		for i := from; i < to; i++ {
			m.fens[v.ID][i].pledgee = pledgee
		}
	}
}

func (m *machine) changePledge(t *rapid.T) {
	var pledged []ledger.Lot
	for _, id := range m.vouchers {
		pledged = append(pledged, slices.DeleteFunc(m.lots(id), func(l ledger.Lot) bool { return l.Pledge == nil })...)
	}
	l, ok := draw(t, pledged, "pledged")
	if !ok {
		return
	}
	v := load[ledger.Voucher](m.world, ledger.VoucherKey(l.Voucher))
	if rapid.Bool().Draw(t, "record") {
		if _, ok := m.try(t, l.Pledge.Pledgee, &ledger.PledgeRecord{Voucher: v.ID, Lot: l.From, Number: "ZD", At: m.now}); ok {
			for i := l.From; i < l.To; i++ {
				m.fens[v.ID][i].pays = l.Pledge.Proceeds
			}
		}
	} else if _, ok := m.try(t, l.Pledge.Pledgee, &ledger.PledgeRelease{Voucher: v.ID, Lot: l.From}); ok {
		for i := l.From; i < l.To; i++ {
			m.fens[v.ID][i].pledgee, m.fens[v.ID][i].pays = "", 0
		}
	}
}

func (m *machine) freeze(t *rapid.T) {
	v, _, ok := m.lot(t)
	if !ok {
		return
	}
	from, to := m.span(t, 0, v.Face)
	to = min(to, from+faceMax/4)
	order := suite.Hash{byte(rapid.IntRange(1, 3).Draw(t, "order"))}
	if _, ok := m.try(t, court, &ledger.LotFreeze{Voucher: v.ID, From: from, To: to, Order: order}); ok {
		for i := from; i < to; i++ {
			if f := &m.fens[v.ID][i]; !f.paid && !slices.Contains(f.orders, order) {
				f.orders = append(slices.Clone(f.orders), order)
			}
		}
	}
}

func (m *machine) unfreeze(t *rapid.T) {
	v, _, ok := m.lot(t)
	if !ok {
		return
	}
	from, to := ledger.Fen(0), v.Face
	if rapid.Bool().Draw(t, "part") {
		from, to = m.span(t, 0, v.Face)
	}
	order := suite.Hash{byte(rapid.IntRange(1, 3).Draw(t, "order"))}
	if _, ok := m.try(t, court, &ledger.LotUnfreeze{Voucher: v.ID, From: from, To: to, Order: order}); ok {
		for i := from; i < to; i++ {
			f := &m.fens[v.ID][i]
			f.orders = slices.DeleteFunc(slices.Clone(f.orders), func(h suite.Hash) bool { return h == order })
		}
	}
}

func (m *machine) fund(t *rapid.T) {
	if v, _, ok := m.lot(t); ok {
		m.try(t, core, &ledger.VoucherFund{Voucher: v.ID, Amount: ledger.Fen(rapid.Uint64Range(1, faceMax).Draw(t, "amount"))})
	}
}

func (m *machine) fundDay(t *rapid.T) {
	if v, _, ok := m.lot(t); ok {
		m.try(t, core, &ledger.DayFund{Bank: dj, Due: v.Due, Amount: ledger.Fen(rapid.Uint64Range(1, 2*faceMax).Draw(t, "amount"))})
	}
}

func (m *machine) request(t *rapid.T) {
	v, l, ok := m.lot(t)
	if !ok {
		return
	}
	from, to := m.span(t, l.From, l.To)
	funders := rapid.SampledFrom([][]ledger.PartyID{nil, {fac}, {dj, fac}, {lh}}).Draw(t, "funders")
	id, ok := m.try(t, l.Holder, &ledger.FinanceRequest{Voucher: v.ID, From: from, To: to, Funders: funders,
		AcceptBy: min(m.until(t), v.Settles.Start())})
	if ok {
		m.free(t, v.ID, from, to, l.Holder)
		m.requests = append(m.requests, id)
	}
}

// finance takes requests some steps on.
func (m *machine) finance(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "steps") {
		m.step(t)
	}
}

// step takes a request one step on, or ends it.
func (m *machine) step(t *rapid.T) {
	id, ok := drawLive(t, m.requests, "request", func(id suite.Hash) bool {
		return load[ledger.Request](m.world, ledger.RequestKey(id)).Status <= ledger.RequestRegistered
	})
	if !ok {
		return
	}
	r := load[ledger.Request](m.world, ledger.RequestKey(id))
	if m.now >= r.AcceptBy || rapid.IntRange(0, 15).Draw(t, "end") == 0 {
		if rapid.Bool().Draw(t, "withdraw") {
			m.try(t, r.Holder, &ledger.FinanceWithdraw{Request: id})
		} else {
			m.try(t, r.Holder, &ledger.FinanceExpire{Request: id})
		}
		return
	}
	switch r.Status {
	case ledger.RequestOpen:
		if funder, ok := draw(t, r.Quoted, "funder"); ok {
			q := load[ledger.Quote](m.world, ledger.QuoteKey(id, funder))
			m.try(t, r.Holder, &ledger.FinanceAccept{Request: id, Funder: funder, Terms: q.Terms()})
			return
		}
		funder := rapid.SampledFrom([]ledger.PartyID{fac, dj, lh}).Draw(t, "funder")
		bank := map[ledger.PartyID]ledger.PartyID{fac: dj, dj: dj, lh: lh}[funder]
		m.try(t, funder, &ledger.FinanceQuote{Request: id, RateBps: 1000, Basis: 360, PayBank: bank, ValidUntil: m.until(t)})
	case ledger.RequestAccepted:
		m.try(t, r.Chosen, &ledger.FinanceApprove{Request: id})
	case ledger.RequestApproved:
		m.try(t, r.Chosen, &ledger.FinanceRegister{Request: id, Number: "ZD", At: m.now})
	case ledger.RequestRegistered:
		m.disburse(t, &r)
	default:
	}
}

func (m *machine) disburse(t *rapid.T, r *ledger.Request) {
	v := load[ledger.Voucher](m.world, ledger.VoucherKey(r.Voucher))
	days := max(v.Settles-m.now.Date(), 0)
	interest, err := ledger.Interest(r.To-r.From, 1000, uint32(days), 360)
	if err != nil {
		t.Fatal(err)
	}
	net := r.To - r.From - interest
	if _, ok := m.try(t, r.Chosen, &ledger.FinanceDisburse{Request: r.ID, Net: net}); !ok {
		return
	}
	m.free(t, r.Voucher, r.From, r.To, r.Holder)
	m.give(r.Voucher, r.From, r.To, r.Chosen)
	m.move(r.Chosen, r.Holder, net)
}

// move books a payment; banks have no cash of their own.
func (m *machine) move(from, to ledger.PartyID, amount ledger.Fen) {
	if _, ok := m.cash[from]; ok {
		m.cash[from] -= amount
	}
	if _, ok := m.cash[to]; ok {
		m.cash[to] += amount
	}
}

func (m *machine) time(t *rapid.T) {
	m.wait(t, ledger.Time(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2, 5, 12}).Draw(t, "days"))*ledger.Day)
}

// wait lets time pass; what is paid by then is paid to whom the model says.
func (m *machine) wait(t *rapid.T, d ledger.Time) {
	events, err := m.pass(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == "lot.paid" {
			m.paid(t, &e)
		}
	}
}

// paid books one payment on a lot.
func (m *machine) paid(t *rapid.T, e *ledger.Event) {
	first := m.fens[e.Subject][e.From]
	payee := first.owner
	if first.pays == ledger.ProceedsPledgee {
		payee = first.pledgee
	}
	for i := e.From; i < e.To; i++ {
		f := &m.fens[e.Subject][i]
		if f.paid || f.owner != first.owner || f.pledgee != first.pledgee || f.pays != first.pays || !slices.Equal(f.orders, first.orders) {
			t.Fatalf("voucher %s: [%d, %d) is paid as one, fen %d is %+v, the first %+v", e.Subject, e.From, e.To, i, *f, first)
		}
	}
	for i := e.From; i < e.To; i++ {
		m.fens[e.Subject][i] = fen{owner: first.owner, paid: true}
	}
	m.done["lot.paid"]++
	if e.Counterparty != payee {
		t.Fatalf("voucher %s: [%d, %d) is paid to %s, not to %s", e.Subject, e.From, e.To, e.Counterparty, payee)
	}
	h := load[ledger.Hold](m.world, ledger.HoldKey(e.Ref))
	switch {
	case len(first.orders) > 0:
		if h.Reason != ledger.HoldFrozen || h.Controller != court || h.Amount != e.Amount || h.Owner != core {
			t.Fatalf("a frozen lot was paid into %+v", h)
		}
	case e.Ref.IsZero():
		m.move(core, payee, e.Amount)
	case h.Owner == core: // no mandate, or no money of its own to deposit
		if h.Reason != ledger.HoldUnrouted && h.Reason != ledger.HoldPledged || h.Amount != e.Amount {
			t.Fatalf("paid into %+v", h)
		}
	default:
		if h.Reason != ledger.HoldPledged || h.Owner != first.owner || h.Controller != first.pledgee || h.Amount != e.Amount {
			t.Fatalf("a deposit was made into %+v", h)
		}
		m.move(core, payee, e.Amount)
	}
}

// check compares every fen and everybody's money with the model, and audits every sum.
func (m *machine) check(t *rapid.T) {
	if m.checked == m.commits {
		return
	}
	m.checked = m.commits
	for _, id := range m.vouchers {
		at := 0
		for _, l := range m.lots(id) {
			for ; at < int(l.To); at++ {
				f := m.fens[id][at]
				if f.owner != l.Holder || f.paid != (l.State == ledger.LotPaid) || !slices.Equal(f.orders, l.Freezes) ||
					(f.pledgee != "") != (l.Pledge != nil) || l.Pledge != nil && (f.pledgee != l.Pledge.Pledgee || (f.pays != 0) != (l.Pledge.Number != "")) {
					t.Fatalf("voucher %s: fen %d is %+v, its lot %+v", id, at, f, l)
				}
			}
		}
		if at != len(m.fens[id]) {
			t.Fatalf("voucher %s: the lots end at %d, the model at %d", id, at, len(m.fens[id]))
		}
	}
	have := map[ledger.PartyID]ledger.Fen{}
	err := each(m.world, ledger.TableAccount, func(a ledger.Account) error {
		have[a.Holder] += a.Balance + a.Held
		return nil
	})
	for p, want := range m.cash {
		if have[p] != want {
			t.Fatalf("%s has %d, the model %d", p, have[p], want)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.commits%auditEvery == 0 {
		if err := m.audit(); err != nil {
			t.Fatal(err)
		}
	}
}
