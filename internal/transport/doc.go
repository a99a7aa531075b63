// Package transport keeps one authenticated, multiplexed link between each pair of nodes of a network that
// know each other: validators among themselves, and observers (gateways) with validators.
//
// A link is a TLS 1.3 connection over which both sides have proved the node keys that genesis names. In the
// intl suite the TLS certificates carry the Ed25519 node keys themselves; in sm the channel is made with a
// throw-away certificate. In both, each side then signs the greeting, the two keys and the channel's exported
// keying material (RFC 8446 section 7.5), so that a proof is worth nothing on any other channel. There is no
// certificate authority: a key is accepted because the configuration lists it.
//
// What travels on a link, by channel:
//
//   - one-way messages (Send, Handle) arrive in the order in which they were sent on that channel, or not at
//     all. The BFT engine depends on that order. Send never blocks: when the queue is full or there is no
//     link, the new message is dropped, counted, and reported to the caller.
//   - calls (Call, HandleCall) carry one request and one response or error, with a deadline and cancellation.
//
// Messages are written in chunks of ChunkBytes. The writer sends chunks of the consensus channel before those
// of any other, and takes the others in turn, so that a vote waits for one chunk and never for a whole block.
//
// A lost link loses what was queued on it: nothing is sent again. Those above resend, as the engine does, or
// ask, as catch-up does.
package transport
