package sim

import (
	"errors"
	"time"
)

// channel says what a parcel is for.
type channel uint8

// The channels. From push on they are calls, which are answered.
const (
	chConsensus channel = iota + 1
	chRequest
	chCertificate
	chPush
	chFetch
	chCatchup
	chAnswer
	chRefusal
)

// parcel is what goes over a link. Nobody changes its bytes.
type parcel struct {
	channel channel
	call    uint64
	body    []byte
}

// link carries parcels from one node to another, in order or not at all.
type link struct {
	// last is when the newest parcel arrives: none overtakes it.
	last time.Time
	// cuts counts the faults that cut it.
	cuts int
}

// network is all links. Per mille of parcels are lost or come twice.
type network struct {
	w                *world
	links            [][]link
	lose, twice      int
	quickest, lagest time.Duration
}

// callTimeout is how long an answer is waited for.
const callTimeout = 1500 * time.Millisecond

func newNetwork(w *world, n int) *network {
	net := &network{w: w, links: make([][]link, n)}
	for i := range net.links {
		net.links[i] = make([]link, n)
	}
	net.calm()
	return net
}

// calm ends every disturbance of the links.
func (n *network) calm() {
	n.lose, n.twice = 0, 0
	n.quickest, n.lagest = 500*time.Microsecond, 5*time.Millisecond
	for i := range n.links {
		for k := range n.links[i] {
			n.links[i][k].cuts = 0
		}
	}
}

// cut adds a cut to the links from the nodes of one group to those of another, or takes one away.
func (n *network) cut(from, to []int, by int) {
	for _, i := range from {
		for _, k := range to {
			if i != k {
				n.links[i][k].cuts = max(0, n.links[i][k].cuts+by)
			}
		}
	}
}

// send carries a parcel.
func (n *network) send(from, to int, p parcel) {
	r := n.w.chance
	times := 1
	if n.twice > 0 && r.IntN(1000) < n.twice {
		n.w.counts["duplicated"]++
		times = 2
	}
	for range times {
		l := &n.links[from][to]
		if l.cuts > 0 || n.lose > 0 && r.IntN(1000) < n.lose {
			n.w.counts["lost"]++
			continue
		}
		at := n.w.clock.Now().Add(spread(r, n.quickest, n.lagest))
		if at.Before(l.last) {
			at = l.last
		}
		l.last = at
		n.w.after(at.Sub(n.w.clock.Now()), func() {
			if l.cuts > 0 {
				n.w.counts["lost"]++
				return
			}
			n.w.note("parcel", from<<8|to, int(p.channel), p.body)
			n.w.nodes[to].accept(from, p)
		})
	}
}

var (
	errTimeout = errors.New("sim: no answer")
	errRefused = errors.New("sim: refused")
)
