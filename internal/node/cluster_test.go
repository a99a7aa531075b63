package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"aval/client"
	"aval/codec"
	"aval/internal/chain"
	"aval/internal/genesis"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// patience bounds every wait of these tests; it is long because machines are shared.
const patience = 60 * time.Second

// cluster is a whole network in this process, on loopback.
type cluster struct {
	t       *testing.T
	net     *genesis.Network
	dir     string
	configs []Config // validators, then observers
	nodes   []*Node  // nil where stopped
	scopes  atomic.Int64
}

// newCluster founds a network and starts all of its nodes.
func newCluster(t *testing.T, s string, validators, observers int) *cluster {
	t.Helper()
	c := foundCluster(t, s, validators, observers)
	c.startBut()
	c.meshed()
	return c
}

// startBut starts all nodes but some, whose place something else takes.
func (c *cluster) startBut(others ...int) {
	c.t.Helper()
	for i := range c.configs {
		if !slices.Contains(others, i) {
			c.start(i)
		}
	}
}

// foundCluster founds a network. Its nodes, once they are started, stop with the test.
func foundCluster(t *testing.T, s string, validators, observers int) *cluster {
	t.Helper()
	su, err := suite.ByName(s)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ledger.CompleteUSCC("91310000MA1AAAA00")
	if err != nil {
		t.Fatal(err)
	}
	now := ledger.Time(time.Now().UnixMilli())
	net, err := genesis.Found(genesis.Spec{Name: "test", Suite: su, Clock: ledger.ClockLab, Wall: now,
		AuthorityID: authority, AuthorityName: "Authority", Validators: validators, Observers: observers,
		Params: ledger.DefaultParams(validators)})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, net: net, dir: t.TempDir()}
	c.configure(validators, observers)
	c.nodes = make([]*Node, len(c.configs))
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

func (c *cluster) configure(validators, observers int) {
	var peers []Peer
	links := make([]string, validators)
	for i := range validators {
		links[i] = freeAddress(c.t)
		peers = append(peers, Peer{Name: genesis.ValidatorName(i), Key: c.net.Validators[i].Public(), Address: links[i]})
	}
	base := Config{Genesis: c.net.Genesis, Suite: c.net.Suite, Peers: peers, Version: "test", CacheBytes: 4 << 20,
		Logger: slog.New(slog.DiscardHandler)}
	for i := range validators {
		cfg := base
		cfg.Name, cfg.Role, cfg.Self = genesis.ValidatorName(i), RoleValidator, c.net.Validators[i]
		if validators == 1 {
			cfg.Role = RoleDev
		}
		cfg.PeerListen, cfg.HTTPListen = links[i], freeAddress(c.t)
		cfg.DataDir = filepath.Join(c.dir, cfg.Name)
		c.configs = append(c.configs, cfg)
	}
	for i := range observers {
		cfg := base
		cfg.Name, cfg.Role, cfg.Self = genesis.ObserverName(i), RoleGateway, c.net.Observers[i]
		cfg.HTTPListen = freeAddress(c.t)
		cfg.DataDir = filepath.Join(c.dir, cfg.Name)
		c.configs = append(c.configs, cfg)
	}
}

// ports counts those that were looked at; other processes begin elsewhere.
var ports = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(rand.Uint32N(20_000))
	return &n
}()

// freeAddress returns an address on loopback that nobody listens on. Its port is not one that the system hands out by itself,
// lest somebody has it for a connection when the node wants it, for the first time or again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+ports.Add(1)%20_000)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue // somebody has it
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no port is free")
	return ""
}

func (c *cluster) start(i int) {
	c.t.Helper()
	n, err := Start(c.t.Context(), c.configs[i])
	if err != nil {
		c.t.Fatalf("start %s: %v", c.configs[i].Name, err)
	}
	c.nodes[i] = n
}

func (c *cluster) stop(i int) {
	if c.nodes[i] == nil {
		return
	}
	if err := c.nodes[i].Close(); err != nil {
		c.t.Errorf("stop %s: %v", c.configs[i].Name, err)
	}
	c.nodes[i] = nil
}

// client speaks to the given nodes, in this order.
func (c *cluster) client(nodes ...int) *client.Client {
	c.t.Helper()
	var urls []string
	for _, i := range nodes {
		urls = append(urls, "http://"+c.configs[i].HTTPListen)
	}
	cl, err := client.New(client.Config{Endpoints: urls, Genesis: codec.MustMarshal(c.net.Genesis), AcceptLab: true})
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// openScope has the authority open a fresh scope through cl and returns its path once that is committed.
func (c *cluster) openScope(ctx context.Context, cl *client.Client) (ledger.Scope, error) {
	path := ledger.Scope(fmt.Sprintf("/s%d", c.scopes.Add(1)))
	op := ledger.NewOp(c.net.Genesis.Authority.ID, &ledger.ScopeOpen{Path: path, Authority: c.net.Genesis.Authority.ID})
	_, err := cl.Do(ctx, []ledger.Op{op}, c.net.Keys[genesis.KeyAuthorityAdmin])
	return path, err
}

func (c *cluster) mustOpenScope(cl *client.Client) ledger.Scope {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	path, err := c.openScope(ctx, cl)
	if err != nil {
		c.t.Fatalf("open scope: %v", err)
	}
	return path
}

// await waits until node i has executed height.
func (c *cluster) await(i int, height ledger.Height) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.nodes[i].chain.WaitExecuted(ctx, height); err != nil {
		progress, _ := c.nodes[i].chain.Progress()
		c.t.Fatalf("%s did not reach height %d, it is at %+v: %v", c.configs[i].Name, height, progress, err)
	}
}

// hasScope returns nil if node i shows the scope.
func (c *cluster) hasScope(i int, path ledger.Scope) error {
	return c.nodes[i].chain.Read(func(j *vm.Journal, at chain.At) error {
		if _, ok := vm.Load[ledger.ScopeRecord](j, ledger.ScopeKey(path)); !ok {
			return fmt.Errorf("no scope %s at height %d", path, at.Height)
		}
		return nil
	})
}
