package api

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/ledger"
)

// The bounds of one bulk submission at PathBatches. It takes at least 15 of the largest transactions.
const (
	// BatchTxsMax is how many transactions it may hold.
	BatchTxsMax = 1024
	// BatchBytesMax bounds its body, BatchResponseBytesMax the answer.
	BatchBytesMax         = 1 << 20
	BatchResponseBytesMax = BatchTxsMax * (ledger.TextBytesMax + 64)
)

// StageRefused is a transaction of a bulk submission that was refused without a receipt.
const StageRefused Stage = "refused"

// Submitted is what became of one transaction of a bulk submission: a receipt in brief, which names what to fetch for the
// whole of it, or a refusal.
type Submitted struct {
	// Stage is StageRefused, or how far the transaction has come.
	Stage Stage `cbor:"1,keyasint" json:"stage"`
	// Code and Message say why nothing took effect; Code is 0 on success and while pending.
	Code    ledger.Code `cbor:"2,keyasint" json:"code"`
	Message string      `cbor:"3,keyasint" json:"message"`
	// Height and Index say where the receipt stands; 0 while pending and if refused.
	Height ledger.Height `cbor:"4,keyasint" json:"height"`
	Index  uint32        `cbor:"5,keyasint" json:"index"`
}

// EncodeBatch returns the body of a bulk submission of encoded ledger.SignedTx: a CBOR array of byte strings. It fails beyond
// the bounds.
func EncodeBatch(txs [][]byte) ([]byte, error) {
	if err := checkBatch(txs); err != nil {
		return nil, err
	}
	b, err := codec.Marshal(txs)
	if err == nil && len(b) > BatchBytesMax {
		err = fmt.Errorf("%d transactions take %d bytes, the most is %d", len(txs), len(b), BatchBytesMax)
	}
	return b, err
}

// DecodeBatch strictly decodes the body of a bulk submission; the transactions themselves are not looked at.
func DecodeBatch(b []byte) ([][]byte, error) {
	if len(b) > BatchBytesMax {
		return nil, fmt.Errorf("%d bytes, the most is %d", len(b), BatchBytesMax)
	}
	var txs [][]byte
	if err := codec.Unmarshal(b, &txs); err != nil {
		return nil, err
	}
	return txs, checkBatch(txs)
}

func checkBatch(txs [][]byte) error {
	if len(txs) == 0 || len(txs) > BatchTxsMax {
		return fmt.Errorf("a bulk submission has 1 to %d transactions, not %d", BatchTxsMax, len(txs))
	}
	return nil
}

// DecodeSubmitted strictly decodes the answer to a bulk submission of count transactions.
func DecodeSubmitted(b []byte, count int) ([]Submitted, error) {
	if len(b) > BatchResponseBytesMax {
		return nil, fmt.Errorf("the answer has %d bytes, the most is %d", len(b), BatchResponseBytesMax)
	}
	var out []Submitted
	if err := codec.Unmarshal(b, &out); err != nil {
		return nil, err
	}
	if len(out) != count {
		return nil, fmt.Errorf("the answer is about %d transactions, not %d", len(out), count)
	}
	for i := range out {
		switch out[i].Stage {
		case StageRefused, StagePending, StageCommitted, StageProven:
		default:
			return nil, errors.New("the answer has an unknown stage")
		}
	}
	return out, nil
}
