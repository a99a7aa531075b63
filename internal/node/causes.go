package node

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	"aval/api"
	"aval/internal/consensus"
	"aval/internal/transport"
	"aval/ledger"
)

const (
	// behindMin is how many blocks a node may lack before that is worth a word: a few are always under way.
	behindMin = 10
	// stalledAfter is how long execution may not move before it counts as held up.
	stalledAfter = 3 * time.Second
	// busyRecent is how long a transaction turned away counts.
	busyRecent = 5 * time.Second
	// linkPatience is how long after its start a node may still lack a link without that being a cause.
	linkPatience = 10 * time.Second
)

func has(text string, errno syscall.Errno) bool { return strings.Contains(text, errno.Error()) }

// causes says what is wrong, the worst first.
func (n *Node) causes(s *api.Status, engine *consensus.Status) []api.Cause {
	out := []api.Cause{}
	if err := n.chain.Broken(); err != nil {
		out = append(out, api.Cause{Code: api.CauseBroken, Fails: true, Text: "this node stopped executing: " + err.Error(),
			Next: "keep its data directory and log for whoever looks into it; then restore the node from a backup or from its peers"})
	}
	_, slow := n.disk.measured()
	links := n.linkCauses(s)
	out = append(out, n.orderingCauses(s, engine)...)
	out = append(out, n.behindCauses(s)...)
	out = append(out, skewCauses(s)...)
	out = append(out, DiskCauses(s.Disk, slow)...)
	out = append(out, n.overload(s)...)
	out = append(out, links...)
	if text := n.accusations.Load(); text != nil {
		out = append(out, api.Cause{Code: api.CauseFalseAttestation, Text: *text,
			Next: "send the proof to the operators of the other nodes: `aval proof accusation` shows what it proves"})
	}
	slices.SortStableFunc(out, func(a, b api.Cause) int { return weight(&a) - weight(&b) })
	return out
}

func weight(c *api.Cause) int {
	if c.Fails {
		return 0
	}
	return 1
}

// inWords joins the causes that tell why nothing commits here. A link or a disk that may come to that is not among them.
func inWords(causes []api.Cause) string {
	var texts []string
	for i := range causes {
		if c := &causes[i]; c.Fails || c.Code == api.CauseFalseAttestation || c.Code == api.CauseClockSkew {
			texts = append(texts, c.Text)
		}
	}
	return strings.Join(texts, "; ")
}

// orderingCauses says why nothing is ordered.
func (n *Node) orderingCauses(s *api.Status, engine *consensus.Status) []api.Cause {
	lost := n.quorumLost(s)
	if lost == "" && engine.QuorumLost {
		lost = engine.Cause
	}
	switch {
	case lost != "":
		return []api.Cause{{Code: api.CauseQuorumLost, Fails: true, Text: lost,
			Next: "start the validators that are missing, or mend the network between them; nothing is lost, and ordering goes on by itself"}}
	case engine.Observing:
		return []api.Cause{{Code: api.CauseObserving, Fails: true, Text: engine.Cause,
			Next: "wait: it votes again by itself once certified blocks have passed that height; do not restore or delete its data meanwhile"}}
	case len(engine.Awaited) > len(n.cfg.Genesis.Validators)-n.cfg.Genesis.Validators.Quorum():
		return []api.Cause{{Code: api.CauseVotesMissing, Fails: true, Text: n.awaited(s, engine),
			Next: "look at the validators named, beginning with what stands in brackets: `aval doctor --node URL` asks one of them"}}
	case engine.Cause != "":
		return []api.Cause{{Code: api.CauseNotOrdering, Fails: true, Text: engine.Cause,
			Next: "wait a few seconds: validators change their leader by themselves; if it stays, look at the leader"}}
	}
	return nil
}

// awaited names the validators whose votes are missing, each with what is known of it.
func (n *Node) awaited(s *api.Status, engine *consensus.Status) string {
	var who []string
	for _, i := range engine.Awaited {
		name := n.cfg.Genesis.Validators[i].Name
		for k := range s.Peers {
			if p := &s.Peers[k]; p.Name == name {
				name += n.excuse(s, p)
			}
		}
		who = append(who, name)
	}
	return fmt.Sprintf("block %d is proposed and not decided: votes are missing from %s", s.Heights.Committed+1, strings.Join(who, ", "))
}

