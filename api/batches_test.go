package api

import (
	"bytes"
	"strings"
	"testing"

	"aval/codec"
	"aval/ledger"
)

func TestBatchesAreBounded(t *testing.T) {
	tx := bytes.Repeat([]byte{7}, 100)
	many := func(n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = tx
		}
		return out
	}
	for _, tc := range []struct {
		name string
		txs  [][]byte
		good bool
	}{
		{"none", nil, false},
		{"one", many(1), true},
		{"as many as may be", many(BatchTxsMax), true},
		{"one too many", many(BatchTxsMax + 1), false},
		{"the largest transactions", [][]byte{make([]byte, ledger.TxBytesMax), make([]byte, ledger.TxBytesMax)}, true},
		{"too many bytes", [][]byte{make([]byte, BatchBytesMax/2), make([]byte, BatchBytesMax/2)}, false},
	} {
		b, err := EncodeBatch(tc.txs)
		if (err == nil) != tc.good {
			t.Errorf("%s: encoded with %v", tc.name, err)
		}
		if !tc.good {
			b = codec.MustMarshal(tc.txs)
		}
		read, err := DecodeBatch(b)
		if (err == nil) != tc.good || tc.good && len(read) != len(tc.txs) {
			t.Errorf("%s: %d decoded with %v", tc.name, len(read), err)
		}
	}
}

func TestAnswersToBatchesAreChecked(t *testing.T) {
	answers := []Submitted{{Stage: StageRefused, Code: ledger.CodeBusy, Message: "full"}, {Stage: StagePending}, {Stage: StageCommitted, Height: 7, Index: 3},
		{Stage: StageProven, Code: ledger.CodeExpired, Message: "late", Height: 7}}
	b := codec.MustMarshal(answers)
	read, err := DecodeSubmitted(b, len(answers))
	if err != nil {
		t.Fatal(err)
	}
	for i := range answers {
		if read[i] != answers[i] {
			t.Errorf("answer %d was read as %+v, not %+v", i, read[i], answers[i])
		}
	}
	worst := make([]Submitted, BatchTxsMax)
	for i := range worst {
		worst[i] = Submitted{Stage: StageCommitted, Code: 65535, Message: strings.Repeat("x", ledger.TextBytesMax), Height: 1 << 63, Index: 1 << 31}
	}
	if b := codec.MustMarshal(worst); len(b) > BatchResponseBytesMax {
		t.Errorf("the longest answer has %d bytes, more than %d", len(b), BatchResponseBytesMax)
	}
	for name, bad := range map[string][]byte{
		"another number":   codec.MustMarshal(answers[:3]),
		"an unknown stage": codec.MustMarshal([]Submitted{{Stage: "done"}, {Stage: StagePending}, {Stage: StagePending}, {Stage: StagePending}}),
		"no stage":         codec.MustMarshal(make([]Submitted, 4)),
		"too long":         make([]byte, BatchResponseBytesMax+1),
		"nothing":          nil,
	} {
		if _, err := DecodeSubmitted(bad, len(answers)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(codec.MustMarshal([][]byte{{1, 2, 3}, {}}))
	f.Add([]byte{0x80})
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		txs, err := DecodeBatch(b)
		if err != nil {
			return
		}
		again, err := EncodeBatch(txs)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %x, %v", b, again, err)
		}
	})
}

func FuzzDecodeSubmitted(f *testing.F) {
	f.Add(codec.MustMarshal([]Submitted{{Stage: StageCommitted, Height: 1}}))
	f.Add([]byte{0x81, 0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := DecodeSubmitted(b, 1)
		if err == nil && !bytes.Equal(codec.MustMarshal(out), b) {
			t.Fatalf("%x was read as %+v", b, out)
		}
	})
}
