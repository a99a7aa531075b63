package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"aval/ledger"
	"aval/suite"
)

func TestPathFillsParametersInOrder(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		args    []string
		want    string
	}{
		{PathStatus, nil, "/v1/status"},
		{PathLimit, []string{"A", "B", "1"}, "/v1/limits/A/B/1"},
		{PathTransactionProof, []string{"00ff"}, "/v1/transactions/00ff/proof"},
		{PathParty, []string{"a/b ?"}, "/v1/parties/a%2Fb%20%3F"},
		{PathAccount, []string{"A"}, "/v1/accounts/A/{holder}"},
	} {
		if got := Path(tc.pattern, tc.args...); got != tc.want {
			t.Errorf("Path(%q, %q) = %q, want %q", tc.pattern, tc.args, got, tc.want)
		}
	}
}

func TestRefusalsHaveStatusNameAndHint(t *testing.T) {
	for code := ledger.Code(1); code < 100; code++ {
		if strings.HasPrefix(code.String(), "CODE_") {
			continue
		}
		p := Refusal(ledger.Failf(code, "why"))
		if p.Status < 400 || p.Title == "" || p.Hint == "" || p.Name != code.String() || p.Code != code {
			t.Errorf("refusal %d is incomplete: %+v", code, p)
		}
		if !strings.Contains(p.Error(), "why") || !strings.Contains(p.Error(), p.Hint) {
			t.Errorf("refusal %d reads %q", code, p.Error())
		}
	}
	if got := Refusal(ledger.Failf(ledger.CodeBusy, "full")).Status; got != http.StatusServiceUnavailable {
		t.Errorf("a busy node answers %d, want 503 so that Retry-After applies", got)
	}
}

// No two members of one JSON object may share a name: encoding/json would silently drop both.
func TestViewsLoseNoMember(t *testing.T) {
	for _, v := range []any{Party{}, Member{}, Voucher{}, Lot{}, Offer{}, Request{}, Quote{}, Transfer{}, Invoice{},
		Limit{}, Hold{}, Mandate{}, Account{}, Proposal{}, Status{}, Network{}, Block{}, Outcome{}, Problem{}} {
		typ := reflect.TypeOf(v)
		names := map[string]int{}
		countMembers(typ, names)
		for name, n := range names {
			if n > 1 {
				t.Errorf("%s has %d members called %q", typ, n, name)
			}
		}
	}
}

func countMembers(t reflect.Type, names map[string]int) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			countMembers(f.Type, names)
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			names[name]++
		}
	}
}

func TestNumbersOf64BitsAreStrings(t *testing.T) {
	for _, v := range []any{Party{}, Member{}, Voucher{}, Lot{}, Offer{}, Request{}, Quote{}, Transfer{}, Invoice{},
		Limit{}, Hold{}, Mandate{}, Account{}, Proposal{}, Status{}, Network{}, Block{}, Outcome{}} {
		checkWide(t, reflect.TypeOf(v), reflect.TypeOf(v).Name())
	}
}

func checkWide(t *testing.T, typ reflect.Type, path string) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		elem := f.Type
		for elem.Kind() == reflect.Slice || elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		where := path + "." + f.Name
		switch _, text := reflect.New(elem).Interface().(interface{ UnmarshalText([]byte) error }); {
		case text || f.Tag.Get("json") == "-":
		case elem.Kind() == reflect.Struct:
			checkWide(t, elem, where)
		case elem.Kind() == reflect.Uint64 || elem.Kind() == reflect.Int64:
			if !strings.HasSuffix(f.Tag.Get("json"), ",string") {
				t.Errorf("%s is a bare number of 64 bits in JSON", where)
			}
		}
	}
}

const day = ledger.Date(20000)

func noon(d ledger.Date) AsOf { return AsOf{Time: d.Start() + 12*ledger.Hour} }

func TestVoucherStateFollowsTime(t *testing.T) {
	v := ledger.Voucher{Status: ledger.VoucherActive, Face: 100, Paid: 40, Due: day, Settles: day + 2}
	for _, tc := range []struct {
		at   ledger.Date
		want string
		owed bool
	}{
		{day - 1, "active", false}, {day, "matured", false}, {day + 2, "matured", true},
		{day + 3, "overdue", true}, {day + 7, "overdue", true}, {day + 8, "defaulted", true},
	} {
		got := NewVoucher(v, 5, noon(tc.at))
		if got.State != tc.want || got.Payable != tc.owed || got.Unpaid != 60 {
			t.Errorf("on %s the voucher is %s, payable %t, unpaid %s; want %s, %t", tc.at, got.State, got.Payable, got.Unpaid, tc.want, tc.owed)
		}
	}
	offered := ledger.Voucher{Status: ledger.VoucherOffered, AcceptBy: noon(day).Time}
	if got := NewVoucher(offered, 5, AsOf{Time: offered.AcceptBy - 1}); got.State != "offered" || got.Lapsed {
		t.Errorf("just before accept_by the voucher is %s", got.State)
	}
	if got := NewVoucher(offered, 5, AsOf{Time: offered.AcceptBy}); got.State != "lapsed" || !got.Lapsed {
		t.Errorf("at accept_by the voucher is %s", got.State)
	}
	for status := ledger.VoucherOffered; status <= ledger.VoucherPaid; status++ {
		if NewVoucher(ledger.Voucher{Status: status}, 0, AsOf{}).State == "" {
			t.Errorf("status %d has no name", status)
		}
	}
}

