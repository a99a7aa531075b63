package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"aval/suite"
)

// The handshake after TLS has three messages. The dialer sends its hello; the listener checks it and answers
// with its own; the dialer checks that and sends an accept. Whoever finds a fault answers with a refusal that
// names the cause. The listener signs nothing before it knows the dialer.

// linkIDLabel is the exporter label of the link's id, with which a peer can name a link that it lost.
const linkIDLabel = "EXPORTER-aval-peer-link-id"

// dial opens a connection to p and makes a link of it.
func (t *Transport) dial(p *peer) error {
	ctx, cancel := context.WithTimeout(t.ctx, t.limits.HandshakeTimeout)
	defer cancel()
	raw, err := t.dialRaw(ctx, p.Address)
	if err != nil {
		return refuse(CauseTransport, "%v", err)
	}
	// When ctx ends, so does the connection, whatever is waited for. A link is no longer bound to ctx.
	stop := context.AfterFunc(ctx, func() { t.closeConn(raw) })
	l, err := t.greetAsDialer(ctx, raw, p)
	if err == nil && !stop() {
		l.cancel(ctx.Err())
	}
	if err != nil {
		t.closeConn(raw)
	}
	return err
}

// begin runs TLS on raw under the handshake's deadline and returns the channel's exporter.
func (t *Transport) begin(ctx context.Context, raw net.Conn, conn *tls.Conn) ([]byte, error) {
	if err := raw.SetDeadline(time.Now().Add(t.limits.HandshakeTimeout)); err != nil {
		return nil, fmt.Errorf("transport: set the handshake deadline: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, refuse(CauseTransport, "TLS: %v", err)
	}
	return exporterOf(conn.ConnectionState())
}

func (t *Transport) greetAsDialer(ctx context.Context, raw net.Conn, p *peer) (*link, error) {
	tuneSocket(raw, t.log)
	conn := tls.Client(raw, t.clientTLS)
	exporter, err := t.begin(ctx, raw, conn)
	if err != nil {
		return nil, err
	}
	ours := t.claim(roleDialer, p.Key, p.lostLink())
	if err := t.sendHello(conn, ours, exporter); err != nil {
		return nil, err
	}
	theirs, err := receiveHello(conn)
	if err == nil {
		err = t.check(conn, ours, theirs, exporter)
	}
	if err == nil && !p.wouldAdmit(theirs.Claim, true) {
		err = errDuplicate
	}
	if err != nil {
		return nil, t.answerRefusal(conn, err)
	}
	if err := writeGreeting(conn, greetAccept, nil); err != nil {
		return nil, fmt.Errorf("transport: send the accept: %w", err)
	}
	return t.makeLink(raw, conn, p, theirs.Claim, true)
}

// greetAsListener returns the peer as soon as it proved its key, even if it is refused.
func (t *Transport) greetAsListener(ctx context.Context, raw net.Conn) (*link, *peer, error) {
	tuneSocket(raw, t.log)
	conn := tls.Server(raw, t.serverTLS)
	exporter, err := t.begin(ctx, raw, conn)
	if err != nil {
		return nil, nil, err
	}
	theirs, err := receiveHello(conn)
	if err != nil {
		return nil, nil, t.answerRefusal(conn, err)
	}
	p := t.peers[string(theirs.Claim.Key)]
	authentic := p != nil && t.authentic(conn, theirs, exporter)
	ours := t.claim(roleListener, nil, suite.Hash{})
	err = t.checkIncoming(ours, theirs, p, authentic)
	if !authentic {
		p = nil
	}
	if err != nil {
		return nil, p, t.answerRefusal(conn, err)
	}
	ours.Peer, ours.Lost = p.Key, p.lostLink()
	if err := t.sendHello(conn, ours, exporter); err != nil {
		return nil, p, err
	}
	if _, err := readGreeting(conn, greetAccept); err != nil {
		return nil, p, t.answerRefusal(conn, err)
	}
	l, err := t.makeLink(raw, conn, p, theirs.Claim, false)
	return l, p, err
}

// checkIncoming decides on a dialer. A wrong network is named before an unknown key, since it explains it.
func (t *Transport) checkIncoming(ours claim, theirs hello, p *peer, authentic bool) error {
	if refusal := judge(ours, theirs.Claim); refusal != nil {
		return refusal
	}
	switch {
	case p == nil:
		return refuse(CauseUnlisted, "key %s is not in the list of peers", clip(suite.PublicKey(theirs.Claim.Key).String()))
	case !authentic:
		return refuse(CauseProof, "the proof of key %s does not hold on this channel", p.Key)
	case !p.wouldAdmit(theirs.Claim, false):
		return errDuplicate
	}
	return nil
}

// check decides on a listener, whose key is the one we dialed if judge finds nothing.
func (t *Transport) check(conn *tls.Conn, ours claim, theirs hello, exporter []byte) error {
	if refusal := judge(ours, theirs.Claim); refusal != nil {
		return refusal
	}
	if !t.authentic(conn, theirs, exporter) {
		return refuse(CauseProof, "the proof of key %s does not hold on this channel", suite.PublicKey(theirs.Claim.Key))
	}
	return nil
}

// authentic reports whether the peer at the other end of conn holds the key it claims.
func (t *Transport) authentic(conn *tls.Conn, theirs hello, exporter []byte) bool {
	if t.suite.ID() == suite.Intl {
		key, err := certificateKey(conn.ConnectionState())
		if err != nil || !bytes.Equal(key, theirs.Claim.Key) {
			return false
		}
	}
	return proven(t.suite, theirs, exporter)
}

func (t *Transport) claim(r role, to suite.PublicKey, lost suite.Hash) claim {
	return claim{
		Suite: t.suite.ID(), Network: t.network, Genesis: t.genesis, Role: r,
		Key: t.self.Public(), Peer: to, Instance: t.instance[:], Lost: lost,
	}
}

func (t *Transport) sendHello(conn *tls.Conn, c claim, exporter []byte) error {
	h, err := prove(t.self, c, exporter)
	if err != nil {
		return err
	}
	if err := writeGreeting(conn, greetHello, encodeHello(h)); err != nil {
		return fmt.Errorf("transport: send the greeting: %w", err)
	}
	return nil
}

func receiveHello(conn *tls.Conn) (hello, error) {
	body, err := readGreeting(conn, greetHello)
	if err != nil {
		return hello{}, err
	}
	return decodeHello(body)
}

// answerRefusal tells the peer why, if we are the one who refuses, and returns err.
func (t *Transport) answerRefusal(conn *tls.Conn, err error) error {
	var r *Refusal
	if !errors.As(err, &r) || r.ByPeer || r.Cause == CauseTransport {
		return err
	}
	sendErr := writeGreeting(conn, greetRefusal, encodeRefusal(r))
	if sendErr == nil {
		sendErr = conn.CloseWrite()
	}
	if sendErr != nil {
		t.log.Debug("a peer could not be told why it is refused", slog.String("cause", r.Cause.String()), slog.Any("error", sendErr))
	}
	return err
}

// makeLink ends the handshake: the deadline goes, the link gets its id and is admitted, or refused if another
// link with the peer was admitted meanwhile.
func (t *Transport) makeLink(raw net.Conn, conn *tls.Conn, p *peer, theirs claim, dialed bool) (*link, error) {
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("transport: clear the handshake deadline: %w", err)
	}
	state := conn.ConnectionState()
	id, err := state.ExportKeyingMaterial(linkIDLabel, nil, suite.HashSize)
	if err != nil {
		return nil, fmt.Errorf("transport: export the link id: %w", err)
	}
	l := newLink(t, p, conn, raw)
	copy(l.id[:], id)
	copy(l.instance[:], theirs.Instance)
	l.dialed = dialed
	if !p.admit(l, theirs) {
		l.cancel(errDuplicate)
		return nil, errDuplicate
	}
	return l, nil
}

var errDuplicate = refuse(CauseDuplicate, "there is a link with this peer already")
