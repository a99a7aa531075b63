package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aval/api"
	"aval/internal/node"
	"aval/ledger"
)

// clockMax is from what difference on the clock of this machine and that of a node are called different: asking takes time too.
const clockMax = ledger.Second

// topic is one check of a running node: what may be wrong with it, and what to say if nothing is.
type topic struct {
	name  string
	codes []api.CauseCode
	well  func(s *api.Status) string
}

var topics = []topic{
	{"execution", []api.CauseCode{api.CauseBroken}, func(s *api.Status) string {
		return fmt.Sprintf("block %d is committed, %d executed, %d proven", s.Heights.Committed, s.Heights.Executed, s.Heights.Proven)
	}},
	{"quorum", []api.CauseCode{api.CauseQuorumLost}, func(s *api.Status) string {
		return fmt.Sprintf("%d of %d validators are needed to order", s.Network.Validators.Quorum(), len(s.Network.Validators))
	}},
	{"ordering", []api.CauseCode{api.CauseVotesMissing, api.CauseNotOrdering, api.CauseObserving}, ordering},
	{"progress", []api.CauseCode{api.CauseBehind}, func(s *api.Status) string {
		return fmt.Sprintf("the newest block that a peer told of is %d", s.Heights.Network)
	}},
	{"clock", []api.CauseCode{api.CauseClockSkew}, func(s *api.Status) string {
		var most ledger.Time
		for _, p := range s.Peers {
			most = max(most, p.Skew, -p.Skew)
		}
		return fmt.Sprintf("the clocks of its peers differ by %d ms at most", int64(most))
	}},
	{"disk", []api.CauseCode{api.CauseDiskFull, api.CauseDiskNearlyFull, api.CauseDiskReadOnly, api.CauseDiskSlow}, func(s *api.Status) string {
		return room(&s.Disk)
	}},
	{"links", []api.CauseCode{api.CauseOtherGenesis, api.CauseWrongKey, api.CauseUnreachable, api.CauseIncompatible}, func(s *api.Status) string {
		connected := 0
		for _, p := range s.Peers {
			if p.Connected {
				connected++
			}
		}
		return fmt.Sprintf("%d of %d peers are linked", connected, len(s.Peers))
	}},
	{"load", []api.CauseCode{api.CauseOverload}, func(s *api.Status) string {
		return fmt.Sprintf("%d transactions wait, %d may", s.Load.Pending, s.Load.Limit)
	}},
	{"attestations", []api.CauseCode{api.CauseFalseAttestation}, func(*api.Status) string {
		return "no validator was caught signing for what it had not verified"
	}},
}

func ordering(s *api.Status) string {
	switch s.Engine.Name {
	case "none":
		return "this node follows and does not vote"
	case "solo":
		return "this validator orders alone"
	}
	return fmt.Sprintf("%s leads in view %d; %d requests wait", s.Engine.Leader, s.Engine.View, s.Engine.Pending)
}

// Live adds the checks of a running node from what it says of itself; asked is about when it said so, by the clock of this machine.
func (r *Report) Live(s *api.Status, asked time.Time) {
	up := time.UnixMilli(int64(s.Network.Wall)).Sub(time.UnixMilli(int64(s.Node.Started))).Round(time.Second)
	r.ok("answers", "%s, a %s, version %s, up for %s, on network %s (%s)", s.Node.Name, s.Node.Role, s.Node.Version, up, s.Network.Name, s.Network.ID)
	seen := map[api.CauseCode]bool{}
	for _, t := range topics {
		bad := false
		for _, c := range s.Causes {
			if slices.Contains(t.codes, c.Code) {
				r.cause(t.name, &c)
				seen[c.Code], bad = true, true
			}
		}
		if !bad {
			r.ok(t.name, "%s", t.well(s))
		}
	}
	for _, c := range s.Causes {
		if !seen[c.Code] { // a node of a later version knows more
			r.cause(string(c.Code), &c)
		}
	}
	if d := s.Network.Wall - ledger.Time(asked.UnixMilli()); d > clockMax || d < -clockMax {
		r.add("this machine's clock", Warn, "check NTP on both: what this machine signs may be refused as too early or too late",
			"it differs from the node's by %.1f s", float64(d)/1000)
	}
	r.lab(s.Network.Clock == "lab", s.Network.Offset)
}

func (r *Report) cause(name string, c *api.Cause) {
	result := Warn
	if c.Fails {
		result = Fail
	}
	r.add(name, result, c.Next, "%s: %s", c.Code, c.Text)
}

func (r *Report) lab(is bool, offset ledger.Time) {
	if is {
		r.add("lab clock", Warn, "use it to try things out; for real obligations found a network with a real clock",
			"this is a lab network: its clock can be moved and is %.1f days ahead of this machine's; nothing here is a real obligation",
			float64(offset)/float64(ledger.Day))
	}
}

// room says how much a file system has, in words.
func room(d *api.Disk) string {
	const mib = 1 << 20
	return fmt.Sprintf("%d MiB free of %d, the node takes %d; a write of 4 KiB takes %d ms", d.FreeBytes/mib, d.TotalBytes/mib, d.DataBytes/mib, d.SyncMs)
}

// Silent adds that a node does not answer.
func (r *Report) Silent(err error) {
	r.add("answers", Fail, "see whether it runs: `aval doctor --home HOME` on its machine looks at it while it is stopped",
		"%s", strings.TrimSpace(err.Error()))
}

// measure adds the checks of a disk.
func (r *Report) measure(dir string) {
	d := node.MeasureDisk(dir)
	causes := node.DiskCauses(d, d.SyncMs >= 500)
	for i := range causes {
		r.cause("disk", &causes[i])
	}
	if len(causes) == 0 {
		r.ok("disk", "%s", room(&d))
	}
}
