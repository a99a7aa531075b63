package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// A greeting is: type (1 byte), version (2 bytes), length (2 bytes), body. The version stands outside the
// body so that another version can be named even if its body is unreadable. Integers are big endian.
const greetingHeaderBytes = 5

type greetingType uint8

const (
	greetHello   greetingType = 1
	greetRefusal greetingType = 2
	greetAccept  greetingType = 3
)

// instanceBytes is the length of the random number that a node draws at each start.
const instanceBytes = 16

type role uint8

const (
	roleDialer   role = 1
	roleListener role = 2
)

// claim is what a node says of itself and of the link. Its proof is a signature over claim and exporter.
type claim struct {
	Suite   suite.ID   `cbor:"1,keyasint"`
	Network suite.Hash `cbor:"2,keyasint"`
	Genesis suite.Hash `cbor:"3,keyasint"`
	// Role is the sender's on this connection.
	Role role `cbor:"4,keyasint"`
	// Key is the sender's node key, Peer the one it believes to speak to.
	Key  []byte `cbor:"5,keyasint"`
	Peer []byte `cbor:"6,keyasint"`
	// Instance is drawn at each start of the sender, so that a restarted node's link replaces its old one.
	Instance []byte `cbor:"7,keyasint"`
	// Lost names the last link with this peer that the sender saw end, so that the peer drops its half of it.
	Lost suite.Hash `cbor:"8,keyasint"`
}

// hello is a claim with its proof.
type hello struct {
	Claim claim  `cbor:"1,keyasint"`
	Proof []byte `cbor:"2,keyasint"`
}

// statement is what a proof signs.
type statement struct {
	Version uint16 `cbor:"1,keyasint"`
	Claim   claim  `cbor:"2,keyasint"`
	// Exporter is keying material of the TLS channel, which no other channel shares.
	Exporter []byte `cbor:"3,keyasint"`
}

type refusalBody struct {
	Cause Cause  `cbor:"1,keyasint"`
	Text  string `cbor:"2,keyasint"`
}

func (s statement) encode() []byte { return codec.MustMarshal(s) }

// prove signs c for the channel with the given exporter.
func prove(self suite.Signer, c claim, exporter []byte) (hello, error) {
	sig, err := self.Sign(ledger.DomainPeerLink, statement{ProtocolVersion, c, exporter}.encode())
	if err != nil {
		return hello{}, fmt.Errorf("transport: sign the greeting: %w", err)
	}
	return hello{Claim: c, Proof: sig}, nil
}

// proven reports whether h was signed by the key it claims for the channel with the given exporter.
func proven(s suite.Suite, h hello, exporter []byte) bool {
	return s.Verify(h.Claim.Key, ledger.DomainPeerLink, statement{ProtocolVersion, h.Claim, exporter}.encode(), h.Proof)
}

// decodeHello reads the body of a hello and checks the shape of its fields, not their truth.
func decodeHello(body []byte) (hello, error) {
	var h hello
	if err := codec.Unmarshal(body, &h); err != nil {
		return hello{}, refuse(CauseMalformed, "greeting: %v", err)
	}
	if len(h.Claim.Instance) != instanceBytes {
		return hello{}, refuse(CauseMalformed, "greeting: instance of %d bytes, not %d", len(h.Claim.Instance), instanceBytes)
	}
	if h.Claim.Role != roleDialer && h.Claim.Role != roleListener {
		return hello{}, refuse(CauseMalformed, "greeting: role %d", h.Claim.Role)
	}
	return h, nil
}

// decodeRefusal reads the body of a refusal.
func decodeRefusal(body []byte) (*Refusal, error) {
	var r refusalBody
	if err := codec.Unmarshal(body, &r); err != nil {
		return nil, refuse(CauseMalformed, "refusal: %v", err)
	}
	if len(r.Text) > ErrorTextBytesMax {
		return nil, refuse(CauseMalformed, "refusal: a text of %d bytes", len(r.Text))
	}
	if r.Cause == 0 || r.Cause > causeMax {
		return nil, refuse(CauseMalformed, "refusal: unknown cause %d", r.Cause)
	}
	return &Refusal{Cause: r.Cause, Text: r.Text, ByPeer: true}, nil
}

