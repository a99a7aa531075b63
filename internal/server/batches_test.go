package server_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"aval/api"
	"aval/codec"
	"aval/internal/intake"
	"aval/ledger"
)

// bulk submits transactions at once and returns what became of each.
func (n *node) bulk(query string, txs ...[]byte) ([]api.Submitted, answer) {
	n.Helper()
	body, err := api.EncodeBatch(txs)
	if err != nil {
		n.Fatal(err)
	}
	a := n.do(http.MethodPost, api.PathBatches+query, api.MediaCBOR, bytes.NewReader(body))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != api.MediaCBOR {
		n.Fatalf("submitted in bulk: %d %s", a.status, a.body)
	}
	out, err := api.DecodeSubmitted(a.body, len(txs))
	if err != nil {
		n.Fatal(err)
	}
	return out, a
}

func TestBulkSubmission(t *testing.T) {
	n := start(t, options{})
	forged := n.n.NewTx(n.n.OpenScope("/f"))
	n.n.Sign(t, forged, "authority.a")
	forged.Sigs[0].Sig[9] ^= 1
	good, half := n.n.Scope(t, "/a"), n.n.Tx(t, []string{"authority.m"}, n.n.OpenScope("/h"))
	txs := [][]byte{good, codec.MustMarshal(forged), half, []byte("junk"), good, n.n.Scope(t, "/b")}
	out, a := n.bulk("?wait=proven", txs...)
	for i, want := range []struct {
		stage api.Stage
		code  ledger.Code
	}{{api.StageProven, ledger.CodeOK}, {api.StageRefused, ledger.CodeSignature}, {api.StageProven, ledger.CodePolicyUnmet},
		{api.StageRefused, ledger.CodeEncoding}, {api.StageProven, ledger.CodeOK}, {api.StageProven, ledger.CodeOK}} {
		if got := out[i]; got.Stage != want.stage || got.Code != want.code || (got.Message == "") != (want.code == ledger.CodeOK) || (got.Height > 0) != (want.stage == api.StageProven) {
			t.Errorf("transaction %d: %+v, want %+v", i, got, want)
		}
	}
	if out[0] != out[4] || a.header.Get("Retry-After") != "" {
		t.Errorf("the same twice: %+v and %+v; retry after %q", out[0], out[4], a.header.Get("Retry-After"))
	}
	again, _ := n.bulk("", txs...)
	if again[0] != out[0] || again[5] != out[5] {
		t.Errorf("again: %+v", again)
	}
	n.held.Store(true)
	for _, query := range []string{"?wait=none", "?timeout_ms=20"} {
		if out, _ := n.bulk(query, n.n.Scope(t, "/c"), good); out[0] != (api.Submitted{Stage: api.StagePending}) {
			t.Errorf("%s: %+v", query, out)
		}
	}
}

func TestBulkSubmissionToABusyNode(t *testing.T) {
	n := start(t, options{intake: func(c *intake.Config) { c.PendingMax = 2 }})
	n.held.Store(true)
	out, a := n.bulk("?wait=none", n.n.Scope(t, "/a"), n.n.Scope(t, "/b"), n.n.Scope(t, "/c"))
	if out[1].Stage != api.StagePending || out[2].Stage != api.StageRefused || out[2].Code != ledger.CodeBusy || a.header.Get("Retry-After") != "1" {
		t.Errorf("%+v, retry after %q", out, a.header.Get("Retry-After"))
	}
}

func TestBulkRefusals(t *testing.T) {
	n := start(t, options{})
	for _, tc := range []struct {
		what, contentType, body string
		status                  int
		name                    string
	}{
		{"nothing", api.MediaCBOR, "", 400, api.NameArgument},
		{"an empty list", api.MediaCBOR, "\x80", 400, api.NameArgument},
		{"junk", api.MediaCBOR, "junk", 400, api.NameArgument},
		{"too many", api.MediaCBOR, string(codec.MustMarshal(slices.Repeat([][]byte{make([]byte, 8)}, api.BatchTxsMax+1))), 400, api.NameArgument},
		{"too much", api.MediaCBOR, string(make([]byte, api.BatchBytesMax+1)), 413, api.NameTooLarge},
		{"JSON", api.MediaJSON, "[]", 415, api.NameArgument},
		{"no content type", "", "\x80", 415, api.NameArgument},
	} {
		n.problem(tc.what, n.do(http.MethodPost, api.PathBatches, tc.contentType, strings.NewReader(tc.body)), tc.status, tc.name)
	}
	if err := n.intake.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _ := n.bulk("", n.n.Scope(t, "/a")); out[0].Code != ledger.CodeUnroutable {
		t.Errorf("a node that shuts down: %+v", out)
	}
}
