package transport

import (
	"encoding/binary"
)

// kind says what a frame is.
type kind uint8

const (
	kindMessage  kind = 1 // one-way
	kindRequest  kind = 2 // id chosen by the caller, argument = time left in ms
	kindResponse kind = 3 // id of the request
	kindError    kind = 4 // id of the request, body is text
	kindCancel   kind = 5 // id of the request, no body
	kindPing     kind = 6 // channel 0, no body
	kindPong     kind = 7 // id of the ping, channel 0, no body
)

// headerBytes is the length of an encoded header:
// kind 1, channel 1, zero 2, chunk length 4, total length 4, argument 4, id 8; integers are big endian.
const headerBytes = 24

// header precedes every chunk. All chunks of one message carry the same header but for the chunk length.
type header struct {
	kind    kind
	channel Channel
	chunk   uint32
	total   uint32
	arg     uint32
	id      uint64
}

func (h header) encode(b *[headerBytes]byte) {
	b[0], b[1], b[2], b[3] = byte(h.kind), byte(h.channel), 0, 0
	binary.BigEndian.PutUint32(b[4:], h.chunk)
	binary.BigEndian.PutUint32(b[8:], h.total)
	binary.BigEndian.PutUint32(b[12:], h.arg)
	binary.BigEndian.PutUint64(b[16:], h.id)
}

// decodeHeader reads a header and refuses what no sender of this version writes.
func decodeHeader(b *[headerBytes]byte) (header, error) {
	h := header{
		kind: kind(b[0]), channel: Channel(b[1]),
		chunk: binary.BigEndian.Uint32(b[4:]), total: binary.BigEndian.Uint32(b[8:]),
		arg: binary.BigEndian.Uint32(b[12:]), id: binary.BigEndian.Uint64(b[16:]),
	}
	if b[2] != 0 || b[3] != 0 {
		return header{}, refuse(CauseProtocol, "frame: reserved bytes are not zero")
	}
	if h.total > FrameBytesMax || h.chunk > ChunkBytes || h.chunk > h.total {
		return header{}, refuse(CauseProtocol, "frame: chunk of %d in a message of %d bytes", h.chunk, h.total)
	}
	if err := h.checkKind(); err != nil {
		return header{}, err
	}
	return h, nil
}

func (h header) checkKind() error {
	link := h.kind == kindPing || h.kind == kindPong
	if link != (h.channel == 0) || h.channel > channelMax {
		return refuse(CauseProtocol, "frame: kind %d on channel %d", h.kind, h.channel)
	}
	if (h.kind == kindMessage) != (h.id == 0) {
		return refuse(CauseProtocol, "frame: kind %d with id %d", h.kind, h.id)
	}
	if (h.kind == kindRequest) != (h.arg != 0) {
		return refuse(CauseProtocol, "frame: kind %d with argument %d", h.kind, h.arg)
	}
	switch h.kind {
	case kindMessage, kindRequest, kindResponse:
		return nil
	case kindError:
		if h.total <= ErrorTextBytesMax {
			return nil
		}
	case kindCancel, kindPing, kindPong:
		if h.total == 0 {
			return nil
		}
	}
	return refuse(CauseProtocol, "frame: kind %d of %d bytes", h.kind, h.total)
}

// growFactor is how much room is made for a message, for each byte of it that has arrived, beside the chunk that is announced:
// whoever announces a long message and sends nothing fills no memory.
const growFactor = 8

// assembler puts chunks together. On each channel at most one message is in parts at any time.
type assembler struct {
	parts [channelMax + 1]part
}

type part struct {
	head header
	body []byte
}

// room returns where to read the chunk that h announces, or an error if h does not continue what came before.
// When the chunk is in place the caller calls finish.
func (a *assembler) room(h header) ([]byte, error) {
	p := &a.parts[h.channel]
	have := uint32(len(p.body))
	if have > 0 {
		same := p.head
		same.chunk = h.chunk
		if h != same {
			return nil, refuse(CauseProtocol, "frame: kind %d id %d interrupts kind %d id %d on channel %s",
				h.kind, h.id, p.head.kind, p.head.id, h.channel)
		}
	} else {
		p.head = h
	}
	if want := min(h.total-have, ChunkBytes); h.chunk != want {
		return nil, refuse(CauseProtocol, "frame: chunk of %d bytes, expected %d", h.chunk, want)
	}
	if need := have + h.chunk; int(need) > cap(p.body) {
		grown := make([]byte, have, min(h.total, max(need, growFactor*have)))
		copy(grown, p.body)
		p.body = grown
	}
	p.body = p.body[:have+h.chunk]
	return p.body[have:], nil
}

// finish returns the message when the chunk that h announced was its last.
func (a *assembler) finish(h header) (body []byte, complete bool) {
	p := &a.parts[h.channel]
	if uint32(len(p.body)) < h.total {
		return nil, false
	}
	body = p.body
	*p = part{}
	return body, true
}
