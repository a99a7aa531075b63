package exec_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// chaos draws operations of every kind whose fields are taken from what exists, from its edges, and from nowhere.
type chaos struct {
	*town
	t       *rapid.T
	parties []string
	lots    []ledger.Lot
	ids     map[string][]suite.Hash // by the name of the field that they fit
}

// newChaos returns a town with a core enterprise, a factor and a court, limits, and invoices between all traders.
func newChaos(t *rapid.T) *chaos {
	w := &chaos{town: newTown(t), t: t, ids: map[string][]suite.Hash{}}
	w.onboard(t, "core", ledger.RoleCore|ledger.RoleSupplier)
	w.onboard(t, "factor", ledger.RoleFactor)
	w.onboard(t, "court", ledger.RoleCourt)
	w.parties = append(append([]string{"core", "factor", "court"}, w.banks...), w.people...)
	today := w.Now().Date()
	ops := []ledger.Op{
		ledger.NewOp(w.Party("east"), &ledger.AccountOpen{Holder: w.Party("core")}),
		ledger.NewOp(w.Party("east"), &ledger.MoneyMint{Holder: w.Party("core"), Amount: 3000}),
		ledger.NewOp(w.Party("west"), &ledger.AccountOpen{Holder: w.Party("factor")}),
		ledger.NewOp(w.Party("west"), &ledger.MoneyMint{Holder: w.Party("factor"), Amount: 2000}),
		ledger.NewOp(w.Party("east"), &ledger.LimitGrant{Core: w.Party("core"), Purpose: ledger.LimitIssue, Amount: 4000, From: today, Until: today + 300}),
		ledger.NewOp(w.Party("factor"), &ledger.LimitGrant{Core: w.Party("core"), Purpose: ledger.LimitFinance, Amount: 1500, From: today, Until: today + 300}),
	}
	w.must(ops...)
	traders := append([]string{"core"}, w.people...)
	for _, seller := range w.people {
		ops = ops[:0]
		for _, buyer := range traders {
			if seller == buyer {
				continue
			}
			op := &ledger.EvidenceRegister{
				Scheme: ledger.InvoicePlain, Fingerprint: w.invoice(seller, buyer), Seller: w.Party(seller), Buyer: w.Party(buyer), Face: 2500,
				Issued: today, Contract: suite.Hash{1}, Receipt: suite.Hash{2},
			}
			op.Twin = ledger.InvoiceTwin(w.Suite, w.Network, op.Seller, op.Buyer, op.Face, op.Issued)
			ops = append(ops, ledger.NewOp(op.Seller, op), ledger.NewOp(op.Buyer, &ledger.EvidenceConfirm{Fingerprint: op.Fingerprint}))
		}
		w.must(ops...)
	}
	for i, seller := range w.people {
		issue := &ledger.VoucherIssue{
			Payee: w.Party(seller), Face: 800, Due: today + ledger.Date(2+i), Bank: w.Party("east"), AcceptBy: w.Now() + ledger.Day,
			Evidence: []ledger.EvidenceUse{{Invoice: w.invoice(seller, "core"), Amount: 800}},
		}
		tx := w.tx(w.parties, ledger.NewOp(w.Party("core"), issue))
		w.block(t, tx)
		w.must(ledger.NewOp(issue.Payee, &ledger.VoucherAccept{Voucher: ledger.DerivedID(w.Suite, tx.ID, 0, 0)}))
	}
	return w
}

func (w *chaos) must(ops ...ledger.Op) {
	if r := w.block(w.t, w.tx(w.parties, ops...)); r[len(r)-1].Code != ledger.CodeOK {
		w.t.Fatalf("setting up, operation %d: %s", r[len(r)-1].FailedOp, r[len(r)-1].Message)
	}
}

func (w *chaos) invoice(seller, buyer string) suite.Hash {
	return ledger.InvoiceFingerprint(w.Suite, w.Network, w.Party(seller), "of "+buyer)
}

