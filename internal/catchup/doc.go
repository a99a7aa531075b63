// Package catchup fetches certified blocks from peers and serves them. A block is believed for its certificate, never
// for who sent it: a lying peer wastes one request.
package catchup
