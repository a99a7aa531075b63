package ledger_test

import (
	"fmt"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/ledger"
)

// TestAppetite gives every decoder what is worst for it.
func TestAppetite(t *testing.T) {
	type decoder struct {
		zero   any
		most   int
		decode func(b []byte) error
	}
	decoders := map[string]decoder{
		"SignedTx":         {&ledger.SignedTx{}, ledger.TxBytesMax, func(b []byte) error { _, err := ledger.DecodeSignedTx(b); return err }},
		"Batch":            {&ledger.Batch{}, 1 << 20, func(b []byte) error { _, err := ledger.DecodeBatch(b); return err }},
		"Payload":          {&ledger.Payload{}, 1 << 20, func(b []byte) error { _, err := ledger.DecodePayload(b); return err }},
		"Block":            {&ledger.Block{}, 1 << 20, func(b []byte) error { _, err := ledger.DecodeBlock(b); return err }},
		"OrderingRequest":  {&ledger.OrderingRequest{}, 1 << 20, func(b []byte) error { _, err := ledger.DecodeOrderingRequest(b); return err }},
		"Tick":             {&ledger.Tick{}, 1 << 16, func(b []byte) error { _, err := ledger.DecodeTick(b); return err }},
		"BatchAck":         {&ledger.BatchAck{}, 1 << 16, func(b []byte) error { _, err := ledger.DecodeBatchAck(b); return err }},
		"BatchCertificate": {&ledger.BatchCertificate{}, ledger.BatchCertificateBytesMax, func(b []byte) error { _, err := ledger.DecodeBatchCertificate(b); return err }},
		"Genesis":          {&ledger.Genesis{}, ledger.GenesisBytesMax, func(b []byte) error { _, _, err := ledger.DecodeGenesis(b); return err }},
		"Proof":            {&ledger.Proof{}, ledger.ProofBytesMax, func(b []byte) error { _, err := ledger.DecodeProof(b); return err }},
		"FalseAttestation": {&ledger.FalseAttestation{}, ledger.FalseAttestationBytesMax, func(b []byte) error { _, err := ledger.DecodeFalseAttestation(b); return err }},
	}
	for _, info := range ledger.Kinds() {
		decoders[fmt.Sprintf("Op %s", info.Name)] = decoder{info.New(), ledger.TxBytesMax, func(b []byte) error {
			_, err := (&ledger.Op{Kind: info.Kind, Body: b}).Decode()
			return err
		}}
	}
	for name, d := range decoders {
		t.Run(name, func(t *testing.T) {
			inputs := append(appetite.Worst(d.zero, codec.Marshal, d.most), appetite.Malformed(d.most)...)
			appetite.CheckAll(t, inputs, func(b []byte) { _ = d.decode(b) })
		})
	}
}