// learn finds what exists.
func (w *chaos) learn() {
	w.lots = nil
	clear(w.ids)
	field := map[ledger.Table]string{
		ledger.TableVoucher: "voucher", ledger.TableOffer: "offer", ledger.TableRequest: "request", ledger.TableHold: "hold",
		ledger.TableInvoice: "invoice", ledger.TableProposal: "proposal",
	}
	j := w.Journal()
	for _, key := range sortedKeys(w.State) {
		table := ledger.TableOf([]byte(key))
		if name, ok := field[table]; ok {
			w.ids[name] = append(w.ids[name], suite.Hash([]byte(key[1:])))
		}
		if table == ledger.TableLot {
			var lot ledger.Lot
			if err := codec.Unmarshal(j.Get([]byte(key)), &lot); err != nil {
				w.t.Fatalf("%v", err)
			}
			w.lots = append(w.lots, lot)
		}
	}
	w.ids["fingerprint"], w.ids["order"] = w.ids["invoice"], []suite.Hash{{7}, {8}}
}

// pick returns one of words.
func (w *chaos) pick(label string, words []string) string {
	return rapid.SampledFrom(words).Draw(w.t, label)
}

// fill sets every field of a body.
func (w *chaos) fill(v reflect.Value, name string) {
	t := w.t
	switch p := v.Addr().Interface().(type) {
	case *ledger.Fen:
		*p = ledger.Fen(rapid.OneOf(rapid.Uint64Range(0, 1200), rapid.SampledFrom([]uint64{0, 1000, uint64(ledger.AmountMax), ^uint64(0)})).Draw(t, name))
	case *ledger.Date:
		*p = w.Now().Date() + ledger.Date(rapid.SampledFrom([]int{1, 2, 3, 5, 0, -1, 200, 1 << 30, -1 << 30}).Draw(t, name))
	case *ledger.Time:
		*p = w.Now() + ledger.Time(rapid.SampledFrom([]int64{
			int64(ledger.Hour), int64(ledger.Day), int64(2 * ledger.Day), 0, -1, 1 << 61, -1 << 61,
		}).Draw(t, name))
	case *ledger.PartyID:
		*p = w.Party(w.pick(name, w.parties))
		if rapid.IntRange(0, 19).Draw(t, "junk") == 0 {
			*p = ledger.PartyID(w.pick(name, []string{"", "x", strings.Repeat("y", 300)}))
		}
	case *suite.Hash:
		if ids := w.ids[name]; len(ids) > 0 && rapid.IntRange(0, 19).Draw(t, "junk") > 0 {
			*p = rapid.SampledFrom(ids).Draw(t, name)
		}
	case *codec.RawMessage:
		*p = codec.MustMarshal(&ledger.MemberAdd{})
	case *ledger.Kind:
		*p = ledger.KindMemberAdd
	default:
		w.fillPlain(v, name)
	}
}

func (w *chaos) fillPlain(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			w.fill(v.Field(i), tag)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(w.t, name))
			return
		}
		for range rapid.IntRange(0, 3).Draw(w.t, name) {
			item := reflect.New(v.Type().Elem()).Elem()
			w.fill(item, name)
			v.Set(reflect.Append(v, item))
		}
	case reflect.String:
		v.SetString(w.pick(name, []string{"", "text", strings.Repeat("z", 2000)}))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(w.t, name))
	default:
		v.SetUint(rapid.Uint64Range(0, 400).Draw(w.t, name) & (1<<min(v.Type().Bits(), 63) - 1))
	}
}

