package transport

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/suite"
)

// TestOutboxToAssembler pushes random messages on random channels between takes, and expects the assembler to
// return each channel's messages in order, and consensus never to wait for more than what is being written.
func TestOutboxToAssembler(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOutbox(1<<30, 1<<20)
		var parts assembler
		var want, got [channelMax + 1][][]byte
		take := func() bool {
			waiting := len(o.lanes[Consensus].items) > 0
			h, chunk, ok := o.take()
			if !ok {
				return false
			}
			if waiting && h.channel != Consensus {
				t.Fatalf("channel %s was served before consensus", h.channel)
			}
			var raw [headerBytes]byte
			h.encode(&raw)
			again, err := decodeHeader(&raw)
			if err != nil || again != h {
				t.Fatalf("header %+v reads back as %+v, %v", h, again, err)
			}
			room, err := parts.room(again)
			if err != nil {
				t.Fatal(err)
			}
			copy(room, chunk)
			if body, complete := parts.finish(again); complete {
				got[h.channel] = append(got[h.channel], body)
			}
			return true
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "take") {
				take()
				continue
			}
			c := Channel(rapid.IntRange(1, int(channelMax)).Draw(t, "channel"))
			size := rapid.SampledFrom([]int{0, 1, 100, ChunkBytes - 1, ChunkBytes, ChunkBytes + 1, 3*ChunkBytes + 7}).Draw(t, "size")
			body := bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, size)
			if err := o.push(c, item{kind: kindMessage, body: body}); err != nil {
				t.Fatal(err)
			}
			want[c] = append(want[c], body)
		}
		for take() {
		}
		for c := range want {
			if !slices.EqualFunc(want[c], got[c], bytes.Equal) {
				t.Fatalf("channel %d: %d messages sent, %d received, or not the same", c, len(want[c]), len(got[c]))
			}
		}
		if count, size := o.size(); count != 0 || size != 0 {
			t.Fatalf("%d messages of %d bytes are left", count, size)
		}
	})
}

// TestTurns checks that channels without priority take turns chunk by chunk, and that a late vote goes first.
func TestTurns(t *testing.T) {
	o := newOutbox(1<<30, 100)
	for _, c := range []Channel{Catchup, Intake} {
		if err := o.push(c, item{kind: kindMessage, body: make([]byte, 3*ChunkBytes)}); err != nil {
			t.Fatal(err)
		}
	}
	var order []Channel
	for i := range 7 {
		if i == 3 {
			if err := o.push(Consensus, item{kind: kindMessage, body: []byte("vote")}); err != nil {
				t.Fatal(err)
			}
		}
		h, _, _ := o.take()
		order = append(order, h.channel)
	}
	if want := []Channel{Catchup, Intake, Catchup, Consensus, Intake, Catchup, Intake}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestOutboxBounds(t *testing.T) {
	o := newOutbox(100, 3)
	push := func(size int) error { return o.push(Request, item{kind: kindMessage, body: make([]byte, size)}) }
	if err := push(500); err != nil {
		t.Errorf("an empty lane refuses a large message: %v", err)
	}
	if err := push(1); !errors.Is(err, ErrQueueFull) {
		t.Errorf("over the bytes: %v", err)
	}
	o.take()
	for range 3 {
		if err := push(0); err != nil {
			t.Error(err)
		}
	}
	if err := push(0); !errors.Is(err, ErrQueueFull) {
		t.Errorf("over the count: %v", err)
	}
	done := make(chan error)
	go func() { done <- o.pushWait(t.Context(), Request, item{kind: kindResponse, id: 1}) }()
	o.take()
	if err := receiveOne(t, done); err != nil {
		t.Errorf("waiting for room: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.pushWait(ended, Request, item{kind: kindResponse, id: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting in vain: %v", err)
	}
	if forgotten := o.close(); forgotten[Request] != 2 {
		t.Errorf("forgot %v one-way messages, not 2", forgotten)
	}
	if err := push(1); !errors.Is(err, ErrNotConnected) {
		t.Errorf("after close: %v", err)
	}
}

// FuzzFrames reads any bytes as a stream of frames. Whatever is accepted must encode to what was read, and no more
// may be held than was sent plus one first allocation per channel.
func FuzzFrames(f *testing.F) {
	seed := func(frames ...header) {
		var b []byte
		for _, h := range frames {
			var raw [headerBytes]byte
			h.encode(&raw)
			b = append(append(b, raw[:]...), make([]byte, min(h.chunk, ChunkBytes))...)
		}
		f.Add(b)
	}
	seed(header{kind: kindMessage, channel: Consensus, chunk: 3, total: 3})
	seed(header{kind: kindRequest, channel: Request, chunk: 1, total: 1, arg: 1000, id: 1}, header{kind: kindCancel, channel: Request, id: 1})
	seed(header{kind: kindPing, id: 1}, header{kind: kindPong, id: 1}, header{kind: kindError, channel: Request, id: 4, chunk: 2, total: 2})
	seed(header{kind: kindMessage, channel: Intake, chunk: ChunkBytes, total: ChunkBytes + 2}, header{kind: kindMessage, channel: Consensus},
		header{kind: kindMessage, channel: Intake, chunk: 2, total: ChunkBytes + 2})
	seed(header{kind: kindMessage, channel: Consensus, chunk: 1, total: FrameBytesMax + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var parts assembler
		for len(b) >= headerBytes {
			raw := [headerBytes]byte(b)
			h, err := decodeHeader(&raw)
			if err != nil {
				return
			}
			var again [headerBytes]byte
			if h.encode(&again); again != raw {
				t.Fatalf("%x decodes, but encodes as %x", raw, again)
			}
			room, err := parts.room(h)
			if err != nil {
				return
			}
			if copy(room, b[headerBytes:]) < len(room) {
				return
			}
			b = b[headerBytes+len(room):]
			if body, complete := parts.finish(h); complete && len(body) != int(h.total) {
				t.Fatalf("a message of %d bytes, announced as %d", len(body), h.total)
			}
		}
	})
}

// FuzzGreeting reads any bytes as a greeting of each type.
func FuzzGreeting(f *testing.F) {
	add := func(kind greetingType, body []byte) {
		var b bytes.Buffer
		if err := writeGreeting(&b, kind, body); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	for _, s := range suite.All() {
		signer := newSigner(f, s)
		h, err := prove(signer, claim{
			Suite: s.ID(), Role: roleDialer, Key: signer.Public(), Peer: signer.Public(), Instance: make([]byte, instanceBytes),
		}, make([]byte, exporterBytes))
		if err != nil {
			f.Fatal(err)
		}
		add(greetHello, encodeHello(h))
	}
	add(greetRefusal, encodeRefusal(refuse(CauseNetwork, "other network")))
	add(greetAccept, nil)
	f.Add([]byte{1, 0, 9, 0, 0})
	f.Add([]byte{1, 0, 1, 0xff, 0xff})
	exporter := make([]byte, exporterBytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, want := range []greetingType{greetHello, greetAccept} {
			body, err := readGreeting(bytes.NewReader(b), want)
			if err != nil || want == greetAccept {
				continue
			}
			h, err := decodeHello(body)
			if err != nil {
				continue
			}
			if again := codec.MustMarshal(h); !bytes.Equal(again, body) {
				t.Fatalf("%x decodes, but encodes as %x", body, again)
			}
			for _, s := range suite.All() {
				if judge(claim{Suite: s.ID()}, h.Claim) == nil && proven(s, h, exporter) && len(h.Claim.Key) != s.PublicKeySize() {
					t.Fatalf("a key of %d bytes is proven", len(h.Claim.Key))
				}
			}
		}
	})
}