func TestLotIsFreeOnceItsLockLapses(t *testing.T) {
	v := &ledger.Voucher{Due: day + 90, Settles: day + 90}
	l := ledger.Lot{From: 10, To: 30, State: ledger.LotOffered, LockUntil: noon(day).Time}
	if got := NewLot(l, v, AsOf{Time: l.LockUntil - 1}); got.Free || got.Effective != "offered" || got.Amount != 20 {
		t.Errorf("a locked lot is %s, free %t, amount %s", got.Effective, got.Free, got.Amount)
	}
	if got := NewLot(l, v, AsOf{Time: l.LockUntil}); !got.Free || got.Effective != "held" || !got.Lapsed {
		t.Errorf("a lapsed lot is %s, free %t", got.Effective, got.Free)
	}
	l.Freezes = []suite.Hash{{1}}
	if got := NewLot(l, v, AsOf{Time: l.LockUntil}); got.Free || !got.Frozen {
		t.Error("a frozen lot is free")
	}
	l.State = ledger.LotPaid
	if got := NewLot(l, v, noon(day+200)); got.Effective != "paid" || got.Overdue {
		t.Errorf("a paid lot is %s", got.Effective)
	}
}

func TestQuoteComesToTheDemoFigures(t *testing.T) {
	opened, err := ledger.ParseDate("2026-10-12")
	if err != nil {
		t.Fatal(err)
	}
	v := &ledger.Voucher{Settles: opened + 93}
	r := &ledger.Request{To: 200_000_000, Status: ledger.RequestOpen}
	q := ledger.Quote{RateBps: 320, Basis: 360, ValidUntil: noon(opened + 1).Time}
	got := NewQuote(q, r, v, noon(opened))
	if got.Days != 93 || got.Interest.String() != "16,533.33" || got.Net.String() != "1,983,466.67" {
		t.Errorf("the quote comes to %d days, %s interest, %s net", got.Days, got.Interest, got.Net)
	}
	if late := NewQuote(q, r, v, noon(opened+2)); !late.Lapsed || late.Net != 0 {
		t.Errorf("a lapsed quote still offers %s", late.Net)
	}
}

func TestLimitAndMandateAreFreeWhileValid(t *testing.T) {
	l := ledger.Limit{Amount: 10, Used: 4, From: day, Until: day + 1}
	for _, tc := range []struct {
		at   ledger.Date
		free ledger.Fen
	}{{day - 1, 0}, {day, 6}, {day + 1, 6}, {day + 2, 0}} {
		if got := NewLimit(l, noon(tc.at)); got.Free != tc.free || got.Valid != (tc.free > 0) {
			t.Errorf("on %s the limit has %s free", tc.at, got.Free)
		}
	}
	if got := NewMandate(ledger.Mandate{Cap: 3, Owed: 5, NotAfter: day}, noon(day)); got.Free != 0 || !got.Valid {
		t.Errorf("an overdrawn mandate has %s free", got.Free)
	}
}

func TestPartyAndMember(t *testing.T) {
	m := ledger.Member{Caps: ledger.CapMaker | ledger.CapAdmin, NotBefore: 10, NotAfter: 20}
	for at, want := range map[ledger.Time]bool{9: false, 10: true, 19: true, 20: false} {
		if got := NewMember(m, AsOf{Time: at}); got.Valid != want || strings.Join(got.CapNames, " ") != "maker admin" {
			t.Errorf("at %d the key is valid %t with %v", int64(at), got.Valid, got.CapNames)
		}
	}
	m.RevokedAt = 12
	p := NewParty(ledger.Party{Roles: ledger.RoleBank}, []ledger.Member{m}, 1, AsOf{Time: 15})
	if p.Keys[0].Valid || !p.Barred || p.RoleNames[0] != "bank" {
		t.Errorf("party %+v", p)
	}
}

func TestProposalShowsItsOperations(t *testing.T) {
	op := ledger.NewOp("P", &ledger.MoneyMint{Holder: "H", Amount: 5, Ref: "r"})
	p, err := NewProposal(ledger.Proposal{Ops: []ledger.Op{op}, Status: ledger.ProposalOpen, Expires: 9}, AsOf{Time: 9})
	if err != nil || !p.Lapsed || p.State != "lapsed" {
		t.Fatalf("proposal %+v, %v", p, err)
	}
	b, err := json.Marshal(p.Operations)
	if err != nil || !strings.Contains(string(b), `"kind":"money.mint","party":"P","body":{"holder":"H","amount":"5","ref":"r"}`) {
		t.Fatalf("operations read %s, %v", b, err)
	}
}

func TestRequestBoundHoldsATransaction(t *testing.T) {
	body, err := json.Marshal(SubmitRequest{Tx: make([]byte, ledger.TxBytesMax)})
	if err != nil || len(body) > RequestBytesMax {
		t.Fatalf("the largest transaction takes %d bytes of JSON, %d are allowed (%v)", len(body), RequestBytesMax, err)
	}
	if PageSize != ledger.ListPageItems {
		t.Errorf("a page has %d items, the state's %d", PageSize, ledger.ListPageItems)
	}
}
