package cli

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// table says what stands under the keys of a table.
type table struct {
	name string
	new  func() any
}

var tables = map[ledger.Table]table{
	ledger.TableParty:       {"party", func() any { return new(ledger.Party) }},
	ledger.TableMember:      {"member", func() any { return new(ledger.Member) }},
	ledger.TableScope:       {"scope", func() any { return new(ledger.ScopeRecord) }},
	ledger.TableAccount:     {"account", func() any { return new(ledger.Account) }},
	ledger.TableSupply:      {"supply", func() any { return new(ledger.Supply) }},
	ledger.TableHold:        {"hold", func() any { return new(ledger.Hold) }},
	ledger.TableMandate:     {"mandate", func() any { return new(ledger.Mandate) }},
	ledger.TableLimit:       {"limit", func() any { return new(ledger.Limit) }},
	ledger.TableLimitVer:    {"limit version", func() any { return new(ledger.Limit) }},
	ledger.TableInvoice:     {"invoice", func() any { return new(ledger.Invoice) }},
	ledger.TableVoucher:     {"voucher", func() any { return new(ledger.Voucher) }},
	ledger.TableLot:         {"lot", func() any { return new(ledger.Lot) }},
	ledger.TableOffer:       {"offer", func() any { return new(ledger.Offer) }},
	ledger.TableTransfer:    {"transfer", func() any { return new(ledger.Transfer) }},
	ledger.TableOrder:       {"order", func() any { return new(ledger.Order) }},
	ledger.TableRequest:     {"request", func() any { return new(ledger.Request) }},
	ledger.TableQuote:       {"quote", func() any { return new(ledger.Quote) }},
	ledger.TableLadder:      {"ladder day", func() any { return new(ledger.LadderDay) }},
	ledger.TableDayPool:     {"day pool", func() any { return new(ledger.DayPool) }},
	ledger.TableProposal:    {"proposal", func() any { return new(ledger.Proposal) }},
	ledger.TableClock:       {"clock", func() any { return new(ledger.ClockRecord) }},
	ledger.TableInvoiceTwin: {"invoice twin", nil},
}

// tableName says what kind of record a raw key is for.
func tableName(key []byte) string {
	if t, ok := tables[ledger.TableOf(key)]; ok {
		return t.name
	}
	return fmt.Sprintf("table %d", ledger.TableOf(key))
}

// describeKey says whose record stands under a raw key: in words if it is one that people ask for, else in hexadecimal.
func describeKey(key []byte) string {
	name := tableName(key)
	r := keyReader{rest: key[min(1, len(key)):]}
	var text string
	var same []byte // the key that the words stand for
	switch ledger.TableOf(key) {
	case ledger.TableParty:
		id := r.party()
		text, same = string(id), ledger.PartyKey(id)
	case ledger.TableAccount:
		bank, holder := r.party(), r.party()
		text, same = fmt.Sprintf("of %s with %s", holder, bank), ledger.AccountKey(bank, holder)
	case ledger.TableVoucher, ledger.TableInvoice, ledger.TableOffer, ledger.TableRequest, ledger.TableHold, ledger.TableProposal:
		id := r.hash()
		text, same = id.String(), append([]byte{key[0]}, id[:]...)
	case ledger.TableLot:
		id, from := r.hash(), ledger.Fen(r.number())
		text, same = fmt.Sprintf("of voucher %s from %s", id, from), ledger.LotKey(id, from)
	default: // hexadecimal digits do
	}
	if text == "" || !bytes.Equal(key, same) {
		return fmt.Sprintf("%s %x", name, key)
	}
	return name + " " + text
}

// keyReader takes the parts of a raw key one by one. Beyond the end they are zero.
type keyReader struct{ rest []byte }

func (r *keyReader) take(n int) []byte {
	n = min(n, len(r.rest))
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *keyReader) party() ledger.PartyID {
	n := r.take(1)
	if len(n) == 0 {
		return ""
	}
	return ledger.PartyID(r.take(int(n[0])))
}

func (r *keyReader) hash() (h suite.Hash) { copy(h[:], r.take(suite.HashSize)); return h }

func (r *keyReader) number() (n uint64) {
	for _, b := range r.take(8) {
		n = n<<8 | uint64(b)
	}
	return n
}

// decodeRecord returns the record under a raw key, or its bytes in hexadecimal if this version does not know it.
func decodeRecord(key, value []byte) any {
	if t, ok := tables[ledger.TableOf(key)]; ok && t.new != nil {
		record := t.new()
		if codec.Unmarshal(value, record) == nil {
			return record
		}
	}
	return hex.EncodeToString(value)
}

// describe says in plain words what the records say that people ask proofs for most; "" for others.
func describe(record any) string {
	switch r := record.(type) {
	case *ledger.Lot:
		more := words(len(r.Freezes) > 0, "frozen", r.Pledge != nil, "pledged")
		if more != "" {
			more = ", " + more
		}
		return fmt.Sprintf("lot of voucher %s from %s: %s, holder %s, %s%s", r.Voucher, r.From, r.Amount(), r.Holder, lotStates[r.State], more)
	case *ledger.Voucher:
		return fmt.Sprintf("voucher %s: %s owed by %s, due %s, paid %s", r.ID, r.Face, r.Issuer, r.Due, r.Paid)
	case *ledger.Account:
		return fmt.Sprintf("account of %s with %s: balance %s, held %s", r.Holder, r.Bank, r.Balance, r.Held)
	case *ledger.Party:
		return fmt.Sprintf("party %s: %s, %s", r.ID, r.Name, r.Roles)
	}
	return ""
}

var lotStates = map[ledger.LotState]string{
	ledger.LotHeld: "held", ledger.LotOffered: "offered", ledger.LotRequested: "requested", ledger.LotPaid: "paid",
}
