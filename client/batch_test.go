package client

import (
	"io"
	"net/http"
	"testing"

	"aval/api"
	"aval/codec"
	"aval/ledger"
)

// bulk answers a bulk submission with one stage for all.
func bulk(t *testing.T, stage api.Stage, seen *[]int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		txs, err := api.DecodeBatch(body)
		if err != nil || r.URL.Path != api.PathBatches || r.Header.Get("Content-Type") != api.MediaCBOR || r.URL.Query().Get(api.QueryWait) != "proven" {
			t.Errorf("%s %s: %v", r.URL, r.Header.Get("Content-Type"), err)
		}
		*seen = append(*seen, len(txs))
		out := make([]api.Submitted, len(txs))
		for i := range out {
			out[i] = api.Submitted{Stage: stage, Height: ledger.Height(i)}
		}
		w.Header().Set("Content-Type", api.MediaCBOR)
		if _, err := w.Write(codec.MustMarshal(out)); err != nil {
			t.Error(err)
		}
	}
}

func TestSubmitBatchGoesToANodeThatAnswers(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	var seen []int
	c, _ := n.clientFor(t, dead(t), node(t, bulk(t, api.StageProven, &seen)))
	out, err := c.SubmitBatch(t.Context(), [][]byte{{1}, {2}, {3}}, api.WaitProven)
	if err != nil || len(out) != 3 || out[2].Stage != api.StageProven || out[2].Height != 2 {
		t.Errorf("answered %+v, %v", out, err)
	}
	if len(seen) != 1 || seen[0] != 3 {
		t.Errorf("requests of %v transactions", seen)
	}
}

func TestSubmitBatchRefusesNonsense(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	var seen []int
	c, _ := n.clientFor(t, node(t, bulk(t, "done", &seen)))
	if _, err := c.SubmitBatch(t.Context(), [][]byte{{1}}, api.WaitProven); err == nil {
		t.Error("an unknown stage was taken")
	}
	if _, err := c.SubmitBatch(t.Context(), nil, api.WaitProven); err == nil || len(seen) != 1 {
		t.Errorf("an empty submission was sent: %v", err)
	}
	refused, _ := n.clientFor(t, node(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	if _, err := refused.SubmitBatch(t.Context(), [][]byte{{1}}, api.WaitProven); !IsNotFound(err) {
		t.Errorf("a node without bulk submission: %v", err)
	}
}
