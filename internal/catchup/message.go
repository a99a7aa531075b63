package catchup

import (
	"fmt"
	"time"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Bounds of one exchange.
const (
	// BlocksMax and BytesMax bound the blocks of a response; one block alone is always within them.
	BlocksMax = 256
	BytesMax  = 12 << 20
	// sealedRest is what a block with its batches takes beside their bytes.
	sealedRest = 16 + 8*ledger.BlockBatchesMax
	// WaitMax is the longest a peer is asked to wait for a block that does not exist yet.
	WaitMax = 10 * time.Second
	// requestBytesMax and responseBytesMax bound an encoded Request and Response.
	requestBytesMax  = 128
	responseBytesMax = BytesMax + sealedRest*BlocksMax + 64
)

// Request asks for blocks from a height on, or for a part of a snapshot.
type Request struct {
	// From is at least 1, and 0 if a snapshot is asked for.
	From ledger.Height `cbor:"1,keyasint"`
	// Count is 0 to ask for the head only, at most BlocksMax.
	Count uint16 `cbor:"2,keyasint"`
	// WaitMs is how long to wait if From is not committed yet, in ms.
	WaitMs uint16 `cbor:"3,keyasint"`
	// Snapshot asks for the snapshot of a height: its manifest if Chunk is empty, else the chunk of that hash.
	Snapshot ledger.Height `cbor:"4,keyasint"`
	Chunk    []byte        `cbor:"5,keyasint"`
}

// Sealed is a block with the batches that it orders, all encoded.
type Sealed struct {
	Block   []byte   `cbor:"1,keyasint"`
	Batches [][]byte `cbor:"2,keyasint"`
}

func (s *Sealed) size() int {
	n := len(s.Block)
	for _, b := range s.Batches {
		n += len(b)
	}
	return n
}

// Response carries blocks in order, beginning at Request.From.
type Response struct {
	// Head is the peer's newest height, as it says.
	Head   ledger.Height `cbor:"1,keyasint"`
	Blocks []Sealed      `cbor:"2,keyasint"`
	// Wall is the peer's clock as it answers.
	Wall ledger.Time `cbor:"3,keyasint"`
	// First is the lowest height of which the peer keeps blocks, as it says; 0: it does not say.
	First ledger.Height `cbor:"4,keyasint"`
	// Snapshot is the height of the newest snapshot that the peer offers; 0: none.
	Snapshot ledger.Height `cbor:"5,keyasint"`
	// Data is the encoded manifest or the chunk that was asked for.
	Data []byte `cbor:"6,keyasint"`
}

// DecodeRequest strictly decodes a request and checks its bounds.
func DecodeRequest(b []byte) (*Request, error) {
	if len(b) > requestBytesMax {
		return nil, fmt.Errorf("catchup: the request has %d bytes", len(b))
	}
	var r Request
	if err := codec.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	if r.Snapshot > 0 {
		if n := len(r.Chunk); r.From > 0 || r.Count > 0 || r.WaitMs > 0 || n != 0 && n != suite.HashSize {
			return nil, fmt.Errorf("catchup: a request for the snapshot of height %d that asks for something else too", r.Snapshot)
		}
		return &r, nil
	}
	if r.Count > BlocksMax || time.Duration(r.WaitMs)*time.Millisecond > WaitMax || r.From == 0 || len(r.Chunk) > 0 {
		return nil, fmt.Errorf("catchup: a request for %d blocks from %d is out of bounds", r.Count, r.From)
	}
	return &r, nil
}

// DecodeResponse strictly decodes a response and checks its bounds.
func DecodeResponse(b []byte) (*Response, error) {
	if len(b) > responseBytesMax {
		return nil, fmt.Errorf("catchup: the response has %d bytes", len(b))
	}
	var r Response
	if err := codec.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	if len(r.Blocks) > BlocksMax {
		return nil, fmt.Errorf("catchup: the response has %d blocks", len(r.Blocks))
	}
	for i := range r.Blocks {
		if n := len(r.Blocks[i].Batches); n > ledger.BlockBatchesMax {
			return nil, fmt.Errorf("catchup: block %d of the response has %d batches", i, n)
		}
	}
	return &r, nil
}