// encodeRefusal returns the body that tells the peer why it is refused.
func encodeRefusal(r *Refusal) []byte {
	return codec.MustMarshal(refusalBody{Cause: r.Cause, Text: clip(r.Text)})
}

func writeGreeting(w io.Writer, t greetingType, body []byte) error {
	if len(body) > GreetingBytesMax {
		return fmt.Errorf("transport: greeting of %d bytes", len(body))
	}
	b := make([]byte, greetingHeaderBytes, greetingHeaderBytes+len(body))
	b[0] = byte(t)
	binary.BigEndian.PutUint16(b[1:], ProtocolVersion)
	binary.BigEndian.PutUint16(b[3:], uint16(len(body)))
	_, err := w.Write(append(b, body...))
	return err
}

// readGreeting reads one greeting. A refusal is returned as an error. A hello may be asked for, or an accept.
func readGreeting(r io.Reader, want greetingType) ([]byte, error) {
	var head [greetingHeaderBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, greetingReadError(err)
	}
	version, length := binary.BigEndian.Uint16(head[1:]), int(binary.BigEndian.Uint16(head[3:]))
	if length > GreetingBytesMax {
		return nil, refuse(CauseMalformed, "greeting of %d bytes, at most %d", length, GreetingBytesMax)
	}
	if version != ProtocolVersion {
		return nil, refuse(CauseVersion, "the peer speaks protocol version %d, we speak %d", version, ProtocolVersion)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, greetingReadError(err)
	}
	got := greetingType(head[0])
	if got == greetRefusal {
		refusal, err := decodeRefusal(body)
		if err != nil {
			return nil, err
		}
		return nil, refusal
	}
	if got != want {
		return nil, refuse(CauseMalformed, "greeting of type %d, expected %d", got, want)
	}
	if want == greetAccept && length != 0 {
		return nil, refuse(CauseMalformed, "an accept has no body")
	}
	return body, nil
}

func greetingReadError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse(CauseTransport, "the peer closed the connection during the greeting")
	}
	return fmt.Errorf("transport: read the greeting: %w", err)
}

// judge compares what a peer claims with what we are and whom we accept. It does not look at the proof.
// ours is our own claim on this connection; its Peer is empty on the listening side.
func judge(ours, theirs claim) *Refusal {
	switch {
	case theirs.Suite != ours.Suite:
		return refuse(CauseSuite, "the peer uses crypto suite %d, we use %d", theirs.Suite, ours.Suite)
	case theirs.Network != ours.Network:
		dialer, listener := ours.Network, theirs.Network
		if ours.Role == roleListener {
			dialer, listener = listener, dialer
		}
		return refuse(CauseNetwork, "the node that dials is on network %s, the one that listens on %s", dialer, listener)
	case theirs.Genesis != ours.Genesis:
		return refuse(CauseGenesis, "the peer has genesis %s, we have %s", theirs.Genesis, ours.Genesis)
	case theirs.Role == ours.Role:
		return refuse(CauseMalformed, "the peer claims our own role on the connection")
	case len(ours.Peer) != 0 && !bytes.Equal(theirs.Key, ours.Peer):
		return refuse(CauseWrongPeer, "the node reached has key %s, not %s", suite.PublicKey(theirs.Key), suite.PublicKey(ours.Peer))
	case !bytes.Equal(theirs.Peer, ours.Key):
		return refuse(CauseWrongPeer, "the node that dials wants key %s, the one that listens has %s", suite.PublicKey(theirs.Peer), suite.PublicKey(ours.Key))
	}
	return nil
}

// encodeHello returns the body of a hello.
func encodeHello(h hello) []byte { return codec.MustMarshal(h) }
