package ledger_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// TestLimits states how the limits relate and why.
func TestLimits(t *testing.T) {
	for _, r := range []struct {
		name  string
		holds bool
	}{
		{"a transaction fits a batch, a batch a block", ledger.TxBytesMax < ledger.BatchBytesMax && ledger.BatchBytesMax < ledger.BlockBytesMax},
		{"a full block's batches can be ordered one by one or as many small ones",
			ledger.BlockBatchesMax*ledger.BatchBytesMax >= ledger.BlockBytesMax && ledger.BlockBytesMax/ledger.BatchBytesMax > 1},
		{"the certificates of as many batches as a block may order fit its payload",
			ledger.BlockBatchesMax*(ledger.BatchCertificateBytesMax+48)+ledger.BlockTicksMax*24+16 <= ledger.PayloadBytesMax},
		{"all validators' acknowledgements fit a certificate", ledger.ValidatorsMax*(65+16) < ledger.BatchCertificateBytesMax},
		{"a payload is small beside what it orders", 8*ledger.PayloadBytesMax < ledger.BlockBytesMax},
		{"operations and what they make are numbered in 16 bits (DerivedID)",
			ledger.TxOpsMax <= math.MaxUint16 && ledger.OfferPartsMax <= math.MaxUint16},
		{"batches and payloads are lists that the codec admits",
			ledger.BatchTxsMax <= codec.ElementsMax && ledger.BlockBatchesMax <= codec.ElementsMax},
		{"the receipts of a full block are a list that the codec admits", ledger.BlockBytesMax/len(smallestTx(t)) <= codec.ElementsMax},
		{"the events of a receipt are a list that the codec admits", ledger.ReceiptEventsMax <= codec.ElementsMax},
		{"the smallest transaction is far below the largest", len(smallestTx(t)) < ledger.TxBytesMax/16},
		{"all signatures of a transaction fit it, with room for operations", ledger.TxSignaturesMax*(33+65+16) < ledger.TxBytesMax/4},
		{"a batch outlives the window of its transactions", ledger.TxWindowMax < ledger.BatchAgeMax},
		{"a fresh header's drift is no part of the window worth naming", ledger.WallDriftMax*100 < ledger.TxWindowMax},
		{"two amounts add up in 63 bits", ledger.AmountMax <= math.MaxInt64/2},
		{"the amounts of the largest list add up in 64 bits", ledger.AmountMax <= math.MaxUint64/ledger.VoucherLotsMax},
		{"party ids hold what legal ids need", ledger.PartyIDBytesMax == 20},
		{"lengths in state keys are one byte", ledger.ScopeBytesMax < math.MaxUint8 && ledger.PartyIDBytesMax < math.MaxUint8},
		{"the deepest scope can be written", 2*ledger.ScopeDepthMax <= ledger.ScopeBytesMax},
		{"a policy can be met by one transaction and by one party",
			ledger.PolicySignersMax <= ledger.TxSignaturesMax && ledger.PolicySignersMax <= ledger.MembersMax},
		{"a proposal holds the approvals of two parties with the largest policy", 2*ledger.PolicySignersMax <= ledger.ProposalApprovalsMax},
		{"a proposal's operations fit the transaction that makes it", ledger.ProposalBytesMax < ledger.TxBytesMax},
		{"a genesis is a state value", ledger.GenesisBytesMax <= ledger.StateValueBytesMax},
		{"splits and freezes of a voucher stay within its lots, doubled by payment in parts but for freezes",
			ledger.VoucherSplitsMax < ledger.VoucherFreezesMax && 2*ledger.VoucherFreezesMax <= ledger.VoucherLotsMax},
		{"the due-date work of a block fits one receipt, four events a lot",
			4*(ledger.DueLotsPerBlock+ledger.VoucherFreezesMax) <= ledger.ReceiptEventsMax},
		{"quotes cannot be fewer than funders addressed", ledger.FundersMax <= ledger.QuotesMax},
		{"the longest tenor lies within one advance of the lab clock", ledger.TenorDaysMax*ledger.Day < ledger.AdvanceMax},
		{"the roots of a header are of an executed height", ledger.Lag >= 1},
		{"the smallest BFT set tolerates a fault", make(ledger.ValidatorSet, ledger.ValidatorsMin).Faulty() == 1},
		{"validators are numbered in 16 bits", ledger.ValidatorsMax <= math.MaxUint16},
	} {
		if !r.holds {
			t.Errorf("it no longer holds that %s", r.name)
		}
	}
}