// aim makes a body fit something that exists, so that operations get far; it returns who should act.
func (w *chaos) aim(body ledger.Body) string {
	t := w.t
	var lot ledger.Lot
	if len(w.lots) > 0 {
		lot = rapid.SampledFrom(w.lots).Draw(t, "lot")
	}
	cut := lot.From + ledger.Fen(rapid.Uint64Range(0, uint64(lot.Amount())).Draw(t, "cut"))
	until := w.Now() + ledger.Hour
	holder := w.nameOf(lot.Holder)
	switch b := body.(type) {
	case *ledger.VoucherIssue:
		seller := w.pick("payee", w.people)
		*b = ledger.VoucherIssue{
			Payee: w.Party(seller), Face: b.Face%900 + 1, Due: w.Now().Date() + ledger.Date(rapid.IntRange(1, 4).Draw(t, "tenor")),
			Bank: w.Party("east"), AcceptBy: until,
		}
		b.Evidence = []ledger.EvidenceUse{{Invoice: w.invoice(seller, "core"), Amount: b.Face}}
		return "core"
	case *ledger.VoucherOffer:
		to := w.pick("to", w.people)
		amount := lot.To - cut
		*b = ledger.VoucherOffer{Voucher: lot.Voucher, Lot: lot.From, AcceptBy: until, Parts: []ledger.OfferPart{{
			Amount: amount, To: w.Party(to), Discharge: ledger.DischargeAtPayment,
			Evidence: []ledger.EvidenceUse{{Invoice: w.invoice(to, holder), Amount: amount}},
		}}}
		if cut > lot.From {
			b.Parts = append([]ledger.OfferPart{{Amount: cut - lot.From}}, b.Parts...)
		}
		return holder
	case *ledger.PledgeCreate:
		b.Voucher, b.From, b.To, b.Proceeds = lot.Voucher, lot.From, cut, ledger.ProceedsPledgee+ledger.Proceeds(b.From%2)
		return holder
	case *ledger.PledgeRecord:
		b.Voucher, b.Lot, b.Number, b.At = lot.Voucher, lot.From, "R", w.Now()
	case *ledger.PledgeRelease:
		b.Voucher, b.Lot = lot.Voucher, lot.From
	case *ledger.LotFreeze:
		b.Voucher, b.From, b.To, b.Note = lot.Voucher, lot.From, cut, ""
		return "court"
	case *ledger.LotUnfreeze:
		b.Voucher, b.From, b.To = lot.Voucher, lot.From, cut
		return "court"
	case *ledger.FinanceRequest:
		*b = ledger.FinanceRequest{Voucher: lot.Voucher, From: cut, To: lot.To, AcceptBy: until}
		return holder
	case *ledger.FinanceQuote:
		b.Basis, b.PayBank, b.ValidUntil, b.Fee = 360, w.Party("west"), until, b.Fee%3
		return "factor"
	case *ledger.FinanceRegister:
		b.Number, b.At = "N", w.Now()
	case *ledger.DayFund:
		b.Bank = w.Party("east")
		return "core"
	case *ledger.ClockAdvance:
		b.To = w.Now() + ledger.Time(rapid.IntRange(1, 3).Draw(t, "days"))*ledger.Day
	case *ledger.VoucherFund, *ledger.VoucherCancel:
		return "core"
	}
	return w.waiter(body)
}

// waiter returns who is asked to answer what body names.
func (w *chaos) waiter(body ledger.Body) string {
	j := w.Journal()
	v := reflect.ValueOf(body).Elem()
	for i := range v.NumField() {
		id, ok := v.Field(i).Interface().(suite.Hash)
		if !ok {
			continue
		}
		switch v.Type().Field(i).Name {
		case "Voucher":
			voucher, _ := vm.Load[ledger.Voucher](j, ledger.VoucherKey(id))
			return w.nameOf(voucher.Payee)
		case "Offer":
			offer, _ := vm.Load[ledger.Offer](j, ledger.OfferKey(id))
			return w.nameOf(offer.Transferee)
		case "Request":
			request, _ := vm.Load[ledger.Request](j, ledger.RequestKey(id))
			if accept, ok := body.(*ledger.FinanceAccept); ok {
				accept.Funder = w.Party("factor")
				quote, _ := vm.Load[ledger.Quote](j, ledger.QuoteKey(id, accept.Funder))
				accept.Terms = quote.Terms()
			}
			if request.Status == ledger.RequestOpen {
				return w.nameOf(request.Holder)
			}
			return "factor"
		case "Hold":
			hold, _ := vm.Load[ledger.Hold](j, ledger.HoldKey(id))
			return w.nameOf(hold.Owner)
		}
	}
	return w.pick("by", w.parties)
}

