package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"aval/api"
	"aval/internal/consensus"
	"aval/ledger"
)

// probe is what one peer last said of itself.
type probe struct {
	height ledger.Height
	skew   ledger.Time
	at     time.Time
}

// probes are the newest answers by peer key.
type probes struct {
	mu     sync.Mutex
	byPeer map[string]probe
	trail  trail
}

const (
	probeEvery = 2 * time.Second
	// probeFresh is how long an answer counts.
	probeFresh = 6 * time.Second
	// skewWarn is from what clock difference on status names it: voters refuse blocks beyond ledger.WallDriftMax.
	skewWarn = ledger.WallDriftMax / 2
)

// probeLoop asks every peer for its head and clock.
func (n *Node) probeLoop(ctx context.Context) error {
	timer := n.cfg.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		var wg sync.WaitGroup
		for i := range n.peers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				n.probePeer(ctx, i)
			}()
		}
		wg.Wait()
		progress, _ := n.chain.Progress()
		n.probes.mu.Lock()
		n.probes.trail.note(progress.Committed, progress.Executed, n.cfg.Clock.Now())
		n.probes.mu.Unlock()
		timer.Reset(probeEvery)
	}
}

func (n *Node) probePeer(ctx context.Context, i int) {
	if !n.links.Connected(n.peers[i].Key) {
		return
	}
	sent := n.cfg.Clock.Now()
	r, err := n.catchup.Probe(ctx, i)
	if err != nil {
		return // the link's own status says why
	}
	now := n.cfg.Clock.Now()
	middle := ledger.Time(sent.Add(now.Sub(sent) / 2).UnixMilli())
	n.probes.mu.Lock()
	defer n.probes.mu.Unlock()
	if n.probes.byPeer == nil {
		n.probes.byPeer = map[string]probe{}
	}
	n.probes.byPeer[string(n.peers[i].Key)] = probe{height: r.Head, skew: r.Wall - middle, at: now}
}

// Status says how the node and its network are.
func (n *Node) Status() api.Status {
	progress, _ := n.chain.Progress()
	engine := consensus.Status{Engine: "none"}
	if n.engine != nil {
		engine = n.engine.Status()
	}
	s := api.Status{
		Node: api.NodeInfo{Name: n.cfg.Name, Role: string(n.cfg.Role), Key: n.cfg.Self.Public(), Version: n.cfg.Version,
			Started: ledger.Time(n.started.UnixMilli())},
		Network: n.networkStatus(progress.Committed, progress.Time, progress.Time-progress.Wall),
		Heights: api.Heights{Committed: progress.Committed, Executed: progress.Executed, Proven: progress.Proven,
			Network: progress.Committed, LastCommit: progress.Wall},
		Engine: api.Engine{Name: engine.Engine, View: engine.View, Observing: engine.Observing, ObserveUntil: engine.ObserveUntil,
			Pending: engine.Pending, Awaited: []string{}},
	}
	s.Heights.First = n.chain.First()
	if h, err := n.snapshots.Newest(); err == nil {
		s.Heights.Snapshot = h
	}
	set := n.cfg.Genesis.Validators
	if engine.Engine != "none" && int(engine.Leader) < len(set) {
		s.Engine.Leader = set[engine.Leader].Name
	}
	for _, i := range engine.Awaited {
		s.Engine.Awaited = append(s.Engine.Awaited, set[i].Name)
	}
	if in := n.intake.Load(); in != nil {
		load := in.Load()
		s.Load = api.Load{Pending: uint32(load.Pending), Limit: uint32(load.Limit), Refused: load.Busy}
	}
	s.Disk, _ = n.disk.measured()
	n.addPeers(&s)
	s.Causes = n.causes(&s, &engine)
	s.Cause = inWords(s.Causes)
	return s
}

func (n *Node) networkStatus(height ledger.Height, at, offset ledger.Time) api.Network {
	g := n.cfg.Genesis
	epoch, set := n.chain.Epoch()
	out := api.Network{Name: g.Name, ID: n.chain.Network(), Suite: n.cfg.Suite.Name(), Clock: "real", Time: at, Wall: n.chain.Now(), Offset: offset,
		Height: height, Epoch: epoch, Validators: set,
		Genesis: api.GenesisSummary{Wall: g.Wall, Start: g.Start, Authority: g.Authority.ID, Issuers: g.Issuers, Params: g.Params}}
	if g.Clock == ledger.ClockLab {
		out.Clock, out.Banner = "lab", api.LabBanner
	}
	return out
}

func (n *Node) addPeers(s *api.Status) {
	s.Peers = []api.Peer{}
	n.probes.mu.Lock()
	defer n.probes.mu.Unlock()
	if n.links == nil {
		return
	}
	now := n.cfg.Clock.Now()
	for _, p := range n.links.Status() {
		peer := api.Peer{Name: p.Name, Role: "validator", Key: p.Key, Address: p.Address, Connected: p.Connected, Error: p.LastError}
		if p.Observer {
			peer.Role = "gateway"
		}
		switch {
		case p.Connected:
			peer.Error = ""
		case p.LastError != "":
			peer.Cause = p.LastCause.String()
		}
		if a, ok := n.probes.byPeer[string(p.Key)]; ok && now.Sub(a.at) < probeFresh {
			peer.Height, peer.Skew = a.height, a.skew
			s.Heights.Network = max(s.Heights.Network, a.height)
		}
		s.Peers = append(s.Peers, peer)
	}
}

// quorumLost names the validators that are missing if those that can be reached are no quorum.
func (n *Node) quorumLost(s *api.Status) string {
	set := n.cfg.Genesis.Validators
	reached := 0
	if n.index >= 0 {
		reached = 1
	}
	var lost []string
	for _, p := range s.Peers {
		if p.Role != "validator" {
			continue
		}
		if p.Connected {
			reached++
			continue
		}
		why := p.Name
		if p.Error != "" {
			why += " (" + p.Error + ")"
		}
		lost = append(lost, why)
	}
	if reached >= set.Quorum() {
		return ""
	}
	if n.index < 0 { // the others may reach each other
		return fmt.Sprintf("this gateway reaches %d of %d validators, and %d are needed to order; missing: %s",
			reached, len(set), set.Quorum(), strings.Join(lost, ", "))
	}
	return fmt.Sprintf("quorum lost: %d of %d validators can be reached, %d are needed; missing: %s",
		reached, len(set), set.Quorum(), strings.Join(lost, ", "))
}