// smallestTx returns the shortest transaction that passes CheckForm with whole signatures.
func smallestTx(t *testing.T) []byte {
	t.Helper()
	tx := ledger.SignedTx{Tx: ledger.Tx{Version: ledger.TxVersion, Ops: []ledger.Op{
		ledger.NewOp("", &ledger.ClockAdvance{}),
	}}, Sigs: []ledger.TxSignature{{Key: make([]byte, 32), Sig: make([]byte, 64)}}}
	if err := tx.CheckForm(suite.Hash{}); err != nil {
		t.Fatal(err)
	}
	return codec.MustMarshal(&tx)
}

// TestLargestRecordsFit builds the largest records that operations can make and finds them below StateValueBytesMax.
func TestLargestRecordsFit(t *testing.T) {
	id := ledger.PartyID(strings.Repeat("X", ledger.PartyIDBytesMax))
	key := suite.PublicKey(bytes.Repeat([]byte{0xff}, 33))
	hash := suite.Hash(bytes.Repeat([]byte{0xff}, 32))
	many := func(n int) []ledger.PartyID {
		out := make([]ledger.PartyID, n)
		for i := range out {
			out[i] = id
		}
		return out
	}
	keys := func(n int) []suite.PublicKey {
		out := make([]suite.PublicKey, n)
		for i := range out {
			out[i] = key
		}
		return out
	}
	policies := make([]ledger.Policy, ledger.PoliciesMax)
	uses := make([]ledger.EvidenceUse, ledger.EvidenceUsesMax)
	for i := range uses {
		uses[i] = ledger.EvidenceUse{Invoice: hash, Amount: ledger.AmountMax}
	}
	page := ledger.ListPage{}
	for range ledger.ListPageItems {
		page.Items = append(page.Items, codec.MustMarshal(&ledger.DueItem{Issuer: id, Bank: id, Voucher: hash}))
	}
	for name, size := range map[string]int{
		"proposal": ledger.ProposalBytesMax + 9*ledger.TxOpsMax + len(codec.MustMarshal(&ledger.Proposal{
			ID: hash, Maker: id, Parties: many(ledger.ProposalPartiesMax), Expires: math.MaxInt64,
			Note: strings.Repeat("x", ledger.TextBytesMax), Approvals: keys(ledger.ProposalApprovalsMax),
		})),
		"party": len(codec.MustMarshal(&ledger.Party{
			ID: id, Name: strings.Repeat("x", ledger.NameBytesMax), Scope: ledger.Scope(strings.Repeat("x", ledger.ScopeBytesMax)),
			Roles: math.MaxUint32, Policies: policies, Members: keys(ledger.MembersMax), Bank: id,
		})),
		"voucher": len(codec.MustMarshal(&ledger.Voucher{Evidence: uses, Scope: ledger.Scope(strings.Repeat("x", ledger.ScopeBytesMax))})) + 256,
		"offer":   len(codec.MustMarshal(&ledger.Offer{Evidence: uses})) + 256,
		"request": len(codec.MustMarshal(&ledger.Request{
			Funders: many(ledger.FundersMax), Quoted: many(ledger.QuotesMax), Slots: make([]uint64, ledger.FundersMax),
		})) + 9*ledger.FundersMax + 256,
		"list page": len(codec.MustMarshal(&page)),
	} {
		if size > ledger.StateValueBytesMax {
			t.Errorf("%s may have %d bytes, a state value has at most %d", name, size, ledger.StateValueBytesMax)
		}
	}
}

