package intake

import "time"

// pace measures how many transactions of this node take effect in a second, and says from that how many may wait: about two
// seconds of work. More would not make the network faster, and whoever asks would learn too late that it is busy.
type pace struct {
	settled int       // since at
	at      time.Time // of the last measurement
	rate    float64   // per second, a mean over about the last second
}

const (
	// paceAhead is how much work may wait; paceMin is what may in any case, so that a network at rest takes a burst.
	paceAhead = 2 * time.Second
	paceMin   = 2000
)

// measure takes the time; it is called every now and then.
func (p *pace) measure(now time.Time) {
	span := now.Sub(p.at).Seconds()
	if p.at.IsZero() || span <= 0 {
		p.at, p.settled = now, 0
		return
	}
	share := min(1, span)
	p.rate += (float64(p.settled)/span - p.rate) * share
	p.at, p.settled = now, 0
}

// limit returns how many transactions may wait, at most most.
func (p *pace) limit(most int) int { return min(most, max(paceMin, int(p.rate*paceAhead.Seconds()))) }
