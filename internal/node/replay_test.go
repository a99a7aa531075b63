package node

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"aval/api"
	"aval/client"
	"aval/codec"
	"aval/ledger"
)

// The same signed transaction through several nodes at once, and again once it stands: it takes effect once, and everybody is
// given the same receipt.
func TestSameTransactionThroughManyNodesCommitsOnce(t *testing.T) {
	c := newCluster(t, "intl", 4, 1)
	for range 5 {
		tx, path := c.scopeTx()
		outcomes := make([]*api.Outcome, 4)
		var tasks sync.WaitGroup
		for k, i := range []int{0, 2, 4} {
			tasks.Go(func() {
				var err error
				if outcomes[k], err = c.client(i).Submit(t.Context(), tx, api.WaitCommitted); err != nil {
					t.Errorf("through %s: %v", c.configs[i].Name, err)
				}
			})
		}
		tasks.Wait()
		var err error
		if outcomes[3], err = c.client(1).Submit(t.Context(), tx, api.WaitCommitted); err != nil {
			t.Fatalf("again: %v", err)
		}
		if t.Failed() {
			return
		}
		for i := range c.nodes {
			c.awaitScope(i, path)
			spent := c.tookEffect(i, tx)
			for _, o := range outcomes {
				if o.Receipt == nil || o.Receipt.Height != spent.Height || o.Receipt.Index != spent.Index {
					t.Errorf("answered %+v, the receipt is at height %d, index %d", o, spent.Height, spent.Index)
				}
			}
		}
	}
	c.agree()
}

// A transaction is given to a node that takes it and dies before anybody else knows it; and to one that takes it and drops
// it. The client asks another node, and it takes effect once.
func TestTransactionThatOneNodeLostCommitsThroughAnother(t *testing.T) {
	c := foundCluster(t, "intl", 4, 2)
	const lost = 5
	c.configs[lost].Peers = nil // it reaches nobody
	c.startBut()
	end := c.traffic(0, 4)
	tx, path := c.scopeTx()
	out, err := c.client(lost).Submit(t.Context(), tx, api.WaitNone)
	if err != nil || out.Receipt != nil || c.nodes[lost].intake.Load().Pending() != 1 {
		t.Fatalf("a node that reaches nobody answers %+v, %v", out, err)
	}
	c.stop(lost)
	if _, err := c.client(lost, 1).Submit(t.Context(), tx, api.WaitCommitted); err != nil {
		t.Errorf("retried at another node: %v", err)
	}
	dropped, dropper := c.dropped(t)
	end()
	c.configs[lost].Peers = c.configs[0].Peers
	c.start(lost)
	for i := range c.nodes {
		c.awaitScope(i, path)
		c.tookEffect(i, tx)
		c.tookEffect(i, dropped)
	}
	if dropper == 0 {
		t.Error("the node that drops what it is given was given nothing")
	}
	c.agree()
}

// dropped submits a transaction to a server that says it took it and drops it, and then to an honest node. It returns how
// many requests the server took.
func (c *cluster) dropped(t *testing.T) (tx *ledger.SignedTx, requests int) {
	t.Helper()
	tx, _ = c.scopeTx()
	promise, err := json.Marshal(api.Outcome{ID: tx.Tx.ID(c.net.Suite), Signed: c.net.Suite.Hash(ledger.DomainSignedTx, codec.MustMarshal(tx)), Stage: api.StagePending})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		requests++
		mu.Unlock()
		w.Header().Set("Content-Type", api.MediaJSON)
		w.WriteHeader(http.StatusAccepted)
		if _, err := w.Write(promise); err != nil {
			t.Errorf("answer: %v", err)
		}
	}))
	defer server.Close()
	cl, err := client.New(client.Config{Endpoints: []string{server.URL, "http://" + c.configs[2].HTTPListen},
		Genesis: codec.MustMarshal(c.net.Genesis), AcceptLab: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Submit(t.Context(), tx, api.WaitCommitted); err != nil {
		t.Errorf("retried at an honest node: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return tx, requests
}
