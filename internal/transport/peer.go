package transport

import (
	"bytes"
	"context"
	"sync"
	"time"

	"aval/suite"
)

// peer is what we know of one configured peer, across its links.
type peer struct {
	Peer
	// label names the peer in logs and metrics.
	label string
	// preferOurs tells that of two links at once, the one that we dialed is kept: our key is the smaller.
	preferOurs bool
	// dials tells whether we dial the peer.
	dials bool

	mu sync.Mutex
	// link is the current link, or nil.
	link *link
	// since is when link came up or went down.
	since time.Time
	// lost is the id of the last link that ended.
	lost suite.Hash
	// lastDone is closed when all handlers of the previous link returned.
	lastDone <-chan struct{}
	// lastError is why the last link or attempt failed, and lastErrorAt when.
	lastError   error
	lastErrorAt time.Time
	// loggedAt is when an error was last logged.
	loggedAt time.Time
	// changed is closed and replaced whenever link changes.
	changed chan struct{}
}

func newPeer(p Peer, self suite.PublicKey, observer bool) *peer {
	p.Observer = observer
	p.Key = bytes.Clone(p.Key)
	label := p.Name
	if label == "" {
		label = short(p.Key)
	}
	done := make(chan struct{})
	close(done)
	return &peer{
		Peer: p, label: label, preferOurs: bytes.Compare(self, p.Key) < 0, dials: !observer && p.Address != "",
		lastDone: done, changed: make(chan struct{}),
	}
}

// wouldAdmit reports whether a link with a peer that claims so would be taken now. A second link is taken:
//   - from a new instance: the peer was restarted and the old link is dead;
//   - if the peer says that it lost the link we hold;
//   - if the same side dialed again: it dials only when it has no link;
//   - if it was dialed by the side with the smaller key, so that both sides keep the same one of two.
func (p *peer) wouldAdmit(theirs claim, dialed bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wouldAdmitLocked(theirs, dialed)
}

func (p *peer) wouldAdmitLocked(theirs claim, dialed bool) bool {
	cur := p.link
	if cur == nil || cur.ctx.Err() != nil {
		return true
	}
	if !bytes.Equal(cur.instance[:], theirs.Instance) || theirs.Lost == cur.id || cur.dialed == dialed {
		return true
	}
	return dialed == p.preferOurs
}

// admit makes l the current link, ending another. It returns false if the other is kept.
func (p *peer) admit(l *link, theirs claim) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.t.ctx.Err() != nil || !p.wouldAdmitLocked(theirs, l.dialed) {
		return false
	}
	if old := p.link; old != nil {
		old.cancel(errReplaced)
		p.lost = old.id
	}
	l.predecessor = p.lastDone
	p.lastDone = l.done
	p.since = l.t.clock.Now()
	p.setLocked(l)
	l.t.wg.Go(func() { l.t.runLink(l) })
	return true
}

func (p *peer) setLocked(l *link) {
	p.link = l
	close(p.changed)
	p.changed = make(chan struct{})
}

// ended forgets l, if it is still the current link, and keeps why it ended. It returns whether it was.
func (p *peer) ended(l *link, now time.Time, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l {
		return false
	}
	p.lost = l.id
	p.since, p.lastError, p.lastErrorAt, p.loggedAt = now, err, now, now
	p.setLocked(nil)
	return true
}

func (p *peer) lostLink() suite.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// current returns the link, or nil, and a channel that is closed when that changes.
func (p *peer) current() (*link, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link, p.changed
}

// waitUntil waits until the peer has a link (up) or has none (!up). It returns false if ctx ended first.
func (p *peer) waitUntil(ctx context.Context, up bool) bool {
	for {
		l, changed := p.current()
		if (l != nil) == up {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// noteError records for Status that an attempt failed. It reports whether the error is worth a log line: an
// unreachable peer would fill the log otherwise.
func (p *peer) noteError(now time.Time, err error) (log bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	log = p.lastError == nil || causeOf(err) != causeOf(p.lastError) || now.Sub(p.loggedAt) >= logEvery
	if log {
		p.loggedAt = now
	}
	p.lastError, p.lastErrorAt = err, now
	return log
}

// logEvery is the shortest time between two log lines about one unreachable peer with one cause.
const logEvery = 30 * time.Second

// PeerStatus is what an operator sees of one peer.
type PeerStatus struct {
	// Name, Key, Address and Observer are as configured.
	Name     string
	Key      suite.PublicKey
	Address  string
	Observer bool
	// Connected tells whether there is a link; Dialed, whether we opened it; Remote, the other end's address.
	Connected bool
	Dialed    bool
	Remote    string
	// Since is when that became so; zero if there never was a link.
	Since time.Time
	// LastError is the newest reason why a link ended or could not be made, empty if there was none.
	LastError   string
	LastErrorAt time.Time
	// LastCause is the cause of LastError, 0 if there was none.
	LastCause Cause
	// RTT is the round trip of the newest ping, zero if unknown.
	RTT time.Duration
	// QueuedMessages and QueuedBytes wait to be written.
	QueuedMessages int
	QueuedBytes    int
}

func (p *peer) status() PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PeerStatus{
		Name: p.Name, Key: p.Key, Address: p.Address, Observer: p.Observer,
		Since: p.since, LastErrorAt: p.lastErrorAt,
	}
	if p.lastError != nil {
		s.LastError, s.LastCause = p.lastError.Error(), causeOf(p.lastError)
	}
	if l := p.link; l != nil {
		s.Connected, s.Dialed, s.Remote = true, l.dialed, l.raw.RemoteAddr().String()
		s.RTT = time.Duration(l.rtt.Load())
		s.QueuedMessages, s.QueuedBytes = l.out.size()
	}
	return s
}
