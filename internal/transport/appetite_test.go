package transport

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
)

// TestAppetite gives the readers of greetings and frames what is worst for them.
func TestAppetite(t *testing.T) {
	inputs := append(appetite.Worst(&hello{}, codec.Marshal, GreetingBytesMax), appetite.Malformed(GreetingBytesMax)...)
	appetite.CheckAll(t, inputs, func(b []byte) { _, _ = decodeHello(b); _, _ = decodeRefusal(b) })
	var greetings [][]byte
	for _, body := range inputs {
		if len(body) <= GreetingBytesMax {
			var b bytes.Buffer
			if err := writeGreeting(&b, greetHello, body); err != nil {
				t.Fatal(err)
			}
			greetings = append(greetings, b.Bytes(), b.Bytes()[:greetingHeaderBytes])
		}
	}
	appetite.CheckAll(t, greetings, func(b []byte) { _, _ = readGreeting(bytes.NewReader(b), greetHello) })
}

// TestFramesTakeWhatArrived announces long messages on every channel and sends a part: the room made is in proportion to that.
func TestFramesTakeWhatArrived(t *testing.T) {
	for _, sent := range []int{0, 1, 2, 7, 40} {
		var parts assembler
		received := 0
		got := appetite.Of(func() {
			parts, received = assembler{}, 0
			for c := Channel(1); c <= channelMax; c++ {
				h := header{kind: kindMessage, channel: c, chunk: ChunkBytes, total: FrameBytesMax}
				for range sent {
					room, err := parts.room(h)
					if err != nil {
						t.Fatal(err)
					}
					received += headerBytes + len(room)
				}
			}
		})
		// Of the next chunk on each channel only the header came.
		if most := appetite.Bound(received + int(channelMax)*ChunkBytes); got > most {
			t.Errorf("%d chunks on each channel, %d bytes: %d are allocated, the most is %d", sent, received, got, most)
		}
	}
}