// longKeys makes every state key there is from parts as long as a transaction can name them.
func longKeys() map[string][]byte {
	text := strings.Repeat("x", ledger.TxBytesMax)
	id, hash := ledger.PartyID(text), suite.Hash{1}
	return map[string][]byte{
		"party": ledger.PartyKey(id), "member": ledger.MemberKey(suite.PublicKey(text)), "scope": ledger.ScopeKey(ledger.Scope(text)),
		"account": ledger.AccountKey(id, id), "supply": ledger.SupplyKey(id), "hold": ledger.HoldKey(hash),
		"mandate": ledger.MandateKey(id, id), "limit": ledger.LimitKey(id, id, math.MaxUint8),
		"limit version": ledger.LimitVersionKey(id, id, math.MaxUint8, math.MaxUint32), "invoice": ledger.InvoiceKey(hash),
		"invoice twin": ledger.InvoiceTwinKey(hash), "voucher": ledger.VoucherKey(hash), "lot": ledger.LotKey(hash, math.MaxUint64),
		"offer": ledger.OfferKey(hash), "transfer": ledger.TransferKey(hash, math.MaxUint32), "order": ledger.OrderKey(hash, hash),
		"request": ledger.RequestKey(hash), "quote": ledger.QuoteKey(hash, id), "ladder days": ledger.LadderDaysKey(id),
		"ladder": ledger.LadderKey(id, -1), "day pool": ledger.DayPoolKey(id, id, -1), "due days": ledger.DueDaysKey(),
		"due cursor": ledger.DueCursorKey(-1), "proposal": ledger.ProposalKey(hash), "clock": ledger.ClockKey(),
		"genesis": ledger.GenesisKey(), "lots of": ledger.ListPageKey(ledger.LotsOf(id), math.MaxUint64),
		"issued by": ledger.ListPageKey(ledger.IssuedBy(id), math.MaxUint64), "incoming": ledger.ListPageKey(ledger.Incoming(id), math.MaxUint64),
		"due on": ledger.ListPageKey(ledger.DueOn(-1), math.MaxUint64), "accounts of": ledger.ListPageKey(ledger.AccountsOf(id), math.MaxUint64),
		"pool of": ledger.ListPageKey(ledger.PoolOf(id, id, -1), math.MaxUint64), "list head": ledger.ListHeadKey(ledger.PoolOf(id, id, -1)),
	}
}

// TestKeysStayShort: whatever an operation names, its state key is within bounds.
func TestKeysStayShort(t *testing.T) {
	for name, key := range longKeys() {
		if len(key) > ledger.StateKeyBytesMax {
			t.Errorf("the key of %s has %d bytes, the most is %d", name, len(key), ledger.StateKeyBytesMax)
		}
		if ledger.TableOf(key) == 0 {
			t.Errorf("the key of %s has no table", name)
		}
	}
}

// TestKeysDiffer: no two records share a key, however their parts are cut.
func TestKeysDiffer(t *testing.T) {
	seen := map[string]string{}
	add := func(name string, key []byte) {
		if other, dup := seen[string(key)]; dup {
			t.Errorf("%s and %s share the key %x", other, name, key)
		}
		seen[string(key)] = name
	}
	for name, key := range longKeys() {
		add("long "+name, key)
	}
	ids := []ledger.PartyID{"", "a", "b", "aa", "ab", "a\x01", "\x01a", "a\x01b"}
	for _, a := range ids {
		for _, b := range ids {
			pair := string(a) + "|" + string(b)
			add("account "+pair, ledger.AccountKey(a, b))
			add("mandate "+pair, ledger.MandateKey(a, b))
			add("limit "+pair, ledger.LimitKey(a, b, ledger.LimitIssue))
			add("limit 2 "+pair, ledger.LimitKey(a, b, ledger.LimitFinance))
			add("version "+pair, ledger.LimitVersionKey(a, b, ledger.LimitIssue, 1))
			add("pool "+pair, ledger.DayPoolKey(a, b, 1))
			add("pool of "+pair, ledger.ListHeadKey(ledger.PoolOf(a, b, 1)))
			add("pool of, page "+pair, ledger.ListPageKey(ledger.PoolOf(a, b, 1), 0))
		}
		add("party "+string(a), ledger.PartyKey(a))
		for name, list := range map[string]ledger.ListName{
			"lots": ledger.LotsOf(a), "issued": ledger.IssuedBy(a), "incoming": ledger.Incoming(a), "accounts": ledger.AccountsOf(a),
		} {
			add(name+" of "+string(a), ledger.ListHeadKey(list))
			add(name+", page, of "+string(a), ledger.ListPageKey(list, 0))
		}
	}
	if ledger.TableOf(nil) != 0 {
		t.Error("an empty key has a table")
	}
}
