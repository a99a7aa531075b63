package ledger

import "aval/suite"

// Table is the first byte of a state key: which record stands under it.
type Table byte

// State keys are a table byte followed by the parts of the key. Text parts are length-prefixed, numbers big-endian,
// so that no two records share a key. Table bytes are appended and never reused.
const (
	TableParty       Table = 1
	TableMember      Table = 2
	TableScope       Table = 3
	TableAccount     Table = 10
	TableSupply      Table = 11
	TableHold        Table = 12
	TableMandate     Table = 13
	TableLimit       Table = 20
	TableLimitVer    Table = 21
	TableInvoice     Table = 22
	TableInvoiceTwin Table = 23
	TableVoucher     Table = 30
	TableLot         Table = 31
	TableOffer       Table = 32
	TableTransfer    Table = 33
	TableOrder       Table = 34
	TableRequest     Table = 40
	TableQuote       Table = 41
	TableLadderDays  Table = 50
	TableLadder      Table = 51
	TableDayPool     Table = 52
	TableDueDays     Table = 53
	TableDueCursor   Table = 54
	TableList        Table = 60
	TableProposal    Table = 70
	TableClock       Table = 80
	TableGenesis     Table = 81
)

type keyBuilder []byte

func newKey(table Table) keyBuilder { return append(make(keyBuilder, 0, 64), byte(table)) }

// TableOf returns the table of a state key, 0 for an empty key.
func TableOf(key []byte) Table {
	if len(key) == 0 {
		return 0
	}
	return Table(key[0])
}

// text adds a length-prefixed part. Parts come from operations unchecked: one that is longer than anything stored is
// clipped, which finds nothing and keeps every key within StateKeyBytesMax.
func (k keyBuilder) text(s string) keyBuilder { return k.clipped(s, ScopeBytesMax) }

func (k keyBuilder) party(id PartyID) keyBuilder { return k.clipped(string(id), PartyIDBytesMax) }

func (k keyBuilder) clipped(s string, most int) keyBuilder {
	s = s[:min(len(s), most+1)]
	return append(append(k, byte(len(s))), s...)
}

func (k keyBuilder) hash(h suite.Hash) keyBuilder { return append(k, h[:]...) }