// excuse says in brackets what is known to keep a peer from voting.
func (n *Node) excuse(s *api.Status, p *api.Peer) string {
	switch {
	case !p.Connected && p.Error != "":
		return " (no link: " + p.Error + ")"
	case !p.Connected:
		return " (no link)"
	case skewed(p, skewWarn):
		return fmt.Sprintf(" (its clock differs by %d ms)", int64(p.Skew))
	case p.Height != 0 && p.Height+1 < s.Heights.Committed:
		return fmt.Sprintf(" (it is at block %d)", p.Height)
	}
	return ""
}

// behindCauses says how far this node is behind, and why.
func (n *Node) behindCauses(s *api.Status) []api.Cause {
	n.probes.mu.Lock()
	trail := n.probes.trail
	n.probes.mu.Unlock()
	now := n.cfg.Clock.Now()
	if n.catchup != nil && n.catchup.Pruned() > 0 {
		return []api.Cause{{Code: api.CauseBehind, Fails: true,
			Text: fmt.Sprintf("this node needs block %d, and the peers have pruned what lies below %d", s.Heights.Committed+1, n.catchup.Pruned()),
			Next: "stop it and begin from a snapshot: `aval node restore --from-snapshot peers --replace`, or set snapshot.fetch and it does so by itself"}}
	}
	if lack := int64(s.Heights.Network) - int64(s.Heights.Committed); lack > behindMin {
		text := fmt.Sprintf("this node is %d blocks behind its peers and is catching up", lack)
		next := "wait"
		if rate := trail.rate(); rate > 0 {
			text += fmt.Sprintf(" at %.0f blocks/s, about %.0f s more", rate, math.Ceil(float64(lack)/rate))
		} else if now.Sub(n.started) > 2*probeEvery {
			text += ", but no block came in the last seconds"
			next = "look at the links and disks of this node and of those that have the blocks"
		}
		return []api.Cause{{Code: api.CauseBehind, Fails: true, Text: text, Next: next}}
	}
	if s.Heights.Executed < s.Heights.Committed && !trail.executedAt.IsZero() && now.Sub(trail.executedAt) > stalledAfter {
		return []api.Cause{{Code: api.CauseBehind, Fails: true,
			Text: fmt.Sprintf("block %d is ordered and not executed for %.0f s: this node waits for a batch in it that no validator has sent",
				s.Heights.Executed+1, now.Sub(trail.executedAt).Seconds()),
			Next: "see that the validators who hold the batch run and can be reached; this node asks them again by itself"}}
	}
	return nil
}

// trail is how this node came along from one round of probes to the next.
type trail struct {
	committed ledger.Height
	at        time.Time
	gained    float64 // blocks per second in the last round
	executed  ledger.Height
	// executedAt is when execution last moved or had nothing to do.
	executedAt time.Time
}

func (t *trail) note(committed, executed ledger.Height, now time.Time) {
	if span := now.Sub(t.at).Seconds(); !t.at.IsZero() && span > 0 {
		t.gained = float64(committed-t.committed) / span
	}
	t.committed, t.at = committed, now
	if executed != t.executed || executed == committed || t.executedAt.IsZero() {
		t.executed, t.executedAt = executed, now
	}
}

func (t *trail) rate() float64 { return t.gained }

func skewed(p *api.Peer, limit ledger.Time) bool { return p.Skew > limit || p.Skew < -limit }