// drain makes blocks until the clock stands and nothing is due.
func (w *chaos) drain() {
	for n := 0; w.Last.WorkLeft; n++ {
		if n > 100 {
			w.t.Fatalf("work is left after %d blocks", n)
		}
		w.pass(ledger.Second)
	}
}

// pass lets time go by.
func (w *chaos) pass(step ledger.Time) {
	if _, err := w.Block(step); err != nil {
		w.t.Fatalf("block %d: %v", w.Height, err)
	}
}

func (w *chaos) nameOf(id ledger.PartyID) string {
	for _, name := range w.parties {
		if w.Party(name) == id {
			return name
		}
	}
	return "core"
}

// op draws one operation of any kind.
func (w *chaos) op() ledger.Op {
	kinds := ledger.Kinds()
	info := kinds[rapid.IntRange(0, len(kinds)-1).Draw(w.t, "kind")]
	if rapid.IntRange(0, 4).Draw(w.t, "trade") > 0 {
		info, _ = rapid.SampledFrom([]ledger.Kind{
			ledger.KindVoucherIssue, ledger.KindVoucherAccept, ledger.KindVoucherOffer, ledger.KindOfferAccept, ledger.KindFinanceRequest,
			ledger.KindFinanceQuote, ledger.KindFinanceAccept, ledger.KindFinanceApprove, ledger.KindFinanceRegister, ledger.KindFinanceDisburse,
			ledger.KindLotFreeze, ledger.KindVoucherFund, ledger.KindDayFund, ledger.KindPledgeCreate,
		}).Draw(w.t, "trade kind").Info()
	}
	body := info.New()
	w.fill(reflect.ValueOf(body).Elem(), "")
	by := w.pick("by", w.parties)
	if rapid.IntRange(0, 9).Draw(w.t, "aimed") > 0 {
		by = w.aim(body)
	}
	party := w.Party(by)
	if info.Class == ledger.ClassSystem {
		party = ""
	}
	return ledger.NewOp(party, body)
}

// signed is signed by everybody, the clock key too.
func (w *chaos) signed(ops ...ledger.Op) exec.Tx {
	tx := w.tx(w.parties, ops...)
	return w.seal(tx.Body, []suite.PublicKey{w.Genesis.ClockKey})
}

// TestAnyOperation throws operations of every kind, sensible and not, at execution: none stops the node, and whatever they do,
// the whole state adds up after every block.
func TestAnyOperation(t *testing.T) {
	codes, succeeded := map[ledger.Code]int{}, map[ledger.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := newChaos(t)
		for range rapid.IntRange(6, 20).Draw(t, "blocks") {
			if step := rapid.SampledFrom([]ledger.Time{0, 0, 0, ledger.Hour, ledger.Day}).Draw(t, "step"); step > 0 {
				w.pass(step)
			}
			w.learn()
			var txs []exec.Tx
			for range rapid.IntRange(0, 8).Draw(t, "txs") {
				txs = append(txs, w.signed(w.op()))
			}
			receipts := w.block(t, txs...)
			w.drain()
			for i := range receipts {
				codes[receipts[i].Code]++
				if n := i - (len(receipts) - len(txs)); n >= 0 && receipts[i].Code == ledger.CodeOK {
					succeeded[txs[n].Body.Tx.Ops[0].Kind]++
				}
			}
		}
	})
	if len(codes) < 20 || len(succeeded) < 10 {
		t.Fatalf("only %d codes came up and %d kinds succeeded: %v %v", len(codes), len(succeeded), codes, succeeded)
	}
	t.Log(fmt.Sprint(codes), succeeded)
}
