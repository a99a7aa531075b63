package transport

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Errors of Send and Call.
var (
	// ErrUnknownPeer reports a key that the configuration does not list.
	ErrUnknownPeer = errors.New("transport: no such peer")
	// ErrNotConnected reports that there is no link to the peer at the moment.
	ErrNotConnected = errors.New("transport: no link to the peer")
	// ErrLinkLost reports a call whose link ended before the answer came; the peer may have handled it.
	ErrLinkLost = errors.New("transport: the link was lost before the answer")
	// ErrQueueFull reports a one-way message dropped because too much waits for the peer already.
	ErrQueueFull = errors.New("transport: the peer's queue is full")
	// ErrTooLarge reports a message longer than FrameBytesMax.
	ErrTooLarge = fmt.Errorf("transport: the message is longer than %d bytes", FrameBytesMax)
	// ErrChannel reports a channel number that does not exist.
	ErrChannel = errors.New("transport: no such channel")
	// ErrClosed reports use after Close.
	ErrClosed = errors.New("transport: closed")
)

// RemoteError is an error answer of a peer to a call.
type RemoteError struct {
	// Text is what the peer said, at most ErrorTextBytesMax bytes. It comes from outside.
	Text string
}

// Error returns the peer's text, marked as the peer's.
func (e *RemoteError) Error() string { return "transport: peer answered: " + e.Text }

// Cause numbers why a link was refused. Numbers are appended and never reused.
type Cause uint8

// The causes of refusal.
const (
	// CauseTransport: no or broken TLS, a timeout, a lost connection.
	CauseTransport Cause = 1
	// CauseMalformed: a greeting that is too long or does not decode.
	CauseMalformed Cause = 2
	// CauseVersion: another protocol version.
	CauseVersion Cause = 3
	// CauseSuite: another crypto suite.
	CauseSuite Cause = 4
	// CauseNetwork: another network id.
	CauseNetwork Cause = 5
	// CauseGenesis: the same network id with another genesis.
	CauseGenesis Cause = 6
	// CauseUnlisted: a key that is not in the list of peers.
	CauseUnlisted Cause = 7
	// CauseWrongPeer: the node reached is not the one expected.
	CauseWrongPeer Cause = 8
	// CauseProof: the proof of the node key does not hold on this channel.
	CauseProof Cause = 9
	// CauseDuplicate: there is a link already, and it is kept.
	CauseDuplicate Cause = 10
	// CauseProtocol: a frame on the link that the protocol does not allow.
	CauseProtocol Cause = 11

	causeMax = CauseProtocol
)

// String returns the cause in one word, as metrics label it.
func (c Cause) String() string {
	names := [...]string{"", "transport", "malformed", "version", "suite", "network", "genesis", "unlisted",
		"wrong_peer", "proof", "duplicate", "protocol"}
	if c == 0 || int(c) >= len(names) {
		return fmt.Sprintf("cause%d", uint8(c))
	}
	return names[c]
}

// Refusal is the error that ends a handshake or a link.
type Refusal struct {
	// Cause is why.
	Cause Cause
	// Text says it to the operator.
	Text string
	// ByPeer tells that the peer refused us; Text is then the peer's and comes from outside.
	ByPeer bool
}

// Error returns the cause and the text.
func (r *Refusal) Error() string {
	switch {
	case r.ByPeer:
		return fmt.Sprintf("transport: refused by the peer: %s: %s", r.Cause, r.Text)
	case r.Cause == CauseTransport:
		return "transport: " + r.Text
	}
	return fmt.Sprintf("transport: refused: %s: %s", r.Cause, r.Text)
}

func refuse(c Cause, format string, args ...any) *Refusal {
	return &Refusal{Cause: c, Text: fmt.Sprintf(format, args...)}
}

// causeOf returns the cause of err, CauseTransport for errors that are not refusals.
func causeOf(err error) Cause {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Cause
	}
	return CauseTransport
}

// clip makes text fit to be sent or shown: valid UTF-8 of at most ErrorTextBytesMax bytes.
func clip(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= ErrorTextBytesMax {
		return text
	}
	cut := ErrorTextBytesMax
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