// skewCauses names clocks that differ: this node's own if it differs from most others to the same side.
func skewCauses(s *api.Status) []api.Cause {
	var ahead, back, known []api.Peer
	for _, p := range s.Peers {
		if !p.Connected || p.Height == 0 && p.Skew == 0 {
			continue
		}
		known = append(known, p)
		switch {
		case p.Skew > skewWarn:
			ahead = append(ahead, p)
		case p.Skew < -skewWarn:
			back = append(back, p)
		}
	}
	const next = "check NTP on both machines: `chronyc tracking` or `timedatectl`"
	for _, side := range [][]api.Peer{ahead, back} {
		if len(known) >= 2 && 2*len(side) > len(known) {
			word := "behind"
			if side[0].Skew < 0 {
				word = "ahead of"
			}
			return []api.Cause{{Code: api.CauseClockSkew, Fails: skewed(&side[0], ledger.WallDriftMax),
				Text: fmt.Sprintf("this node's clock is about %d ms %s that of %d of its %d peers; voters refuse blocks beyond %d ms: check NTP here",
					abs(side[0].Skew), word, len(side), len(known), int64(ledger.WallDriftMax)), Next: next}}
		}
	}
	var out []api.Cause
	for _, p := range append(ahead, back...) {
		out = append(out, api.Cause{Code: api.CauseClockSkew, Fails: skewed(&p, ledger.WallDriftMax),
			Text: fmt.Sprintf("the clock of %s differs from this node's by %d ms; voters refuse blocks beyond %d ms: check NTP on both",
				p.Name, int64(p.Skew), int64(ledger.WallDriftMax)), Next: next})
	}
	return out
}

func abs(t ledger.Time) int64 { return max(int64(t), -int64(t)) }

// overload says that transactions are being turned away.
func (n *Node) overload(s *api.Status) []api.Cause {
	in := n.intake.Load()
	if in == nil {
		return nil
	}
	if last := in.Load().LastBusy; last.IsZero() || n.cfg.Clock.Now().Sub(last) > busyRecent {
		return nil
	}
	return []api.Cause{{Code: api.CauseOverload, Fails: true,
		Text: fmt.Sprintf("overloaded: %d transactions wait, %d may at the present pace, and %d were turned away since the start",
			s.Load.Pending, s.Load.Limit, s.Load.Refused),
		Next: "submit at other nodes too, or later; whoever submits gets the code BUSY and may try again"}}
}

// linkCauses says what is wrong with links, by what the handshake said.
func (n *Node) linkCauses(s *api.Status) []api.Cause {
	var out []api.Cause
	for i := range s.Peers {
		p := &s.Peers[i]
		if p.Connected || p.Error == "" && (p.Role != "validator" || n.cfg.Clock.Now().Sub(n.started) < linkPatience) {
			continue
		}
		if c := n.linkCause(p); p.Role == "validator" || c.Code != api.CauseUnreachable { // gateways come and go
			out = append(out, c)
		}
	}
	return out
}

func (n *Node) linkCause(p *api.Peer) api.Cause {
	who := p.Name
	if p.Address != "" {
		who += " at " + p.Address
	}
	switch p.Cause {
	case transport.CauseNetwork.String(), transport.CauseGenesis.String():
		return api.Cause{Code: api.CauseOtherGenesis,
			Text: fmt.Sprintf("%s is on another genesis: %s; this node is on network %s", who, p.Error, n.chain.Network()),
			Next: "compare genesis.cbor on both: `aval doctor --home HOME` prints the network id of each; give both the same file"}
	case transport.CauseUnlisted.String(), transport.CauseWrongPeer.String(), transport.CauseProof.String():
		return api.Cause{Code: api.CauseWrongKey, Text: fmt.Sprintf("%s has or expects another node key: %s", who, p.Error),
			Next: "see that its address in config.toml is its own, and that it runs with the key that the genesis names"}
	case transport.CauseVersion.String(), transport.CauseSuite.String(), transport.CauseMalformed.String(), transport.CauseProtocol.String():
		return api.Cause{Code: api.CauseIncompatible, Text: fmt.Sprintf("%s does not speak as this node does: %s", who, p.Error),
			Next: "run the same version of aval on both"}
	}
	text := fmt.Sprintf("no link to %s", who)
	if p.Error != "" {
		text += ": " + p.Error
	}
	return api.Cause{Code: api.CauseUnreachable, Text: text,
		Next: "see that it runs, that its link.listen is this address, and that no firewall is between"}
}
