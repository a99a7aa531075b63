package cli

import (
	"bytes"
	"encoding/json"
	"testing"

	"aval/api"
	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// FuzzFiles reads what one person hands another: a credential file, and what stands under a state key in a proof. What is read as a
// credential encodes back to the same bytes, and whatever it is, it can be shown.
func FuzzFiles(f *testing.F) {
	f.Add([]byte{}, codec.MustMarshal(&ledger.Credential{Party: "91310000MA1FL0001R", Key: suite.PublicKey{1}, NotAfter: 7}))
	f.Add(ledger.LotKey(suite.Hash{1}, 5), codec.MustMarshal(&ledger.Lot{Voucher: suite.Hash{1}, From: 5, To: 9, Freezes: []suite.Hash{{1}}}))
	f.Add(ledger.PartyKey("91310000MA1FL0001R"), codec.MustMarshal(&ledger.Party{ID: "91310000MA1FL0001R", Name: "核心"}))
	f.Add([]byte{0xff}, []byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, key, b []byte) {
		if c, err := decodeCredential(b); err == nil && !bytes.Equal(codec.MustMarshal(&c), b) {
			t.Fatalf("%x is read as %+v", b, c)
		}
		record := decodeRecord(key, b)
		if _, err := json.Marshal(record); err != nil {
			t.Fatalf("%x under %x cannot be shown: %v", b, key, err)
		}
		describe(record)
		describeKey(key)
	})
}

// FuzzTyped reads the operations of a node's answer: what is read can be shown, in words and as JSON.
func FuzzTyped(f *testing.F) {
	for _, info := range ledger.Kinds() {
		body, err := json.Marshal([]api.Operation{{Kind: info.Kind, Body: info.New()}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ops []api.Operation
		if json.Unmarshal(b, &ops) != nil {
			return
		}
		ops, err := typed(ops)
		if err != nil {
			return
		}
		var o output
		(&session{}).showOperations(&o, ops)
		if _, err := json.Marshal(ops); err != nil {
			t.Fatal(err)
		}
	})
}
