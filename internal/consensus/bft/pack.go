package bft

import (
	"bytes"
	"fmt"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/codec"
)

// The message that starts a view holds a statement of each of a quorum, and each statement holds the payloads of the
// last block and of the one in flight: mostly the same two. Packed, every payload travels once.

// packBytesMin is the smallest payload worth taking out.
const packBytesMin = 1 << 10

// packed is a message cut into pieces; it is the pieces' bytes one after another.
type packed struct {
	// Blobs are what stands in the message several times.
	Blobs [][]byte `cbor:"1,keyasint"`
	Parts []part   `cbor:"2,keyasint"`
}

// part is Literal followed by the blob with number Blob−1, or by none if Blob is 0.
type part struct {
	Literal []byte `cbor:"1,keyasint"`
	Blob    uint16 `cbor:"2,keyasint"`
}

// packNewView packs the encoded message body, which starts a view.
func packNewView(body []byte, nv *smartbftprotos.NewView) []byte {
	var p packed
	rest := body
	for _, payload := range payloadsOf(nv) {
		at := bytes.Index(rest, payload)
		if at < 0 {
			continue
		}
		p.Parts = append(p.Parts, part{Literal: rest[:at], Blob: p.blob(payload)})
		rest = rest[at+len(payload):]
	}
	p.Parts = append(p.Parts, part{Literal: rest})
	return codec.MustMarshal(&p)
}

// payloadsOf returns the larger payloads in the order in which they stand in the encoded message.
func payloadsOf(nv *smartbftprotos.NewView) [][]byte {
	var out [][]byte
	for _, s := range nv.GetSignedViewData() {
		vd := &smartbftprotos.ViewData{}
		if err := proto.Unmarshal(s.GetRawViewData(), vd); err != nil {
			continue // the receiver will refuse it; packing need not
		}
		for _, payload := range [][]byte{vd.GetLastDecision().GetPayload(), vd.GetInFlightProposal().GetPayload()} {
			if len(payload) >= packBytesMin {
				out = append(out, payload)
			}
		}
	}
	return out
}

// blob returns the number of a payload, adding it if it is new.
func (p *packed) blob(payload []byte) uint16 {
	for i, b := range p.Blobs {
		if bytes.Equal(b, payload) {
			return uint16(i + 1)
		}
	}
	p.Blobs = append(p.Blobs, payload)
	return uint16(len(p.Blobs))
}

// unpack returns the message, which may have at most limit bytes.
func unpack(b []byte, limit int) ([]byte, error) {
	var p packed
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	total := 0
	for _, q := range p.Parts {
		if int(q.Blob) > len(p.Blobs) {
			return nil, fmt.Errorf("%w: blob %d of %d", errForm, q.Blob, len(p.Blobs))
		}
		total += len(q.Literal)
		if q.Blob > 0 {
			total += len(p.Blobs[q.Blob-1])
		}
		if total > limit {
			return nil, fmt.Errorf("%w: more than %d bytes unpacked", errForm, limit)
		}
	}
	out := make([]byte, 0, total)
	for _, q := range p.Parts {
		out = append(out, q.Literal...)
		if q.Blob > 0 {
			out = append(out, p.Blobs[q.Blob-1]...)
		}
	}
	return out, nil
}

// unpackedMax bounds an unpacked message for a number of validators, in bytes: two payloads of each, and the rest.
func unpackedMax(validators int) int { return validators * 2 * (PayloadBytesMax + 128<<10) }
