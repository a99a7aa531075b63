package catchup

import (
	"fmt"
	"time"

	"aval/codec"
	"aval/ledger"
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
	requestBytesMax  = 64
	responseBytesMax = BytesMax + sealedRest*BlocksMax + 64
)

// Request asks for blocks from a height on.
type Request struct {
	From ledger.Height `cbor:"1,keyasint"`
	// Count is 0 to ask for the head only, at most BlocksMax.
	Count uint16 `cbor:"2,keyasint"`
	// WaitMs is how long to wait if From is not committed yet, in ms.
	WaitMs uint16 `cbor:"3,keyasint"`
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
	if r.Count > BlocksMax || time.Duration(r.WaitMs)*time.Millisecond > WaitMax || r.From == 0 {
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