func (k keyBuilder) number(n uint64) keyBuilder {
	return append(k, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func (k keyBuilder) date(d Date) keyBuilder { return k.number(uint64(uint32(d))) }

// PartyKey is where a Party stands.
func PartyKey(id PartyID) []byte { return newKey(TableParty).party(id) }

// MemberKey is where a Member stands.
func MemberKey(key suite.PublicKey) []byte { return newKey(TableMember).text(string(key)) }

// ScopeKey is where a ScopeRecord stands.
func ScopeKey(path Scope) []byte { return newKey(TableScope).text(string(path)) }

// AccountKey is where an Account stands.
func AccountKey(bank, holder PartyID) []byte {
	return newKey(TableAccount).party(bank).party(holder)
}

// SupplyKey is where a bank's Supply stands.
func SupplyKey(bank PartyID) []byte { return newKey(TableSupply).party(bank) }

// HoldKey is where a Hold stands.
func HoldKey(id suite.Hash) []byte { return newKey(TableHold).hash(id) }

// MandateKey is where a Mandate stands.
func MandateKey(debtor, creditor PartyID) []byte {
	return newKey(TableMandate).party(debtor).party(creditor)
}

// LimitKey is where a Limit stands.
func LimitKey(grantor, core PartyID, purpose LimitPurpose) []byte {
	return newKey(TableLimit).party(grantor).party(core).number(uint64(purpose))
}

// LimitVersionKey is where one version of a limit stands as it was granted.
func LimitVersionKey(grantor, core PartyID, purpose LimitPurpose, version uint32) []byte {
	k := newKey(TableLimitVer).party(grantor).party(core)
	return k.number(uint64(purpose)).number(uint64(version))
}

// InvoiceKey is where an Invoice stands.
func InvoiceKey(fingerprint suite.Hash) []byte { return newKey(TableInvoice).hash(fingerprint) }

// InvoiceTwinKey is where the fingerprint of the first invoice with this twin tag stands.
func InvoiceTwinKey(twin suite.Hash) []byte { return newKey(TableInvoiceTwin).hash(twin) }

// VoucherKey is where a Voucher stands.
func VoucherKey(id suite.Hash) []byte { return newKey(TableVoucher).hash(id) }

// LotKey is where the Lot that begins at from stands.
func LotKey(voucher suite.Hash, from Fen) []byte {
	return newKey(TableLot).hash(voucher).number(uint64(from))
}

// OfferKey is where an Offer stands.
func OfferKey(id suite.Hash) []byte { return newKey(TableOffer).hash(id) }

// TransferKey is where a Transfer stands.
func TransferKey(voucher suite.Hash, number uint32) []byte {
	return newKey(TableTransfer).hash(voucher).number(uint64(number))
}

// OrderKey is where an Order on a voucher stands.
func OrderKey(voucher, order suite.Hash) []byte { return newKey(TableOrder).hash(voucher).hash(order) }

// RequestKey is where a finance Request stands.
func RequestKey(id suite.Hash) []byte { return newKey(TableRequest).hash(id) }

// QuoteKey is where a funder's Quote stands.
func QuoteKey(request suite.Hash, funder PartyID) []byte {
	return newKey(TableQuote).hash(request).party(funder)
}

// LadderDaysKey is where the Days on which an issuer owes anything stand.
func LadderDaysKey(issuer PartyID) []byte { return newKey(TableLadderDays).party(issuer) }

// LadderKey is where an issuer's LadderDay stands.
func LadderKey(issuer PartyID, settles Date) []byte {
	return newKey(TableLadder).party(issuer).date(settles)
}

// DayPoolKey is where a DayPool stands.
func DayPoolKey(issuer, bank PartyID, settles Date) []byte {
	return newKey(TableDayPool).party(issuer).party(bank).date(settles)
}

// DueDaysKey is where the Days on which any due-date work waits stand.
func DueDaysKey() []byte { return newKey(TableDueDays) }

// DueCursorKey is where a day's DueCursor stands.
func DueCursorKey(settles Date) []byte { return newKey(TableDueCursor).date(settles) }

// ProposalKey is where a Proposal stands.
func ProposalKey(id suite.Hash) []byte { return newKey(TableProposal).hash(id) }

// ClockKey is where the ClockRecord stands.
func ClockKey() []byte { return newKey(TableClock) }

// GenesisKey is where the Genesis stands.
func GenesisKey() []byte { return newKey(TableGenesis) }

// ListName names one paged list.
type ListName []byte

// LotsOf lists what a party holds, as LotRef items.
func LotsOf(p PartyID) ListName { return ListName(newKey(1).party(p)) }

// IssuedBy lists the vouchers that a party has issued, as ids.
func IssuedBy(p PartyID) ListName { return ListName(newKey(2).party(p)) }

// Incoming lists what waits for a party's answer: ids of vouchers, offers and finance requests, as Waiting items.
func Incoming(p PartyID) ListName { return ListName(newKey(3).party(p)) }

// DueOn lists the due-date work that waits on a day, as DueItem items, first come first served; see DueCursor.
func DueOn(settles Date) ListName { return ListName(newKey(4).date(settles)) }

// AccountsOf lists the banks with which a party has an account, as party ids.
func AccountsOf(p PartyID) ListName { return ListName(newKey(5).party(p)) }

// PoolOf lists an issuer's live vouchers on one bank and settlement day, as ids.
func PoolOf(issuer, bank PartyID, settles Date) ListName {
	return ListName(newKey(6).party(issuer).party(bank).date(settles))
}

// ListHeadKey is where a list's head stands.
func ListHeadKey(name ListName) []byte { return append(newKey(TableList).text(string(name)), 0) }

// ListPageKey is where a list's page stands.
func ListPageKey(name ListName, page uint64) []byte {
	return append(newKey(TableList).text(string(name)), 1).number(page)
}

// ListPageItems is how many items one page of a list holds.
const ListPageItems = 32

// ListHead is the record under ListHeadKey.
type ListHead struct {
	Count uint64 `cbor:"1,keyasint"`
}

// ListPage is the record under ListPageKey: up to ListPageItems items.
type ListPage struct {
	Items [][]byte `cbor:"1,keyasint"`
}

// LotRef is an item of LotsOf.
type LotRef struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	From    Fen        `cbor:"2,keyasint" json:"from"`
}

// DueItem is an item of DueOn: one voucher that was funded by itself, or, if Voucher is zero, the vouchers of Issuer on
// Bank that settle on that day.
type DueItem struct {
	Issuer  PartyID    `cbor:"1,keyasint" json:"issuer"`
	Bank    PartyID    `cbor:"2,keyasint" json:"bank"`
	Voucher suite.Hash `cbor:"3,keyasint" json:"voucher"`
}

// WaitingKind says what an item of Incoming is.
type WaitingKind uint8

// The kinds.
const (
	WaitingVoucher WaitingKind = 1
	WaitingOffer   WaitingKind = 2
	WaitingRequest WaitingKind = 3
)

// Waiting is an item of Incoming.
type Waiting struct {
	Kind WaitingKind `cbor:"1,keyasint" json:"kind"`
	ID   suite.Hash  `cbor:"2,keyasint" json:"id"`
}
