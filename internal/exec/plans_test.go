package exec_test

import (
	"reflect"
	"testing"

	"aval/codec"
	"aval/ledger"
)

// TestHotTypesHavePlans: what execution reads and writes for every transaction is not encoded the long way.
func TestHotTypesHavePlans(t *testing.T) {
	types := []reflect.Type{
		reflect.TypeFor[ledger.SignedTx](), reflect.TypeFor[ledger.Tx](), reflect.TypeFor[ledger.Batch](), reflect.TypeFor[ledger.Block](),
		reflect.TypeFor[ledger.Receipt](), reflect.TypeFor[ledger.Party](), reflect.TypeFor[ledger.Member](), reflect.TypeFor[ledger.Account](),
		reflect.TypeFor[ledger.Supply](), reflect.TypeFor[ledger.Hold](), reflect.TypeFor[ledger.Invoice](), reflect.TypeFor[ledger.Voucher](),
		reflect.TypeFor[ledger.Lot](), reflect.TypeFor[ledger.Offer](), reflect.TypeFor[ledger.Transfer](), reflect.TypeFor[ledger.Request](),
		reflect.TypeFor[ledger.Quote](), reflect.TypeFor[ledger.DayPool](), reflect.TypeFor[ledger.LadderDay](), reflect.TypeFor[ledger.Days](),
		reflect.TypeFor[ledger.Limit](), reflect.TypeFor[ledger.ListHead](), reflect.TypeFor[ledger.ListPage](), reflect.TypeFor[ledger.ClockRecord](),
	}
	for _, kind := range ledger.Kinds() {
		types = append(types, reflect.TypeOf(kind.New()).Elem())
	}
	for _, typ := range types {
		if !codec.Planned(typ) {
			t.Errorf("%v is encoded the long way", typ)
		}
	}
}
